//! People who reach a laptop over the network, as programs do, and not within this process.

use std::fmt;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::json;

use crate::Person;

/// A call was not answered: the laptop is away, or went away meanwhile. What was asked for may be done or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoAnswer(pub(crate) String);

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A router always answers; with this there is no answer to pass on.
impl IntoResponse for NoAnswer {
    fn into_response(self) -> Response {
        let mut response = StatusCode::BAD_GATEWAY.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl Person {
    /// Somebody who is not signed in, at the laptop that is served at `url`.
    #[must_use]
    pub fn at(url: &str) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
        let url = url.to_owned();
        Self::nobody(Router::new().fallback(move |mut request: Request<Body>| {
            let uri = format!("{url}{}", request.uri());
            *request.uri_mut() = uri.parse().expect("a laptop's URL");
            let answer = client.request(request);
            async move {
                match answer.await {
                    Ok(answer) => answer.map(Body::new),
                    Err(error) => NoAnswer(format!("{uri} does not answer: {error:?}")).into_response(),
                }
            }
        }))
    }

    /// The same caller, signed in as `name` at the laptop's issuer, with the verified address
    /// `<name>@example.com`. The token is good for an hour.
    pub async fn signs_in_as(&self, name: &str) -> Self {
        let claims = json!({ "sub": name, "email": format!("{name}@example.com"), "email_verified": true });
        let answer = self.posts("/_dev/token", &claims).await.is(200);
        let mut person = self.with_token(answer["access_token"].as_str().expect("the issuer gives a token"));
        name.clone_into(&mut person.sub);
        person
    }
}
