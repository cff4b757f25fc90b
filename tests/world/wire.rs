//! What the functions send to AWS: counted, and disturbed on demand.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use serde_json::{Value, json};

tokio::task_local! {
    /// Whether this is a call that a person makes, and not the work of the stream or of a timer.
    static ACTION: ();
}

/// Whatever `action` sends is one person's doing: it can be told apart from what goes on besides.
pub(crate) async fn as_one_action<T>(action: impl Future<Output = T>) -> T {
    ACTION.scope((), action).await
}

/// One request to AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// `TransactWriteItems`, `VerifyMac`, or method and path where the protocol has no name for it.
    pub operation: String,
    /// Whether a person's call has led to it, and not the stream or a timer.
    pub action: bool,
    /// The body.
    pub body: Value,
}

/// What happens to a request instead of what should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It never arrives.
    LostBefore,
    /// It arrives and is done, but its answer never comes.
    LostAfter,
    /// It is cancelled for these reasons, one per item.
    Cancelled(Vec<&'static str>),
    /// It is answered with this error code; with status 400, or 500 for `InternalServerError`.
    Refused(&'static str),
}

struct Scripted {
    operation: &'static str,
    fault: Fault,
    times: usize,
}

#[derive(Default)]
struct Script {
    calls: Vec<Call>,
    faults: Vec<Scripted>,
}

/// The wire between the functions and AWS.
#[derive(Clone)]
pub struct Wire {
    inner: SharedHttpClient,
    script: Arc<Mutex<Script>>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

impl Wire {
    pub(crate) fn new(inner: SharedHttpClient) -> Self {
        Self { inner, script: Arc::default() }
    }

    pub(crate) fn client(&self) -> SharedHttpClient {
        SharedHttpClient::new(self.clone())
    }

    /// The next `times` requests of `operation` meet `fault`.
    pub fn disturb(&self, operation: &'static str, fault: Fault, times: usize) {
        self.with(|script| script.faults.push(Scripted { operation, fault, times }));
    }

    /// Whether every fault that was asked for has happened.
    #[must_use]
    pub fn is_calm(&self) -> bool {
        self.with(|script| script.faults.iter().all(|scripted| scripted.times == 0))
    }

    /// Takes what was sent since the last time.
    #[must_use]
    pub fn take(&self) -> Vec<Call> {
        self.with(|script| std::mem::take(&mut script.calls))
    }

    /// Takes what people's calls have sent since the last time, by name and in order.
    #[must_use]
    pub fn take_actions(&self) -> Vec<String> {
        let calls = self.take().into_iter();
        calls.filter(|call| call.action).map(|call| call.operation).collect()
    }

    fn with<T>(&self, look: impl FnOnce(&mut Script) -> T) -> T {
        look(&mut self.script.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes the request down, and tells what happens to it.
    fn passes(&self, request: &HttpRequest) -> Option<Fault> {
        let target = request.headers().get("x-amz-target").and_then(|target| target.split_once('.'));
        let operation = match target {
            Some((_, operation)) => operation.to_owned(),
            None => format!("{} {}", request.method(), request.uri()),
        };
        let body = request.body().bytes().and_then(|bytes| serde_json::from_slice(bytes).ok());
        let action = ACTION.try_with(|()| ()).is_ok();
        self.with(|script| {
            let mut faults = script.faults.iter_mut();
            let met = faults.find(|scripted| scripted.times > 0 && operation.contains(scripted.operation));
            let fault = met.map(|scripted| {
                scripted.times -= 1;
                scripted.fault.clone()
            });
            script.calls.push(Call { operation, action, body: body.unwrap_or_default() });
            fault
        })
    }
}

impl HttpClient for Wire {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(Connector { wire: self.clone(), inner })
    }
}

#[derive(Debug)]
struct Connector {
    wire: Wire,
    inner: SharedHttpConnector,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let lost = || ConnectorError::io("the connection was lost, on purpose".into());
        match self.wire.passes(&request) {
            None => self.inner.call(request),
            Some(Fault::LostBefore) => HttpConnectorFuture::ready(Err(lost())),
            Some(Fault::LostAfter) => {
                let answered = self.inner.call(request);
                HttpConnectorFuture::new(async move {
                    answered.await?;
                    Err(lost())
                })
            }
            Some(Fault::Cancelled(reasons)) => {
                let reasons: Vec<_> = reasons.iter().map(|code| json!({ "Code": code })).collect();
                refusal("TransactionCanceledException", &json!({ "CancellationReasons": reasons }))
            }
            Some(Fault::Refused(code)) => refusal(code, &json!({})),
        }
    }
}

fn refusal(code: &str, more: &Value) -> HttpConnectorFuture {
    let status: u16 = if code == "InternalServerError" { 500 } else { 400 };
    let mut body = more.clone();
    body["__type"] = json!(format!("com.amazonaws.dynamodb.v20120810#{code}"));
    body["message"] = json!("on purpose");
    let status = StatusCode::try_from(status).expect("a status");
    let mut response = HttpResponse::new(status, body.to_string().into());
    response.headers_mut().insert("x-amzn-errortype", code.to_owned());
    HttpConnectorFuture::ready(Ok(response))
}
