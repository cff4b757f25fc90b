//! Invocation of functions by name, with an event and a JSON response. The functions are linked in or run as separate
//! Lambda processes.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;

/// API Gateway's timeout for an integration. No function needs longer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Invokes functions.
pub trait Functions: Send + Sync {
    /// Invokes the function and returns its response. `function` is its name in the template, such as `role-edit`.
    fn invoke<'a>(&'a self, function: &'a str, event: Value) -> BoxFuture<'a, Result<Value, InvokeError>>;
}

/// Why an invocation returned no response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvokeError {
    /// The function ran and failed, as Lambda reports it in `x-amz-function-error`.
    #[error("the function failed: {kind}: {message}")]
    Failed {
        /// Lambda's `errorType`.
        kind: String,
        /// Lambda's `errorMessage`.
        message: String,
    },
    /// There is no function with this name.
    #[error("there is no function {0}")]
    Unknown(String),
    /// The function did not respond in time.
    #[error("the function did not respond within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The connection was refused, so the event was not sent.
    #[error("no process serves functions at {url}: {problem}")]
    Unreachable {
        /// The URL that was called.
        url: String,
        /// The error.
        problem: String,
    },
    /// The endpoint does not behave like the invoke API.
    #[error("unexpected response of the invoke API at {url}: {problem}")]
    Endpoint {
        /// The URL that was called.
        url: String,
        /// The error.
        problem: String,
    },
}

/// Functions that are reached through Lambda's invoke API, for example those of `cargo lambda watch`.
pub struct RemoteFunctions {
    url: String,
    client: Client<HttpConnector, Full<Bytes>>,
    timeout: Duration,
}

impl RemoteFunctions {
    /// Creates a client for the invoke API at `url` (HTTP without TLS), such as `http://127.0.0.1:9000`.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self::with_timeout(url, TIMEOUT)
    }

    fn with_timeout(url: &str, timeout: Duration) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { url: url.trim_end_matches('/').to_owned(), client, timeout }
    }

    async fn call(&self, function: &str, event: &Value) -> Result<Value, InvokeError> {
        let url = format!("{}/2015-03-31/functions/{function}/invocations", self.url);
        let endpoint = |problem: String| InvokeError::Endpoint { url: url.clone(), problem };
        let request = http::Request::post(&url)
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(Full::from(event.to_string()))
            .map_err(|e| endpoint(e.to_string()))?;
        let response = self.client.request(request).await.map_err(|e| {
            if e.is_connect() {
                InvokeError::Unreachable { url: self.url.clone(), problem: with_causes(&e) }
            } else {
                endpoint(with_causes(&e))
            }
        })?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(|e| endpoint(with_causes(&e)))?.to_bytes();

        if parts.status == http::StatusCode::NOT_FOUND {
            return Err(InvokeError::Unknown(function.to_owned()));
        }
        let response = serde_json::from_slice(&body);
        if parts.headers.contains_key("x-amz-function-error") || parts.status.is_server_error() {
            let response = response.unwrap_or(Value::Null);
            return Err(parse_failure(&response).unwrap_or_else(|| InvokeError::Failed {
                kind: parts.status.to_string(),
                message: String::from_utf8_lossy(&body).into_owned(),
            }));
        }
        if !parts.status.is_success() {
            return Err(endpoint(format!("{}: {}", parts.status, String::from_utf8_lossy(&body))));
        }
        let response = response.map_err(|e| endpoint(format!("the response is not JSON: {e}")))?;
        // `cargo lambda watch` returns a function's error like a response, without the error header.
        parse_failure(&response).map_or(Ok(response), Err)
    }
}

impl Functions for RemoteFunctions {
    fn invoke<'a>(&'a self, function: &'a str, event: Value) -> BoxFuture<'a, Result<Value, InvokeError>> {
        Box::pin(async move {
            // A call to a process that crashed never returns by itself.
            tokio::time::timeout(self.timeout, self.call(function, &event))
                .await
                .unwrap_or(Err(InvokeError::TimedOut(self.timeout)))
        })
    }
}

/// Parses Lambda's error object. Both fields must be strings, because a response may have a field with the same name.
fn parse_failure(response: &Value) -> Option<InvokeError> {
    let kind = response.get("errorType")?.as_str()?;
    let message = response.get("errorMessage")?.as_str()?;
    Some(InvokeError::Failed { kind: kind.to_owned(), message: message.to_owned() })
}

/// Returns the text of an error and of its causes.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
pub(crate) mod fake {
    use std::sync::Mutex;

    use super::*;

    type Behaviour = Box<dyn FnMut(&str, &Value) -> Result<Value, InvokeError> + Send>;

    /// Fake functions that record their calls and return the results of the given closure.
    pub(crate) struct FakeFunctions {
        behaviour: Mutex<Behaviour>,
        calls: Mutex<Vec<(String, Value)>>,
    }

    impl FakeFunctions {
        pub(crate) fn new(
            behaviour: impl FnMut(&str, &Value) -> Result<Value, InvokeError> + Send + 'static,
        ) -> Self {
            Self { behaviour: Mutex::new(Box::new(behaviour)), calls: Mutex::default() }
        }

        pub(crate) fn calls(&self) -> Vec<(String, Value)> {
            self.calls.lock().unwrap().clone()
        }
    }

    impl Functions for FakeFunctions {
        fn invoke<'a>(
            &'a self,
            function: &'a str,
            event: Value,
        ) -> BoxFuture<'a, Result<Value, InvokeError>> {
            Box::pin(async move {
                let result = (self.behaviour.lock().unwrap())(function, &event);
                self.calls.lock().unwrap().push((function.to_owned(), event));
                result
            })
        }
    }

    pub(crate) fn failed() -> InvokeError {
        InvokeError::Failed { kind: "Test".to_owned(), message: "on purpose".to_owned() }
    }

    pub(crate) fn unreachable() -> InvokeError {
        InvokeError::Unreachable { url: "http://test".to_owned(), problem: "on purpose".to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use axum::{Router, extract::Path, http::StatusCode, response::IntoResponse, routing::post};
    use serde_json::json;

    use super::*;

    async fn invoke_api() -> RemoteFunctions {
        async fn respond(Path(name): Path<String>, body: String) -> axum::response::Response {
            match name.as_str() {
                "echo" => body.into_response(),
                "broken" => {
                    let error = json!({"errorType": "Broken", "errorMessage": "no luck"}).to_string();
                    ([("x-amz-function-error", "Unhandled")], error).into_response()
                }
                "broken-without-header" => {
                    json!({"errorType": "Broken", "errorMessage": "no luck"}).to_string().into_response()
                }
                "hanging" => std::future::pending().await,
                _ => StatusCode::NOT_FOUND.into_response(),
            }
        }
        let router = Router::new().route("/2015-03-31/functions/{name}/invocations", post(respond));
        let url = crate::testing::serve(router).await;
        RemoteFunctions::with_timeout(&format!("{url}/"), Duration::from_millis(500))
    }

    #[tokio::test]
    async fn returns_the_response_unchanged() {
        let event = json!({"a": [1, "ü"]});
        assert_eq!(invoke_api().await.invoke("echo", event.clone()).await, Ok(event));
    }

    #[tokio::test]
    async fn reports_a_failed_function_with_and_without_the_error_header() {
        let remote = invoke_api().await;
        let failed = InvokeError::Failed { kind: "Broken".to_owned(), message: "no luck".to_owned() };
        assert_eq!(remote.invoke("broken", Value::Null).await, Err(failed.clone()));
        assert_eq!(remote.invoke("broken-without-header", Value::Null).await, Err(failed));
    }

    #[tokio::test]
    async fn names_an_unknown_function_in_the_error() {
        let error = invoke_api().await.invoke("missing", Value::Null).await.unwrap_err();
        assert_eq!(error, InvokeError::Unknown("missing".to_owned()));
    }

    #[tokio::test]
    async fn times_out_when_a_function_does_not_respond() {
        let error = invoke_api().await.invoke("hanging", Value::Null).await.unwrap_err();
        assert_eq!(error, InvokeError::TimedOut(Duration::from_millis(500)));
    }

    #[tokio::test]
    async fn names_the_url_when_no_process_listens() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let error = RemoteFunctions::new(&url).invoke("echo", Value::Null).await.unwrap_err();
        assert!(matches!(error, InvokeError::Unreachable { .. }), "{error}");
        assert!(error.to_string().contains(&url), "{error}");
    }
}
