//! People who reach a laptop over the network, as programs do, and not within this process.

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::Request;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::json;

use crate::Person;

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
                let answer = answer.await.unwrap_or_else(|error| panic!("{uri} does not answer: {error:?}"));
                Response::from(answer.map(Body::new))
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
