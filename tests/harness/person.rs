//! People, and what they do.

use axum::Router;
use axum::body::Body;
use http::{HeaderValue, Method, Request, header};
use http_body_util::BodyExt as _;
use local::issuer::Issuer;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::wire::as_one_action;
use crate::{Answer, NoAnswer, document};

/// An organization, as people name it in a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// Its id.
    pub id: String,
}

impl Organization {
    /// The organization with this id.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self { id: id.to_owned() }
    }

    /// The path of what lies below it.
    #[must_use]
    pub fn path(&self, below: &str) -> String {
        format!("/v1/organizations/{}{below}", encoded(&self.id))
    }
}

/// Somebody who calls the API.
#[derive(Clone)]
pub struct Person {
    router: Router,
    /// The `sub`.
    pub sub: String,
    credentials: Credentials,
    /// Sent with every call.
    idempotency_key: Option<HeaderValue>,
}

/// How somebody shows who they are.
#[derive(Clone)]
enum Credentials {
    /// Not at all.
    None,
    /// With this bearer token.
    Token(String),
    /// With a fresh token for every call: tokens are good for an hour, and days pass in a scenario.
    SignedIn(Issuer, Box<local::issuer::Person>),
}

fn encoded(segment: &str) -> String {
    utf8_percent_encode(segment, NON_ALPHANUMERIC).to_string()
}

impl Person {
    pub(crate) fn signed_in(router: Router, issuer: Issuer, person: local::issuer::Person) -> Self {
        let sub = person.sub.clone();
        Self {
            router,
            sub,
            credentials: Credentials::SignedIn(issuer, Box::new(person)),
            idempotency_key: None,
        }
    }

    pub(crate) fn nobody(router: Router) -> Self {
        Self { router, sub: String::new(), credentials: Credentials::None, idempotency_key: None }
    }

    /// The same person with another bearer token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { credentials: Credentials::Token(token.to_owned()), ..self.clone() }
    }

    /// The same person, who sends this idempotency key with every call.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        let key = HeaderValue::from_bytes(key.as_bytes()).expect("a header can say this");
        Self { idempotency_key: Some(key), ..self.clone() }
    }

    /// Creates an organization.
    pub async fn creates(&self, name: &str) -> Answer {
        self.posts("/v1/organizations", &json!({ "name": name })).await
    }

    /// Invites addresses.
    pub async fn invites(&self, organization: &Organization, emails: &[&str], role: &str) -> Answer {
        let body = json!({ "emails": emails, "role": role });
        self.posts(&organization.path("/invitations"), &body).await
    }

    /// Invites addresses, with their mails in that language.
    pub async fn invites_in(
        &self,
        organization: &Organization,
        emails: &[&str],
        role: &str,
        language: &str,
    ) -> Answer {
        let body = json!({ "emails": emails, "role": role, "language": language });
        self.posts(&organization.path("/invitations"), &body).await
    }

    /// Resends an invitation.
    pub async fn resends(&self, organization: &Organization, invitation: &str) -> Answer {
        let path = organization.path(&format!("/invitations/{}/resend", encoded(invitation)));
        self.calls(Method::POST, &path, None).await
    }

    /// Revokes an invitation.
    pub async fn revokes(&self, organization: &Organization, invitation: &str) -> Answer {
        let path = organization.path(&format!("/invitations/{}", encoded(invitation)));
        self.calls(Method::DELETE, &path, None).await
    }

    /// Looks at what a link is about.
    pub async fn previews(&self, token: &str) -> Answer {
        self.posts("/v1/invitations/preview", &json!({ "token": token })).await
    }

    /// Accepts an invitation.
    pub async fn accepts(&self, token: &str) -> Answer {
        self.posts("/v1/invitations/accept", &json!({ "token": token })).await
    }

    /// Declines an invitation.
    pub async fn declines(&self, token: &str) -> Answer {
        self.posts("/v1/invitations/decline", &json!({ "token": token })).await
    }

    /// Edits a member's role.
    pub async fn edits(&self, organization: &Organization, user: &str, role: &str) -> Answer {
        let path = organization.path(&format!("/members/{}", encoded(user)));
        self.calls(Method::PATCH, &path, Some(json!({ "role": role }).to_string())).await
    }

    /// Renames the organization.
    pub async fn renames(&self, organization: &Organization, name: &str) -> Answer {
        self.calls(Method::PATCH, &organization.path(""), Some(json!({ "name": name }).to_string())).await
    }

    /// Removes a member.
    pub async fn removes(&self, organization: &Organization, user: &str) -> Answer {
        let path = organization.path(&format!("/members/{}", encoded(user)));
        self.calls(Method::DELETE, &path, None).await
    }

    /// Leaves.
    pub async fn leaves(&self, organization: &Organization) -> Answer {
        self.removes(organization, &self.sub).await
    }

    /// Looks at an organization.
    pub async fn looks_at(&self, organization: &Organization) -> Answer {
        self.gets(&organization.path("")).await
    }

    /// Lists members; `query` is empty or begins with `?`.
    pub async fn lists_members(&self, organization: &Organization, query: &str) -> Answer {
        self.gets(&organization.path(&format!("/members{query}"))).await
    }

    /// Lists invitations; `query` is empty or begins with `?`.
    pub async fn lists_invitations(&self, organization: &Organization, query: &str) -> Answer {
        self.gets(&organization.path(&format!("/invitations{query}"))).await
    }

    /// Lists the organizations they are in.
    pub async fn lists_organizations(&self) -> Answer {
        self.gets("/v1/organizations").await
    }

    /// Reads a list to its end, `limit` items at a time; `path` has a query already or none.
    pub async fn reads_all(&self, path: &str, limit: usize) -> Vec<Value> {
        const PAGES_MAX: usize = 200;
        let query = if path.contains('?') { '&' } else { '?' };
        let mut all = Vec::new();
        let mut cursor = String::new();
        for _ in 0..PAGES_MAX {
            let page = self.gets(&format!("{path}{query}limit={limit}{cursor}")).await.is(200);
            let items = page["items"].as_array().cloned().unwrap_or_default();
            assert!(items.len() <= limit, "{} items, though the limit is {limit}", items.len());
            all.extend(items);
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={}", encoded(next)),
                None => return all,
            }
        }
        panic!("{path} has no end");
    }

    /// The seats of an organization, as (taken, free).
    pub async fn counts_seats(&self, organization: &Organization) -> (u64, u64) {
        let seats = &self.looks_at(organization).await.is(200)["seats"];
        (seats["taken"].as_u64().unwrap_or(u64::MAX), seats["free"].as_u64().unwrap_or(u64::MAX))
    }

    /// The invitation of an address, as the list shows it.
    pub async fn finds(&self, organization: &Organization, email: &str) -> Value {
        let list = self.lists_invitations(organization, "?limit=1000").await.is(200);
        let items = list["items"].as_array().cloned().unwrap_or_default();
        let found = items.into_iter().find(|item| item["email"] == email);
        found.unwrap_or_else(|| panic!("{email} has no invitation"))
    }

    /// Sends a GET.
    pub async fn gets(&self, path: &str) -> Answer {
        self.calls(Method::GET, path, None).await
    }

    /// Sends a POST with JSON.
    pub async fn posts(&self, path: &str, body: &Value) -> Answer {
        self.calls(Method::POST, path, Some(body.to_string())).await
    }

    /// Sends a POST with whatever `body` is, said to be JSON.
    pub async fn posts_bytes(&self, path: &str, body: impl Into<Body>) -> Answer {
        let request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
        self.sends(request.body(body.into()).expect("a request")).await
    }

    /// Sends anything.
    pub async fn calls(&self, method: Method, path: &str, body: Option<String>) -> Answer {
        let request = Request::builder().method(method).uri(path);
        let request = match &body {
            Some(_) => request.header(header::CONTENT_TYPE, "application/json"),
            None => request,
        };
        self.sends(request.body(Body::from(body.unwrap_or_default())).expect("a request")).await
    }

    /// Sends anything to a laptop that may be away.
    pub async fn tries(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, NoAnswer> {
        let request = Request::builder().method(method).uri(path);
        let request = request.header(header::CONTENT_TYPE, "application/json");
        let body = body.map(Value::to_string).unwrap_or_default();
        self.tries_to_send(request.body(Body::from(body)).expect("a request")).await
    }

    /// Sends a request as it is, but for who is calling and where.
    pub async fn sends(&self, request: Request<Body>) -> Answer {
        self.tries_to_send(request).await.unwrap_or_else(|error| panic!("{error}"))
    }

    async fn tries_to_send(&self, mut request: Request<Body>) -> Result<Answer, NoAnswer> {
        let headers = request.headers_mut();
        headers.insert(header::HOST, "127.0.0.1".parse().expect("a host"));
        if let Some(key) = &self.idempotency_key {
            headers.insert("idempotency-key", key.clone());
        }
        let token = match &self.credentials {
            Credentials::None => None,
            Credentials::Token(token) => Some(token.clone()),
            Credentials::SignedIn(issuer, person) => {
                Some(issuer.token(person).await.expect("the issuer signs"))
            }
        };
        if let Some(token) = token {
            headers.insert(header::AUTHORIZATION, format!("Bearer {token}").parse().expect("a token"));
        }
        // A handler's future is a large one; the heap is the place for it.
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let response = as_one_action(Box::pin(self.router.clone().oneshot(request))).await;
        let (mut parts, body) = response.expect("a router always answers").into_parts();
        if let Some(no_answer) = parts.extensions.remove() {
            return Err(no_answer);
        }
        let body = body.collect().await;
        let body = body.map_err(|error| NoAnswer(format!("{path} broke off: {error}")))?.to_bytes();
        // Whoever has a link got it by mail: no answer ever shows one, to nobody.
        let text = String::from_utf8_lossy(&body).into_owned();
        let shows_token = text.contains("v1.dev.");
        assert!(!shows_token || !path.starts_with("/v1/"), "{path} shows a token");
        let body = if body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&body).unwrap_or_else(|_| Value::String(text.clone()))
        };
        let known = document::knows(&method, &path, parts.status.as_u16(), body["code"].as_str());
        assert_eq!(known, Ok(()), "{body}");
        Ok(Answer { status: parts.status, headers: parts.headers, body, text })
    }
}
