//! How the laptop reaches the functions: by name, event in, answer out, whether they are linked in or run
//! as real Lambda processes.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;

/// API Gateway waits no longer for an integration, and no function needs longer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Whoever can invoke a function with an event.
pub trait Functions: Send + Sync {
    /// Invokes the function with the event and gives its answer. `function` is its name in the template, as
    /// in `functions/<name>`.
    fn invoke<'a>(&'a self, function: &'a str, event: Value) -> BoxFuture<'a, Result<Value, InvokeError>>;
}

/// Why an invocation has no answer.
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
    /// There is no function of that name.
    #[error("there is no function {0}")]
    Unknown(String),
    /// No answer in time.
    #[error("the function did not answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// Nobody listens there, so that nothing has been tried.
    #[error("nobody serves functions at {url}: {problem}")]
    Unreachable {
        /// What was called.
        url: String,
        /// What happened.
        problem: String,
    },
    /// The endpoint did not speak the invoke API.
    #[error("the invoke API at {url} did not answer as one: {problem}")]
    Endpoint {
        /// What was called.
        url: String,
        /// What happened.
        problem: String,
    },
}

/// Functions behind Lambda's invoke API, such as `cargo lambda watch` serves.
pub struct RemoteFunctions {
    url: String,
    client: Client<HttpConnector, Full<Bytes>>,
    timeout: Duration,
}

impl RemoteFunctions {
    /// Functions behind the invoke API at `url` (plain HTTP), as in `http://127.0.0.1:9000`.
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
        let answer = self.client.request(request).await.map_err(|e| {
            if e.is_connect() {
                InvokeError::Unreachable { url: self.url.clone(), problem: with_causes(&e) }
            } else {
                endpoint(with_causes(&e))
            }
        })?;
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.map_err(|e| endpoint(with_causes(&e)))?.to_bytes();

        if parts.status == http::StatusCode::NOT_FOUND {
            return Err(InvokeError::Unknown(function.to_owned()));
        }
        let answer = serde_json::from_slice(&body);
        if parts.headers.contains_key("x-amz-function-error") || parts.status.is_server_error() {
            let answer = answer.unwrap_or(Value::Null);
            return Err(failure(&answer).unwrap_or_else(|| InvokeError::Failed {
                kind: parts.status.to_string(),
                message: String::from_utf8_lossy(&body).into_owned(),
            }));
        }
        if !parts.status.is_success() {
            return Err(endpoint(format!("{}: {}", parts.status, String::from_utf8_lossy(&body))));
        }
        let answer = answer.map_err(|e| endpoint(format!("the answer is not JSON: {e}")))?;
        // cargo-lambda passes a function's error on as an ordinary answer.
        failure(&answer).map_or(Ok(answer), Err)
    }
}

impl Functions for RemoteFunctions {
    fn invoke<'a>(&'a self, function: &'a str, event: Value) -> BoxFuture<'a, Result<Value, InvokeError>> {
        Box::pin(async move {
            // A crashed process leaves its call hanging for ever.
            tokio::time::timeout(self.timeout, self.call(function, &event))
                .await
                .unwrap_or(Err(InvokeError::TimedOut(self.timeout)))
        })
    }
}

/// Lambda's error object, told from an answer that merely has a field of that name.
fn failure(answer: &Value) -> Option<InvokeError> {
    let kind = answer.get("errorType")?.as_str()?;
    let message = answer.get("errorMessage")?.as_str()?;
    Some(InvokeError::Failed { kind: kind.to_owned(), message: message.to_owned() })
}

fn with_causes(error: &dyn std::error::Error) -> String {
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

    /// Functions that remember how they were called and answer what the test says.
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
                let answer = (self.behaviour.lock().unwrap())(function, &event);
                self.calls.lock().unwrap().push((function.to_owned(), event));
                answer
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
        async fn answer(Path(name): Path<String>, body: String) -> axum::response::Response {
            match name.as_str() {
                "echo" => body.into_response(),
                "broken" => {
                    let error = json!({"errorType": "Broken", "errorMessage": "no luck"}).to_string();
                    ([("x-amz-function-error", "Unhandled")], error).into_response()
                }
                "quietly-broken" => {
                    json!({"errorType": "Broken", "errorMessage": "no luck"}).to_string().into_response()
                }
                "hanging" => std::future::pending().await,
                _ => StatusCode::NOT_FOUND.into_response(),
            }
        }
        let router = Router::new().route("/2015-03-31/functions/{name}/invocations", post(answer));
        let url = crate::testing::serve(router).await;
        RemoteFunctions::with_timeout(&format!("{url}/"), Duration::from_millis(500))
    }

    #[tokio::test]
    async fn an_answer_comes_back_as_it_is() {
        let event = json!({"a": [1, "ü"]});
        assert_eq!(invoke_api().await.invoke("echo", event.clone()).await, Ok(event));
    }

    #[tokio::test]
    async fn a_failed_function_is_an_error_however_it_is_told() {
        let remote = invoke_api().await;
        let failed = InvokeError::Failed { kind: "Broken".to_owned(), message: "no luck".to_owned() };
        assert_eq!(remote.invoke("broken", Value::Null).await, Err(failed.clone()));
        assert_eq!(remote.invoke("quietly-broken", Value::Null).await, Err(failed));
    }

    #[tokio::test]
    async fn an_unknown_function_is_named() {
        let error = invoke_api().await.invoke("nobody", Value::Null).await.unwrap_err();
        assert_eq!(error, InvokeError::Unknown("nobody".to_owned()));
    }

    #[tokio::test]
    async fn a_hanging_function_is_not_waited_for_for_ever() {
        let error = invoke_api().await.invoke("hanging", Value::Null).await.unwrap_err();
        assert_eq!(error, InvokeError::TimedOut(Duration::from_millis(500)));
    }

    #[tokio::test]
    async fn nobody_listening_is_told_with_the_address() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let error = RemoteFunctions::new(&url).invoke("echo", Value::Null).await.unwrap_err();
        assert!(matches!(error, InvokeError::Unreachable { .. }), "{error}");
        assert!(error.to_string().contains(&url), "{error}");
    }
}
