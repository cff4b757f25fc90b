//! People who call the API.

use axum::Router;
use axum::body::Body;
use http::{HeaderValue, Method, Request, header};
use http_body_util::BodyExt as _;
use local::issuer::Issuer;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::wire::as_api_call;
use crate::{ApiResponse, NoResponse, openapi};

/// An organization, as a scenario refers to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// The id.
    pub id: String,
}

impl Organization {
    /// Refers to the organization with this id. The id may be invalid.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self { id: id.to_owned() }
    }

    /// Returns the path of the organization followed by `below`.
    #[must_use]
    pub fn path(&self, below: &str) -> String {
        format!("/v1/organizations/{}{below}", encoded(&self.id))
    }
}

/// A person who calls the API.
#[derive(Clone)]
pub struct Person {
    router: Router,
    /// The user id: the claim `sub`.
    pub sub: String,
    credentials: Credentials,
    /// The key that is sent with every call.
    idempotency_key: Option<HeaderValue>,
}

/// The credentials of a person.
#[derive(Clone)]
enum Credentials {
    /// The person is not signed in.
    None,
    /// This bearer token is sent with every call.
    Token(String),
    /// Every call gets a new token, because a token is valid for one hour and the clock advances by days.
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

    pub(crate) fn anonymous(router: Router) -> Self {
        Self { router, sub: String::new(), credentials: Credentials::None, idempotency_key: None }
    }

    /// Returns the same person with another bearer token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { credentials: Credentials::Token(token.to_owned()), ..self.clone() }
    }

    /// Returns the same person, who sends this idempotency key with every call.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        let key = HeaderValue::from_bytes(key.as_bytes()).expect("this is a valid header value");
        Self { idempotency_key: Some(key), ..self.clone() }
    }

    /// Creates an organization.
    pub async fn creates(&self, name: &str) -> ApiResponse {
        self.posts("/v1/organizations", &json!({ "name": name })).await
    }

    /// Invites addresses.
    pub async fn invites(&self, organization: &Organization, emails: &[&str], role: &str) -> ApiResponse {
        let body = json!({ "emails": emails, "role": role });
        self.posts(&organization.path("/invitations"), &body).await
    }

    /// Invites addresses, with mails in this language.
    pub async fn invites_in(
        &self,
        organization: &Organization,
        emails: &[&str],
        role: &str,
        language: &str,
    ) -> ApiResponse {
        let body = json!({ "emails": emails, "role": role, "language": language });
        self.posts(&organization.path("/invitations"), &body).await
    }

    /// Resends an invitation.
    pub async fn resends(&self, organization: &Organization, invitation: &str) -> ApiResponse {
        let path = organization.path(&format!("/invitations/{}/resend", encoded(invitation)));
        self.calls(Method::POST, &path, None).await
    }

    /// Revokes an invitation.
    pub async fn revokes(&self, organization: &Organization, invitation: &str) -> ApiResponse {
        let path = organization.path(&format!("/invitations/{}", encoded(invitation)));
        self.calls(Method::DELETE, &path, None).await
    }

    /// Previews the invitation of a link.
    pub async fn previews(&self, token: &str) -> ApiResponse {
        self.posts("/v1/invitations/preview", &json!({ "token": token })).await
    }

    /// Accepts an invitation.
    pub async fn accepts(&self, token: &str) -> ApiResponse {
        self.posts("/v1/invitations/accept", &json!({ "token": token })).await
    }

    /// Declines an invitation.
    pub async fn declines(&self, token: &str) -> ApiResponse {
        self.posts("/v1/invitations/decline", &json!({ "token": token })).await
    }

    /// Changes a member's role.
    pub async fn edits_role(&self, organization: &Organization, user: &str, role: &str) -> ApiResponse {
        let path = organization.path(&format!("/members/{}", encoded(user)));
        self.calls(Method::PATCH, &path, Some(json!({ "role": role }).to_string())).await
    }

    /// Renames the organization.
    pub async fn renames(&self, organization: &Organization, name: &str) -> ApiResponse {
        self.calls(Method::PATCH, &organization.path(""), Some(json!({ "name": name }).to_string())).await
    }

    /// Removes a member.
    pub async fn removes(&self, organization: &Organization, user: &str) -> ApiResponse {
        let path = organization.path(&format!("/members/{}", encoded(user)));
        self.calls(Method::DELETE, &path, None).await
    }

    /// Leaves the organization.
    pub async fn leaves(&self, organization: &Organization) -> ApiResponse {
        self.removes(organization, &self.sub).await
    }

    /// Gets an organization.
    pub async fn gets_organization(&self, organization: &Organization) -> ApiResponse {
        self.gets(&organization.path("")).await
    }

    /// Lists members. `query` is empty or begins with `?`.
    pub async fn lists_members(&self, organization: &Organization, query: &str) -> ApiResponse {
        self.gets(&organization.path(&format!("/members{query}"))).await
    }

    /// Lists invitations. `query` is empty or begins with `?`.
    pub async fn lists_invitations(&self, organization: &Organization, query: &str) -> ApiResponse {
        self.gets(&organization.path(&format!("/invitations{query}"))).await
    }

    /// Lists the organizations in which the person is a member.
    pub async fn lists_organizations(&self) -> ApiResponse {
        self.gets("/v1/organizations").await
    }

    /// Reads all pages of a list, `limit` items per page. `path` may have a query.
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
        panic!("{path} has more than {PAGES_MAX} pages");
    }

    /// Returns the taken and the free seats of an organization.
    pub async fn counts_seats(&self, organization: &Organization) -> (u64, u64) {
        let seats = &self.gets_organization(organization).await.is(200)["seats"];
        (seats["taken"].as_u64().unwrap_or(u64::MAX), seats["free"].as_u64().unwrap_or(u64::MAX))
    }

    /// Returns the invitation of an address from the list of invitations.
    pub async fn finds_invitation(&self, organization: &Organization, email: &str) -> Value {
        let list = self.lists_invitations(organization, "?limit=1000").await.is(200);
        let items = list["items"].as_array().cloned().unwrap_or_default();
        let found = items.into_iter().find(|item| item["email"] == email);
        found.unwrap_or_else(|| panic!("{email} has no invitation"))
    }

    /// Sends a GET request.
    pub async fn gets(&self, path: &str) -> ApiResponse {
        self.calls(Method::GET, path, None).await
    }

    /// Sends a POST request with JSON.
    pub async fn posts(&self, path: &str, body: &Value) -> ApiResponse {
        self.calls(Method::POST, path, Some(body.to_string())).await
    }

    /// Sends a POST request with any body and the content type JSON.
    pub async fn posts_bytes(&self, path: &str, body: impl Into<Body>) -> ApiResponse {
        let request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
        self.sends(request.body(body.into()).expect("this is a valid request")).await
    }

    /// Sends a request with this method, path and body.
    pub async fn calls(&self, method: Method, path: &str, body: Option<String>) -> ApiResponse {
        let request = Request::builder().method(method).uri(path);
        let request = match &body {
            Some(_) => request.header(header::CONTENT_TYPE, "application/json"),
            None => request,
        };
        self.sends(request.body(Body::from(body.unwrap_or_default())).expect("this is a valid request")).await
    }

    /// Sends a request to a laptop that may not be reachable.
    pub async fn tries(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<ApiResponse, NoResponse> {
        let request = Request::builder().method(method).uri(path);
        let request = request.header(header::CONTENT_TYPE, "application/json");
        let body = body.map(Value::to_string).unwrap_or_default();
        self.tries_to_send(request.body(Body::from(body)).expect("this is a valid request")).await
    }

    /// Sends a request, with the person's credentials, idempotency key and a `Host` header.
    pub async fn sends(&self, request: Request<Body>) -> ApiResponse {
        self.tries_to_send(request).await.unwrap_or_else(|error| panic!("{error}"))
    }

    async fn tries_to_send(&self, mut request: Request<Body>) -> Result<ApiResponse, NoResponse> {
        let headers = request.headers_mut();
        headers.insert(header::HOST, "127.0.0.1".parse().expect("this is a valid header value"));
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
            headers.insert(
                header::AUTHORIZATION,
                format!("Bearer {token}").parse().expect("this is a valid header value"),
            );
        }
        // Boxed because the future of a handler is large.
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let response = as_api_call(Box::pin(self.router.clone().oneshot(request))).await;
        let (mut parts, body) = response.expect("a router never fails").into_parts();
        if let Some(no_response) = parts.extensions.remove() {
            return Err(no_response);
        }
        let body = body.collect().await;
        let body = body
            .map_err(|error| NoResponse(format!("the response of {path} ended early: {error}")))?
            .to_bytes();
        // Only a mail may contain a token; no response of the API may.
        let text = String::from_utf8_lossy(&body).into_owned();
        let shows_token = text.contains("v1.dev.");
        assert!(!shows_token || !path.starts_with("/v1/"), "{path} shows a token");
        let body = if body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&body).unwrap_or_else(|_| Value::String(text.clone()))
        };
        let documented = openapi::check_documented(&method, &path, parts.status.as_u16(), &body);
        assert_eq!(documented, Ok(()), "{body}");
        Ok(ApiResponse { status: parts.status, headers: parts.headers, body, text })
    }
}
