//! An HTTP client for the AWS SDK that calls a router in this process, without a socket.

use aws_sdk_dynamodb::config::SharedHttpClient;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use axum::Router;
use axum::body::Body;
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

/// The origin of the URLs that are called in this process. Names below `.invalid` never resolve (RFC 2606).
pub const ORIGIN: &str = "http://in-process.invalid";

/// Returns a client whose requests all go to `router`, whatever their host is.
#[must_use]
pub fn http(router: Router) -> SharedHttpClient {
    SharedHttpClient::new(InProcess(router))
}

#[derive(Debug, Clone)]
struct InProcess(Router);

impl HttpClient for InProcess {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let router = self.0.clone();
        HttpConnectorFuture::new(async move {
            let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            // As with a server, a task of its own handles each request: concurrent requests of one caller run in
            // parallel, other tasks run before the response arrives, and a caller that is cancelled does not cancel its
            // request.
            let response = tokio::spawn(router.oneshot(request.map(Body::new)));
            let Ok(response) = response.await.map_err(|error| ConnectorError::io(error.into()))?;
            let (parts, body) = response.into_parts();
            let body = body.collect().await.map_err(|error| ConnectorError::io(error.into()))?.to_bytes();
            let response = http::Response::from_parts(parts, SdkBody::from(body));
            HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}
