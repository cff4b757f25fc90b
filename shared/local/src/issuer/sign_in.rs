//! Signs users in at the laptop's issuer: OpenID Connect's code flow with PKCE, for one public client, the console.
//! Errors are those of RFC 6749, RFC 7636 and RFC 9207.
//!
//! There is no password: the issuer signs in any user that the developer chooses. All other checks are those of a real
//! issuer. In particular, only pages of allowed origins receive tokens.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use askama::Template;
use axum::extract::{RawQuery, State as Extract};
use axum::response::{Html, IntoResponse, Response};
use axum::{Json, Router, routing};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use console::style_hashes;
use domain::EmailAddress;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use lambda_api::headers::PagePolicy;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Issuer, IssuerError, Person, TOKEN_SECONDS};
use crate::jwt::RS256;
use crate::query::query_pairs;
use crate::{cors, demo, random};

/// The id of the only client. It is public: it has no secret.
pub const CLIENT: &str = "roster-console";
/// The authorization endpoint: the page where users sign in.
pub const AUTHORIZE: &str = "/_dev/authorize";
/// The token endpoint, which exchanges a code for tokens.
pub const TOKEN: &str = "/_dev/authorize/token";
/// The end-session endpoint, where users sign out.
pub const SIGN_OUT: &str = "/_dev/sign-out";

/// How long a code is valid. Pages exchange it at once.
const CODE_SECONDS: i64 = 60;
/// How long a session is valid: 30 days of the laptop's clock. Developers advance the clock by 48 hours to see an
/// invitation expire, and should not have to sign in again after that.
const SESSION_SECONDS: i64 = 30 * 24 * 60 * 60;
/// The audience of the token in the session cookie. The API does not accept tokens with this audience.
const SESSION_AUDIENCE: &str = "roster-session";
/// The parameters of the request that each form of the sign-in page contains, besides `login_hint`.
const FORM_PARAMETERS: [&str; 8] = [
    "client_id",
    "redirect_uri",
    "response_type",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
];
/// The characters that are percent-encoded in a query: all but the unreserved ones (RFC 3986, section 2.3).
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The sign-in endpoints and their state. Clones share the state.
#[derive(Clone)]
pub struct SignIn(Arc<Inner>);

struct Inner {
    issuer: Issuer,
    /// The origins to which the browser may be redirected.
    origins: Vec<HeaderValue>,
    /// The name of the session cookie. It includes the port, because all ports of a host share their cookies, and each
    /// laptop has its own issuer.
    cookie: String,
    /// Whether there is a demo organization. The page then offers its users.
    demo: bool,
    /// The codes that were not exchanged yet.
    codes: Mutex<BTreeMap<String, Grant>>,
}

/// The data that belongs to a code.
struct Grant {
    request: AuthorizationRequest,
    person: Person,
    expires_at: i64,
}

/// A valid request to sign a user in.
#[derive(Debug, Clone, PartialEq, Eq)]
struct AuthorizationRequest {
    redirect_uri: String,
    state: Option<String>,
    nonce: Option<String>,
    challenge: String,
    scope: String,
    login_hint: Option<String>,
    /// Whether the request has `prompt=none`: respond at once, without showing a page.
    is_silent: bool,
}

/// Why a request is refused, and how the error is reported.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    /// Show an error page, because the request names no redirect URI or one that is not allowed.
    Page(&'static str),
    /// Redirect to the page that sent the request, with the error in the query.
    Redirect { redirect_uri: String, state: Option<String>, error: &'static str, description: &'static str },
}

/// The claims of the token in the session cookie.
#[derive(Debug, Deserialize)]
struct SessionClaims {
    iss: String,
    aud: String,
    sub: String,
    email: Option<String>,
    email_verified: Option<bool>,
    exp: i64,
}

/// A user that the page offers as a button.
#[derive(Debug, PartialEq, Eq)]
struct Choice {
    email: String,
    label: &'static str,
}

#[derive(Template)]
#[template(path = "sign-in.html")]
struct SignInPage<'a> {
    choices: Vec<Choice>,
    parameters: Vec<(&'a str, &'a str)>,
    email: &'a str,
    problem: Option<String>,
}

#[derive(Template)]
#[template(path = "message.html")]
struct MessagePage<'a> {
    title: &'a str,
    text: &'a str,
}

impl SignIn {
    /// Creates the endpoints of `issuer`, for the laptop's own pages and for pages of `other_origins`. With `demo`, the
    /// page offers the users of the demo organization.
    #[must_use]
    pub fn new(issuer: Issuer, other_origins: &[HeaderValue], demo: bool) -> Self {
        let port = issuer.url.rsplit_once(':').map_or("80", |(_, port)| port);
        // Not `[::1]`, because the laptop does not listen there, and a Content-Security-Policy cannot name it.
        let own = ["127.0.0.1", "localhost"].map(|host| format!("http://{host}:{port}"));
        let own = own.into_iter().filter_map(|origin| HeaderValue::try_from(origin).ok());
        let origins = own.chain(other_origins.iter().cloned()).collect();
        let cookie = format!("{SESSION_AUDIENCE}-{port}");
        Self(Arc::new(Inner { issuer, origins, cookie, demo, codes: Mutex::default() }))
    }

    /// Serves the sign-in page, the token endpoint, signing out, and the issuer's discovery document and keys. Pages of
    /// allowed origins may call the token endpoint, the discovery document and the keys (CORS).
    pub fn router(self) -> Router {
        let with_cors = Router::new()
            .route(TOKEN, routing::post(token))
            .merge(self.0.issuer.clone().discovery_router())
            .layer(cors::allow(&self.0.origins));
        Router::new()
            .route(AUTHORIZE, routing::get(authorize).post(submit))
            .route(SIGN_OUT, routing::get(sign_out))
            .merge(with_cors)
            .with_state(self)
    }
}

/// `GET /_dev/authorize`: shows the sign-in page. With `prompt=none`, redirects at once, with a code for the user of
/// the session or with an error.
async fn authorize(
    Extract(SignIn(inner)): Extract<SignIn>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let pairs = query_pairs(query.as_deref().unwrap_or_default());
    let request = match inner.parse_request(&pairs) {
        Ok(request) => request,
        Err(refusal) => return inner.refuse(refusal),
    };
    let person = inner.session_user(&headers).await;
    if !request.is_silent {
        let email = request.login_hint.as_deref().unwrap_or_default();
        return inner.sign_in_page(&pairs, person.as_ref(), email, None);
    }
    let matches_hint = |person: &Person| {
        let email = person.email.as_deref();
        request
            .login_hint
            .as_deref()
            .is_none_or(|hint| email.is_some_and(|email| is_same_address(hint, email)))
    };
    match person.filter(matches_hint) {
        Some(person) => inner.grant_code(request, person).await,
        None => inner.refuse(request.refusal("login_required", "no user, or another user, is signed in")),
    }
}

/// `POST /_dev/authorize`: handles the forms of the sign-in page.
async fn submit(Extract(SignIn(inner)): Extract<SignIn>, headers: HeaderMap, body: String) -> Response {
    let pairs = query_pairs(&body);
    let request = match inner.parse_request(&pairs) {
        Ok(request) => request,
        Err(refusal) => return inner.refuse(refusal),
    };
    let value = |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    if value("cancel").is_some() {
        return inner.refuse(request.refusal("access_denied", "the user cancelled the sign-in"));
    }
    let last = inner.session_user(&headers).await;
    let (email, verified) = match value("as") {
        // The button of the session's user keeps the address unverified if it was unverified before.
        Some(email) => {
            let same_user = last.as_ref().filter(|person| person.email.as_deref() == Some(email));
            (email, same_user.and_then(|person| person.email_verified).unwrap_or(true))
        }
        None => (value("email").unwrap_or_default(), value("verified").is_some()),
    };
    let Ok(address) = EmailAddress::parse(email.trim()) else {
        let problem = format!("“{email}” is not an e-mail address.");
        return inner.sign_in_page(&pairs, last.as_ref(), email, Some(problem));
    };
    let sub = demo::user_id(&address);
    let person = Person { sub, email: Some(address.as_str().to_owned()), email_verified: Some(verified) };
    inner.grant_code(request, person).await
}

/// `POST /_dev/authorize/token`: exchanges a code for tokens. A code can be exchanged only once.
async fn token(Extract(SignIn(inner)): Extract<SignIn>, body: String) -> Response {
    let error = |error: &str, description: &str| {
        let status =
            if error == "server_error" { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::BAD_REQUEST };
        (status, Json(json!({ "error": error, "error_description": description }))).into_response()
    };
    let pairs = query_pairs(&body);
    let value = |name| single_value(&pairs, name).ok().flatten();
    if value("grant_type").is_some_and(|kind| kind != "authorization_code") {
        return error("unsupported_grant_type", "grant_type must be authorization_code");
    }
    let all = ["grant_type", "client_id", "code", "redirect_uri", "code_verifier"].map(value);
    let [Some(_), Some(client), Some(code), Some(redirect_uri), Some(verifier)] = all else {
        return error(
            "invalid_request",
            "grant_type, client_id, code, redirect_uri and code_verifier must each be present exactly once",
        );
    };
    if client != CLIENT {
        return error("invalid_client", "the only client is roster-console");
    }
    match inner.redeem_code(code, redirect_uri, verifier) {
        None => error("invalid_grant", "the code is unknown, used or expired, or belongs to another request"),
        Some(grant) => match inner.tokens(&grant).await {
            Ok(tokens) => Json(tokens).into_response(),
            Err(problem) => error("server_error", &problem.to_string()),
        },
    }
}

/// `GET /_dev/sign-out`: deletes the session cookie, and redirects to `post_logout_redirect_uri` if the request has
/// one.
async fn sign_out(Extract(SignIn(inner)): Extract<SignIn>, RawQuery(query): RawQuery) -> Response {
    let pairs = query_pairs(query.as_deref().unwrap_or_default());
    let redirect_uri = match single_value(&pairs, "post_logout_redirect_uri") {
        Ok(redirect_uri) => redirect_uri,
        Err(RepeatedParameter) => {
            return inner.refuse(Refusal::Page("post_logout_redirect_uri is present more than once."));
        }
    };
    let mut response = match redirect_uri {
        None => inner.message_page(StatusCode::OK, "Signed out", "You can close this page."),
        Some(uri) if inner.is_allowed_redirect(uri) => {
            redirect(uri, &[("state", single_value(&pairs, "state").ok().flatten())])
                .unwrap_or_else(|| inner.refuse(REDIRECT_NOT_ALLOWED))
        }
        Some(_) => return inner.refuse(REDIRECT_NOT_ALLOWED),
    };
    set_cookie(&mut response, &inner.cookie, "", 0);
    response
}

const REDIRECT_NOT_ALLOWED: Refusal = Refusal::Page(
    "The redirect URI is not a page of this laptop. The option --allow-origin allows pages of other origins.",
);

/// A parameter is present more than once.
struct RepeatedParameter;

/// Returns the value of a parameter. An empty value counts as absent (RFC 6749, section 3.1).
fn single_value<'a>(pairs: &'a [(String, String)], name: &str) -> Result<Option<&'a str>, RepeatedParameter> {
    let mut values = pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let value = values.next().filter(|value| !value.is_empty());
    if values.next().is_some() { Err(RepeatedParameter) } else { Ok(value) }
}

/// Whether `text` is the address `email`, compared in ASCII lower case (rule: addresses).
fn is_same_address(text: &str, email: &str) -> bool {
    EmailAddress::parse(text).is_ok_and(|address| address.as_str() == email)
}

impl AuthorizationRequest {
    /// Reports an error to the page that sent this request.
    fn refusal(self, error: &'static str, description: &'static str) -> Refusal {
        Refusal::Redirect { redirect_uri: self.redirect_uri, state: self.state, error, description }
    }
}

impl Inner {
    /// Parses and checks an authorization request.
    fn parse_request(&self, pairs: &[(String, String)]) -> Result<AuthorizationRequest, Refusal> {
        let repeated =
            |_: RepeatedParameter| Refusal::Page("client_id or redirect_uri is present more than once.");
        if single_value(pairs, "client_id").map_err(repeated)? != Some(CLIENT) {
            return Err(Refusal::Page("The only client of this issuer is roster-console."));
        }
        let redirect_uri =
            single_value(pairs, "redirect_uri").map_err(repeated)?.unwrap_or_default().to_owned();
        if !self.is_allowed_redirect(&redirect_uri) {
            return Err(REDIRECT_NOT_ALLOWED);
        }
        let state = single_value(pairs, "state").ok().flatten().map(str::to_owned);
        let refusal = |error, description| Refusal::Redirect {
            redirect_uri: redirect_uri.clone(),
            state: state.clone(),
            error,
            description,
        };
        let value = |name| {
            single_value(pairs, name).map_err(|_: RepeatedParameter| {
                refusal("invalid_request", "a parameter is present more than once")
            })
        };
        value("state")?;
        if value("response_type")? != Some("code") {
            return Err(refusal("unsupported_response_type", "response_type must be code"));
        }
        if value("code_challenge_method")? != Some("S256") {
            return Err(refusal("invalid_request", "code_challenge_method must be S256"));
        }
        let challenge = value("code_challenge")?.unwrap_or_default().to_owned();
        if URL_SAFE_NO_PAD.decode(&challenge).map(|digest| digest.len()) != Ok(32) {
            return Err(refusal("invalid_request", "code_challenge must be a SHA-256 digest in base64url"));
        }
        let prompts: Vec<_> = value("prompt")?.unwrap_or_default().split(' ').collect();
        let is_silent = prompts.contains(&"none");
        if is_silent && prompts.len() > 1 {
            return Err(refusal("invalid_request", "prompt must not combine none with other values"));
        }
        Ok(AuthorizationRequest {
            nonce: value("nonce")?.map(str::to_owned),
            scope: value("scope")?.unwrap_or_default().to_owned(),
            login_hint: value("login_hint")?.map(str::to_owned),
            challenge,
            is_silent,
            redirect_uri,
            state,
        })
    }

    /// Whether the browser may be redirected to `uri`: it must be on an allowed origin.
    fn is_allowed_redirect(&self, uri: &str) -> bool {
        let Ok(parsed) = uri.parse::<Uri>() else { return false };
        let (Some(scheme), Some(authority)) = (parsed.scheme_str(), parsed.authority()) else { return false };
        let origin = format!("{scheme}://{authority}");
        // RFC 6749, section 3.1.2, forbids fragments. The URI must also be valid in a header.
        !uri.contains('#')
            && HeaderValue::from_str(uri).is_ok()
            && self.origins.iter().any(|allowed| *allowed == origin)
    }

    /// Signs the user in: sets the session cookie, and redirects to the page that sent the request, with a code.
    async fn grant_code(&self, request: AuthorizationRequest, person: Person) -> Response {
        let session = match self.session_token(&person).await {
            Ok(session) => session,
            Err(problem) => {
                return (StatusCode::INTERNAL_SERVER_ERROR, format!("{problem}\n")).into_response();
            }
        };
        let code = random::hex::<32>();
        let parameters = [
            ("code", Some(code.as_str())),
            ("state", request.state.as_deref()),
            ("iss", Some(&*self.issuer.url)),
        ];
        let Some(mut response) = redirect(&request.redirect_uri, &parameters) else {
            return self.refuse(REDIRECT_NOT_ALLOWED);
        };
        let now = self.issuer.clock.now_unix();
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        codes.retain(|_, grant| now < grant.expires_at);
        codes.insert(code, Grant { request, person, expires_at: now + CODE_SECONDS });
        set_cookie(&mut response, &self.cookie, &session, SESSION_SECONDS);
        response
    }

    /// Returns the grant of a code, if the code is valid for this redirect URI and verifier. Removes the code in any
    /// case.
    fn redeem_code(&self, code: &str, redirect_uri: &str, verifier: &str) -> Option<Grant> {
        let grant = self.codes.lock().unwrap_or_else(PoisonError::into_inner).remove(code)?;
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
        let matches_request =
            grant.request.redirect_uri == redirect_uri && grant.request.challenge == challenge;
        (matches_request && self.issuer.clock.now_unix() < grant.expires_at).then_some(grant)
    }

    async fn tokens(&self, grant: &Grant) -> Result<Value, Arc<IssuerError>> {
        let Grant { request, person, .. } = grant;
        let mut tokens = json!({
            "access_token": self.issuer.token(person).await?,
            "token_type": "Bearer",
            "expires_in": TOKEN_SECONDS,
            "scope": request.scope,
        });
        if request.scope.split(' ').any(|scope| scope == "openid") {
            let nonce = request.nonce.as_deref();
            tokens["id_token"] = json!(self.issuer.sign_token(CLIENT, person, nonce, TOKEN_SECONDS).await?);
        }
        Ok(tokens)
    }

    async fn session_token(&self, person: &Person) -> Result<String, Arc<IssuerError>> {
        self.issuer.sign_token(SESSION_AUDIENCE, person, None, SESSION_SECONDS).await
    }

    /// Returns the user of the session cookie.
    async fn session_user(&self, headers: &HeaderMap) -> Option<Person> {
        let lines = headers.get_all(header::COOKIE).into_iter().filter_map(|line| line.to_str().ok());
        let mut cookies =
            lines.flat_map(|line| line.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
        let (_, session) = cookies.find(|(name, _)| *name == self.cookie)?;
        let claims = self.issuer.key().await.ok()?.public.verify(session, &RS256).ok()?;
        let SessionClaims { iss, aud, sub, email, email_verified, exp } =
            serde_json::from_value(claims.into()).ok()?;
        let is_valid =
            iss == *self.issuer.url && aud == SESSION_AUDIENCE && self.issuer.clock.now_unix() < exp;
        is_valid.then_some(Person { sub, email, email_verified })
    }

    /// Returns the users that the page offers: first the user in `login_hint`, then the user who signed in last, then
    /// users of the demo organization.
    fn choices(&self, hint: &str, last: Option<&Person>) -> Vec<Choice> {
        let hinted =
            EmailAddress::parse(hint).ok().map(|email| (email.as_str().to_owned(), "Expected by the page"));
        let last = last.and_then(|person| person.email.clone()).map(|email| (email, "Signed in last"));
        let demo = [
            (demo::OWNER.1, "Owner of Acme"),
            (demo::MEMBER.1, "Member of Acme"),
            (demo::INVITEE.1, "Invited to Acme"),
        ];
        let demo = demo.into_iter().filter(|_| self.demo).map(|(email, label)| (email.to_owned(), label));
        let mut choices = Vec::<Choice>::new();
        for (email, label) in hinted.into_iter().chain(last).chain(demo) {
            match choices.iter_mut().find(|choice| choice.email == email) {
                // A user of the demo organization gets the label of the demo, because it says more.
                Some(choice) => choice.label = label,
                None => choices.push(Choice { email, label }),
            }
        }
        choices
    }

    fn sign_in_page(
        &self,
        pairs: &[(String, String)],
        last: Option<&Person>,
        email: &str,
        problem: Option<String>,
    ) -> Response {
        let hint = single_value(pairs, "login_hint").ok().flatten().unwrap_or_default();
        let status = if problem.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
        let choices = self.choices(hint, last);
        // The text field stays empty if a button has the same address.
        let is_offered = choices.iter().any(|choice| is_same_address(email, &choice.email));
        let email = if is_offered { "" } else { email };
        let names = FORM_PARAMETERS.into_iter().chain(["login_hint"]);
        let parameters =
            names.filter_map(|name| Some((name, single_value(pairs, name).ok().flatten()?))).collect();
        self.render(status, &SignInPage { choices, parameters, email, problem })
    }

    fn refuse(&self, refusal: Refusal) -> Response {
        match refusal {
            Refusal::Page(text) => {
                self.message_page(StatusCode::BAD_REQUEST, "The request is not valid", text)
            }
            Refusal::Redirect { redirect_uri, state, error, description } => {
                let parameters = [
                    ("error", Some(error)),
                    ("error_description", Some(description)),
                    ("state", state.as_deref()),
                    ("iss", Some(&*self.issuer.url)),
                ];
                redirect(&redirect_uri, &parameters).unwrap_or_else(|| self.refuse(REDIRECT_NOT_ALLOWED))
            }
        }
    }

    fn message_page(&self, status: StatusCode, title: &str, text: &str) -> Response {
        self.render(status, &MessagePage { title, text })
    }

    fn render(&self, status: StatusCode, page: &impl Template) -> Response {
        let html = match page.render() {
            Ok(html) => html,
            Err(problem) => {
                return (StatusCode::INTERNAL_SERVER_ERROR, format!("{problem}\n")).into_response();
            }
        };
        // Browsers also check the target of a redirect after a form against `form-action`. A policy cannot name an IPv6
        // address, so such origins are left out.
        let forms = self
            .origins
            .iter()
            .filter_map(|origin| origin.to_str().ok())
            .filter(|origin| !origin.contains('['));
        let forms = forms.fold("'self'".to_owned(), |forms, origin| format!("{forms} {origin}"));
        let policy = PagePolicy { styles: &style_hashes(&html), forms: &forms, ..PagePolicy::default() };
        match policy.headers() {
            Ok(mut headers) => {
                // With `no-referrer`, browsers send the form with `Origin: null`, which the guard refuses.
                headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
                (status, headers, Html(html)).into_response()
            }
            Err(problem) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{problem}\n")).into_response(),
        }
    }
}

/// Redirects to `uri` with those of the parameters that have a value. Returns `None` if the result is not valid in a
/// header.
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

/// Sets the session cookie. Its path limits it to `/_dev`, so that functions do not receive it.
fn set_cookie(response: &mut Response, name: &str, value: &str, seconds: i64) {
    let cookie = format!("{name}={value}; Path=/_dev; Max-Age={seconds}; HttpOnly; SameSite=Lax");
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

#[cfg(test)]
mod tests;
