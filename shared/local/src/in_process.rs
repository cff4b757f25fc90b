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
use tokio::task::yield_now;
use tower::ServiceExt as _;

/// The origin of the URLs that are called in this process. No resolver knows the name.
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
            // As on a network, other tasks run before the request arrives and before its response arrives. Otherwise,
            // a task with several requests would run without a pause on a single thread.
            yield_now().await;
            let Ok(response) = router.oneshot(request.map(Body::new)).await;
            let (parts, body) = response.into_parts();
            let body = body.collect().await.map_err(|error| ConnectorError::io(error.into()))?.to_bytes();
            yield_now().await;
            let response = http::Response::from_parts(parts, SdkBody::from(body));
            HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}
