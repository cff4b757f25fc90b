//! People who call a laptop over the network instead of within this process.

use std::fmt;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::json;

use crate::Person;

/// The error of a call without a response: the laptop is not reachable, or it stopped during the call. The call may
/// have taken effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoResponse(pub(crate) String);

impl fmt::Display for NoResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A router must return a response, so the error is stored in the extensions of an empty one.
impl IntoResponse for NoResponse {
    fn into_response(self) -> Response {
        let mut response = StatusCode::BAD_GATEWAY.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl Person {
    /// Returns a person who is not signed in, and who calls the laptop at `url`.
    #[must_use]
    pub fn at(url: &str) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
        let url = url.to_owned();
        Self::anonymous(Router::new().fallback(move |mut request: Request<Body>| {
            let uri = format!("{url}{}", request.uri());
            *request.uri_mut() = uri.parse().expect("this is a valid URL");
            let response = client.request(request);
            async move {
                match response.await {
                    Ok(response) => response.map(Body::new),
                    Err(error) => NoResponse(format!("no response from {uri}: {error:?}")).into_response(),
                }
            }
        }))
    }

    /// Returns this person signed in as `name` by the laptop's issuer, with the verified address `<name>@example.com`.
    /// The token is valid for one hour.
    pub async fn signs_in_as(&self, name: &str) -> Self {
        let claims = json!({ "sub": name, "email": format!("{name}@example.com"), "email_verified": true });
        let response = self.posts("/_dev/token", &claims).await.is(200);
        let mut person =
            self.with_token(response["access_token"].as_str().expect("the issuer returns a token"));
        name.clone_into(&mut person.sub);
        person
    }
}
