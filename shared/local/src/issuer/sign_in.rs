//! Signing in at the dev issuer: OpenID Connect's code flow with PKCE for one public client, the console. (RFC 6749 with
//! 7636 and 9207; for whatever is refused, that is the error of those.)
//!
//! Whoever the person at the keyboard chooses to be is signed in. What is checked is checked as a real issuer would:
//! tokens only go to whom a page of ours has asked for them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use askama::Template;
use axum::extract::{RawQuery, State as Extract};
use axum::response::{Html, IntoResponse, Response};
use axum::{Json, Router, routing};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use console::own_styles;
use domain::EmailAddress;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use lambda_api::headers::Page;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Issuer, IssuerError, LIFETIME_SECONDS, Person};
use crate::query::query_pairs;
use crate::{cors, demo, random};

/// The client, which has no secret.
pub const CLIENT: &str = "roster-console";
/// Where people are sent to sign in.
pub const AUTHORIZE: &str = "/_dev/authorize";
/// Where a code is exchanged for tokens.
pub const TOKEN: &str = "/_dev/authorize/token";
/// Where people are sent to sign out.
pub const SIGN_OUT: &str = "/_dev/sign-out";

/// A page uses its code at once.
const CODE_SECONDS: i64 = 60;
/// The laptop's clock is made to leap two days for an invitation to expire; nobody wants to sign in again after it.
const SESSION_SECONDS: i64 = 30 * 24 * 60 * 60;
/// The audience of what stands in the session's cookie: no API takes it for a token.
const SESSION: &str = "roster-session";
/// What the page carries from the request to the answer.
const CARRIED: [&str; 8] = [
    "client_id",
    "redirect_uri",
    "response_type",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
];
/// What is left as it is in a query.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Who is asked to sign in for which page, and who has.
#[derive(Clone)]
pub struct SignIn(Arc<Inner>);

struct Inner {
    issuer: Issuer,
    /// Of the pages that people come from and go back to.
    origins: Vec<HeaderValue>,
    /// The cookie's name. Cookies are shared by all ports of a host, and another laptop has another issuer.
    cookie: String,
    /// Whether there is a demo organization, whose people may be chosen.
    demo: bool,
    codes: Mutex<BTreeMap<String, Grant>>,
}

/// What a code is good for.
struct Grant {
    asked: Asked,
    person: Person,
    until: i64,
}

/// A request to sign somebody in, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    redirect_uri: String,
    state: Option<String>,
    nonce: Option<String>,
    challenge: String,
    scope: String,
    login_hint: Option<String>,
    silently: bool,
}

/// Why a request is not followed.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    /// It does not say where to go back to, or to somewhere that is none of ours: the person is told, and nobody else.
    Here(&'static str),
    /// The page that asked is told.
    Back { redirect_uri: String, state: Option<String>, error: &'static str, why: &'static str },
}

/// What a person's browser brings along.
#[derive(Debug, Deserialize)]
struct Session {
    iss: String,
    aud: String,
    sub: String,
    email: Option<String>,
    email_verified: Option<bool>,
    exp: i64,
}

/// Somebody to sign in as, by a click.
#[derive(Debug, PartialEq, Eq)]
struct Choice {
    email: String,
    who: &'static str,
}

#[derive(Template)]
#[template(path = "sign-in.html")]
struct SignInPage<'a> {
    choices: Vec<Choice>,
    carried: Vec<(&'a str, &'a str)>,
    email: &'a str,
    problem: Option<String>,
}

#[derive(Template)]
#[template(path = "said.html")]
struct Said<'a> {
    title: &'a str,
    text: &'a str,
}

impl SignIn {
    /// Signing in at `issuer`, for the laptop's own pages and those of `others`. `demo`: whether there is a demo
    /// organization.
    #[must_use]
    pub fn new(issuer: Issuer, others: &[HeaderValue], demo: bool) -> Self {
        let port = issuer.url.rsplit_once(':').map_or("80", |(_, port)| port);
        // Not `[::1]`: nobody listens there, and no policy can name it.
        let own = ["127.0.0.1", "localhost"].map(|host| format!("http://{host}:{port}"));
        let own = own.into_iter().filter_map(|origin| HeaderValue::try_from(origin).ok());
        let origins = own.chain(others.iter().cloned()).collect();
        let cookie = format!("{SESSION}-{port}");
        Self(Arc::new(Inner { issuer, origins, cookie, demo, codes: Mutex::default() }))
    }

    /// The page, its answers, tokens, signing out, and the issuer's discovery and keys; the last three for pages of
    /// the other origins, too.
    pub fn router(self) -> Router {
        let shared = Router::new()
            .route(TOKEN, routing::post(token))
            .merge(self.0.issuer.clone().published())
            .layer(cors::allow(&self.0.origins));
        Router::new()
            .route(AUTHORIZE, routing::get(ask).post(choose))
            .route(SIGN_OUT, routing::get(sign_out))
            .merge(shared)
            .with_state(self)
    }
}

/// `GET /_dev/authorize`: a page to choose from; or, for `prompt=none`, whoever is signed in already.
async fn ask(
    Extract(SignIn(it)): Extract<SignIn>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let pairs = query_pairs(query.as_deref().unwrap_or_default());
    let asked = match it.asked(&pairs) {
        Ok(asked) => asked,
        Err(refusal) => return it.refused(refusal),
    };
    let person = it.signed_in(&headers).await;
    if !asked.silently {
        return it.page(&pairs, person.as_ref(), asked.login_hint.as_deref().unwrap_or_default(), None);
    }
    let hinted =
        |person: &Person| asked.login_hint.as_ref().is_none_or(|hint| person.email.as_ref() == Some(hint));
    match person.filter(hinted) {
        Some(person) => it.granted(asked, person).await,
        None => it.refused(asked.refusal("login_required", "nobody is signed in, or somebody else")),
    }
}

/// `POST /_dev/authorize`: the person has chosen.
async fn choose(Extract(SignIn(it)): Extract<SignIn>, headers: HeaderMap, body: String) -> Response {
    let pairs = query_pairs(&body);
    let asked = match it.asked(&pairs) {
        Ok(asked) => asked,
        Err(refusal) => return it.refused(refusal),
    };
    let value = |name: &str| pairs.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str());
    if value("cancel").is_some() {
        return it.refused(asked.refusal("access_denied", "the person did not sign in"));
    }
    let last = it.signed_in(&headers).await;
    let (email, verified) = match value("as") {
        // Whoever was signed in without a verified address is so again.
        Some(email) => {
            let again = last.as_ref().filter(|person| person.email.as_deref() == Some(email));
            (email, again.and_then(|person| person.email_verified).unwrap_or(true))
        }
        None => (value("email").unwrap_or_default(), value("verified").is_some()),
    };
    let Ok(address) = EmailAddress::parse(email.trim()) else {
        let problem = format!("“{email}” is no e-mail address.");
        return it.page(&pairs, last.as_ref(), email, Some(problem));
    };
    let sub = demo::user_id(&address);
    let person = Person { sub, email: Some(address.as_str().to_owned()), email_verified: Some(verified) };
    it.granted(asked, person).await
}

/// `POST /_dev/authorize/token`: a code for tokens, once.
async fn token(Extract(SignIn(it)): Extract<SignIn>, body: String) -> Response {
    let error = |error: &str, why: &str| {
        let status =
            if error == "server_error" { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::BAD_REQUEST };
        (status, Json(json!({ "error": error, "error_description": why }))).into_response()
    };
    let pairs = query_pairs(&body);
    let value = |name| one(&pairs, name).ok().flatten();
    if value("grant_type").is_some_and(|kind| kind != "authorization_code") {
        return error("unsupported_grant_type", "the only one is authorization_code");
    }
    let all = ["grant_type", "client_id", "code", "redirect_uri", "code_verifier"].map(value);
    let [Some(_), Some(client), Some(code), Some(redirect_uri), Some(verifier)] = all else {
        return error(
            "invalid_request",
            "it takes grant_type, client_id, code, redirect_uri and code_verifier, each of them once",
        );
    };
    if client != CLIENT {
        return error("invalid_client", "there is no such client");
    }
    match it.redeemed(code, redirect_uri, verifier) {
        None => error("invalid_grant", "the code is used, too old, or was given to somebody else"),
        Some(grant) => match it.tokens(&grant).await {
            Ok(tokens) => Json(tokens).into_response(),
            Err(problem) => error("server_error", &problem.to_string()),
        },
    }
}

/// `GET /_dev/sign-out`: the browser forgets who is signed in, and goes back if it is told where to.
async fn sign_out(Extract(SignIn(it)): Extract<SignIn>, RawQuery(query): RawQuery) -> Response {
    let pairs = query_pairs(query.as_deref().unwrap_or_default());
    let back = match one(&pairs, "post_logout_redirect_uri") {
        Ok(back) => back,
        Err(Repeated) => return it.refused(Refusal::Here("post_logout_redirect_uri stands there twice.")),
    };
    let mut response = match back {
        None => it.said(StatusCode::OK, "Signed out", "You can close this page."),
        Some(uri) if it.is_ours(uri) => redirect(uri, &[("state", one(&pairs, "state").ok().flatten())])
            .unwrap_or_else(|| it.refused(NOT_OURS)),
        Some(_) => return it.refused(NOT_OURS),
    };
    set_cookie(&mut response, &it.cookie, "", 0);
    response
}

const NOT_OURS: Refusal = Refusal::Here(
    "It names an address to go back to that is none of this laptop's. Pages of other origins are allowed with \
     --allow-origin.",
);

/// A parameter that must not stand there twice does.
struct Repeated;

/// The value of a parameter; an empty one counts as none (RFC 6749, section 3.1).
fn one<'a>(pairs: &'a [(String, String)], name: &str) -> Result<Option<&'a str>, Repeated> {
    let mut values = pairs.iter().filter(|(it, _)| it == name).map(|(_, value)| value.as_str());
    let value = values.next().filter(|value| !value.is_empty());
    if values.next().is_some() { Err(Repeated) } else { Ok(value) }
}

impl Asked {
    fn refusal(self, error: &'static str, why: &'static str) -> Refusal {
        Refusal::Back { redirect_uri: self.redirect_uri, state: self.state, error, why }
    }
}

impl Inner {
    /// What is asked for, if it may be.
    fn asked(&self, pairs: &[(String, String)]) -> Result<Asked, Refusal> {
        let twice = |_: Repeated| Refusal::Here("client_id or redirect_uri stands there twice.");
        if one(pairs, "client_id").map_err(twice)? != Some(CLIENT) {
            return Err(Refusal::Here("The only client of this issuer is roster-console."));
        }
        let redirect_uri = one(pairs, "redirect_uri").map_err(twice)?.unwrap_or_default().to_owned();
        if !self.is_ours(&redirect_uri) {
            return Err(NOT_OURS);
        }
        let state = one(pairs, "state").ok().flatten().map(str::to_owned);
        let back = |error, why| Refusal::Back {
            redirect_uri: redirect_uri.clone(),
            state: state.clone(),
            error,
            why,
        };
        let value = |name| {
            one(pairs, name).map_err(|_: Repeated| back("invalid_request", "a parameter stands there twice"))
        };
        value("state")?;
        if value("response_type")? != Some("code") {
            return Err(back("unsupported_response_type", "the only one is code"));
        }
        if value("code_challenge_method")? != Some("S256") {
            return Err(back("invalid_request", "code_challenge_method has to be S256"));
        }
        let challenge = value("code_challenge")?.unwrap_or_default().to_owned();
        if URL_SAFE_NO_PAD.decode(&challenge).map(|digest| digest.len()) != Ok(32) {
            return Err(back("invalid_request", "code_challenge has to be a SHA-256 in base64url"));
        }
        let prompts: Vec<_> = value("prompt")?.unwrap_or_default().split(' ').collect();
        let silently = prompts.contains(&"none");
        if silently && prompts.len() > 1 {
            return Err(back("invalid_request", "prompt is none or something else"));
        }
        Ok(Asked {
            nonce: value("nonce")?.map(str::to_owned),
            scope: value("scope")?.unwrap_or_default().to_owned(),
            login_hint: value("login_hint")?.map(str::to_owned),
            challenge,
            silently,
            redirect_uri,
            state,
        })
    }

    /// Whether `uri` is a page's address on an origin that tokens may go to.
    fn is_ours(&self, uri: &str) -> bool {
        let Ok(parsed) = uri.parse::<Uri>() else { return false };
        let (Some(scheme), Some(authority)) = (parsed.scheme_str(), parsed.authority()) else { return false };
        let origin = format!("{scheme}://{authority}");
        // What would become of a fragment, and of what cannot stand in a header, is not worth knowing.
        !uri.contains('#')
            && HeaderValue::from_str(uri).is_ok()
            && self.origins.iter().any(|ours| *ours == origin)
    }

    /// Back to the page that asked, with a code.
    async fn granted(&self, asked: Asked, person: Person) -> Response {
        let session = match self.session(&person).await {
            Ok(session) => session,
            Err(problem) => {
                return (StatusCode::INTERNAL_SERVER_ERROR, format!("{problem}\n")).into_response();
            }
        };
        let code = random::hex::<32>();
        let back = [
            ("code", Some(code.as_str())),
            ("state", asked.state.as_deref()),
            ("iss", Some(&*self.issuer.url)),
        ];
        let Some(mut response) = redirect(&asked.redirect_uri, &back) else { return self.refused(NOT_OURS) };
        let now = self.issuer.clock.now_unix();
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        codes.retain(|_, grant| now < grant.until);
        codes.insert(code, Grant { asked, person, until: now + CODE_SECONDS });
        set_cookie(&mut response, &self.cookie, &session, SESSION_SECONDS);
        response
    }

    /// What the code is good for. Whoever asks with a code has used it up, rightly or not.
    fn redeemed(&self, code: &str, redirect_uri: &str, verifier: &str) -> Option<Grant> {
        let grant = self.codes.lock().unwrap_or_else(PoisonError::into_inner).remove(code)?;
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
        let is_theirs = grant.asked.redirect_uri == redirect_uri && grant.asked.challenge == challenge;
        (is_theirs && self.issuer.clock.now_unix() < grant.until).then_some(grant)
    }

    async fn tokens(&self, grant: &Grant) -> Result<Value, Arc<IssuerError>> {
        let Grant { asked, person, .. } = grant;
        let mut tokens = json!({
            "access_token": self.issuer.token(person).await?,
            "token_type": "Bearer",
            "expires_in": LIFETIME_SECONDS,
            "scope": asked.scope,
        });
        if asked.scope.split(' ').any(|scope| scope == "openid") {
            let nonce = asked.nonce.as_deref();
            tokens["id_token"] = json!(self.issuer.signed(CLIENT, person, nonce, LIFETIME_SECONDS).await?);
        }
        Ok(tokens)
    }

    async fn session(&self, person: &Person) -> Result<String, Arc<IssuerError>> {
        self.issuer.signed(SESSION, person, None, SESSION_SECONDS).await
    }

    /// Who is signed in, by the browser's cookie.
    async fn signed_in(&self, headers: &HeaderMap) -> Option<Person> {
        let lines = headers.get_all(header::COOKIE).into_iter().filter_map(|line| line.to_str().ok());
        let mut cookies =
            lines.flat_map(|line| line.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
        let (_, session) = cookies.find(|(name, _)| *name == self.cookie)?;
        let claims = self.issuer.key().await.ok()?.verify(session).ok()?;
        let Session { iss, aud, sub, email, email_verified, exp } =
            serde_json::from_value(claims.into()).ok()?;
        let is_good = iss == *self.issuer.url && aud == SESSION && self.issuer.clock.now_unix() < exp;
        is_good.then_some(Person { sub, email, email_verified })
    }

    /// Whom one may be by a click: who is expected first, then who was here last.
    fn choices(&self, hint: &str, last: Option<&Person>) -> Vec<Choice> {
        let hinted =
            EmailAddress::parse(hint).ok().map(|email| (email.as_str().to_owned(), "Expected by the page"));
        let last = last.and_then(|person| person.email.clone()).map(|email| (email, "Signed in last"));
        let demo = [
            (demo::OWNER.1, "Owner of Acme"),
            (demo::MEMBER.1, "Member of Acme"),
            (demo::INVITEE.1, "Invited to Acme"),
        ];
        let demo = demo.into_iter().filter(|_| self.demo).map(|(email, who)| (email.to_owned(), who));
        let mut choices = Vec::<Choice>::new();
        for (email, who) in hinted.into_iter().chain(last).chain(demo) {
            match choices.iter_mut().find(|choice| choice.email == email) {
                // What the demo knows of somebody says more.
                Some(choice) => choice.who = who,
                None => choices.push(Choice { email, who }),
            }
        }
        choices
    }

    fn page(
        &self,
        pairs: &[(String, String)],
        last: Option<&Person>,
        email: &str,
        problem: Option<String>,
    ) -> Response {
        let hint = one(pairs, "login_hint").ok().flatten().unwrap_or_default();
        let status = if problem.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
        let choices = self.choices(hint, last);
        // What can be clicked need not be typed.
        let email = if choices.iter().any(|choice| choice.email == email) { "" } else { email };
        let carried = CARRIED.into_iter().chain(["login_hint"]);
        let carried = carried.filter_map(|name| Some((name, one(pairs, name).ok().flatten()?))).collect();
        self.shown(status, &SignInPage { choices, carried, email, problem })
    }

    fn refused(&self, refusal: Refusal) -> Response {
        match refusal {
            Refusal::Here(why) => self.said(StatusCode::BAD_REQUEST, "This sign-in does not work", why),
            Refusal::Back { redirect_uri, state, error, why } => {
                let iss = Some(&*self.issuer.url);
                let error = [
                    ("error", Some(error)),
                    ("error_description", Some(why)),
                    ("state", state.as_deref()),
                    ("iss", iss),
                ];
                redirect(&redirect_uri, &error).unwrap_or_else(|| self.refused(NOT_OURS))
            }
        }
    }

    fn said(&self, status: StatusCode, title: &str, text: &str) -> Response {
        self.shown(status, &Said { title, text })
    }

    fn shown(&self, status: StatusCode, page: &impl Template) -> Response {
        let html = match page.render() {
            Ok(html) => html,
            Err(problem) => {
                return (StatusCode::INTERNAL_SERVER_ERROR, format!("{problem}\n")).into_response();
            }
        };
        // Browsers hold against this, too, where the answer to a form redirects. A policy cannot name an IPv6 address: a
        // page of that one is its own `'self'`.
        let forms = self
            .origins
            .iter()
            .filter_map(|origin| origin.to_str().ok())
            .filter(|origin| !origin.contains('['));
        let forms = forms.fold("'self'".to_owned(), |forms, origin| format!("{forms} {origin}"));
        let may = Page { styles: &own_styles(&html), forms: &forms, ..Page::default() };
        match may.headers() {
            Ok(mut headers) => {
                // `no-referrer` would have the form's own `Origin` be `null`, which the guard refuses.
                headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
                (status, headers, Html(html)).into_response()
            }
            Err(problem) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{problem}\n")).into_response(),
        }
    }
}

/// To `uri`, with what of `parameters` there is; none if that cannot stand in a header.
fn redirect(uri: &str, parameters: &[(&str, Option<&str>)]) -> Option<Response> {
    let mut location = uri.to_owned();
    for (name, value) in parameters {
        if let Some(value) = value {
            location.push(if location.contains('?') { '&' } else { '?' });
            location.extend([*name, "="]);
            location.extend(utf8_percent_encode(value, QUERY));
        }
    }
    let location = HeaderValue::try_from(location).ok()?;
    Some((StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response())
}

/// The cookie is sent to the issuer only: functions have no use for it.
fn set_cookie(response: &mut Response, name: &str, value: &str, seconds: i64) {
    let cookie = format!("{name}={value}; Path=/_dev; Max-Age={seconds}; HttpOnly; SameSite=Lax");
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

#[cfg(test)]
mod tests;
