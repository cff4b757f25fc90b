//! The HTTP client between the functions and AWS. It records requests, injects faults, and holds requests back.

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
use aws_smithy_types::body::SdkBody;
use http_body_util::BodyExt as _;
use local::laptop::plain_http;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::conflicts::{Conflicts, RunningTransaction};
use crate::permissions::{Permissions, required_permissions};

tokio::task_local! {
    /// Set while a task handles a person's API call, not while it works for the stream or a timer.
    static IN_API_CALL: ();
}

/// Runs `call` so that the requests that it sends are marked with [`AwsRequest::from_api_call`].
pub(crate) async fn as_api_call<T>(call: impl Future<Output = T>) -> T {
    IN_API_CALL.scope((), call).await
}

fn is_in_api_call() -> bool {
    IN_API_CALL.try_with(|()| ()).is_ok()
}

/// One request to AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsRequest {
    /// The operation as the SDK names it: `TransactWriteItems`, `VerifyMac`, `SendEmail`, `CreateSchedule`.
    pub operation: String,
    /// Whether the request was sent while handling a person's API call, not for the stream or a timer.
    pub from_api_call: bool,
    /// The name of the function that sent the request, if it runs in this process.
    pub function: Option<String>,
    /// The URL's path: `/`, or the resource's path for a REST service.
    pub path: String,
    /// The body as JSON.
    pub body: Value,
}

/// The cost of one request to AWS. Bytes and units are 0 for services other than DynamoDB.
#[derive(Debug, Clone, PartialEq)]
pub struct MeteredRequest {
    /// The operation as the SDK names it.
    pub operation: String,
    /// Whether the request was sent while handling a person's API call, not for the stream or a timer.
    pub from_api_call: bool,
    /// The name of the function that sent the request, if it runs in this process.
    pub function: Option<String>,
    /// Bytes of the request's body.
    pub sent: usize,
    /// Bytes of the response's body.
    pub received: usize,
    /// Read units of the table and of its indexes.
    pub read: f64,
    /// Write units of the table.
    pub write: f64,
    /// Write units of the indexes.
    pub index_write: f64,
}

/// A fault of a request to AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The connection fails before AWS receives the request.
    RequestLost,
    /// AWS executes the request, but the connection fails before the response arrives.
    ResponseLost,
    /// The transaction is cancelled with these reasons, one per item.
    Cancelled(Vec<&'static str>),
    /// The service responds with this error code, in its own format and with its own status.
    Refused(&'static str),
    /// A `BatchGetItem` returns all of its keys as unprocessed.
    Unprocessed,
}

/// A request that the wire holds back until this is released or dropped.
#[derive(Debug)]
pub struct HeldRequest(Arc<Gate>);

#[derive(Debug)]
struct Gate {
    /// Has a permit when the request has arrived.
    arrived: Semaphore,
    /// Never has a permit. Closing it releases the request.
    released: Semaphore,
}

impl HeldRequest {
    /// Waits until the request has arrived at the wire.
    ///
    /// # Panics
    /// If no request arrives within 30 s.
    pub async fn arrived(&self) {
        let timeout = std::time::Duration::from_secs(30);
        let arrived = tokio::time::timeout(timeout, self.0.arrived.acquire()).await;
        arrived.expect("the request to hold back never arrived").expect("the semaphore stays open").forget();
    }

    /// Sends the request on.
    pub fn release(self) {}
}

impl Drop for HeldRequest {
    fn drop(&mut self) {
        self.0.released.close();
    }
}

impl Gate {
    async fn wait(&self) {
        self.arrived.add_permits(1);
        // Returns an error as soon as the semaphore is closed.
        let _ = self.released.acquire().await;
    }
}

/// The origin of the requests that an effect applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Any,
    /// API calls of people.
    Api,
    /// The stream and timers.
    Background,
}

/// The effect that a test plans for requests.
#[derive(Clone)]
enum Effect {
    Fault(Fault),
    Gate(Arc<Gate>),
    Decide(Decide),
}

/// Returns the fault of a request, or `None` to send it on.
type Decide = Arc<dyn Fn(&AwsRequest) -> Option<Fault> + Send + Sync>;

/// The effect on one request.
enum Applied {
    Fault(Fault),
    Gate(Arc<Gate>),
    /// The request is sent on. Its items are locked until the response arrives.
    Transaction(RunningTransaction),
}

impl Effect {
    /// Returns the effect on `request`, if there is one.
    fn apply(&self, request: &AwsRequest) -> Option<Applied> {
        match self {
            Self::Fault(fault) => Some(Applied::Fault(fault.clone())),
            Self::Gate(gate) => Some(Applied::Gate(Arc::clone(gate))),
            Self::Decide(decide) => decide(request).map(Applied::Fault),
        }
    }
}

/// An effect on the next `times` requests of an operation from a source.
struct PlannedEffect {
    operation: &'static str,
    source: Source,
    effect: Effect,
    times: usize,
}

impl PlannedEffect {
    fn applies_to(&self, request: &AwsRequest) -> bool {
        let is_from_source = match self.source {
            Source::Any => true,
            Source::Api => request.from_api_call,
            Source::Background => !request.from_api_call,
        };
        self.times > 0 && is_from_source && self.operation == request.operation
    }
}

#[derive(Default)]
struct State {
    /// The requests since the last [`Wire::take_requests`].
    requests: Vec<AwsRequest>,
    /// The permissions that each function's requests need.
    required: Permissions,
    planned: Vec<PlannedEffect>,
    /// Present if transaction conflicts are simulated.
    conflicts: Option<Conflicts>,
    /// Present if requests are metered: the costs since the last [`Wire::take_metered`].
    metered: Option<Vec<MeteredRequest>>,
}

/// The wire between the functions and AWS: a layer around the HTTP clients of the functions' SDK.
#[derive(Clone, Default)]
pub struct Wire {
    state: Arc<Mutex<State>>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

impl Wire {
    /// Returns an HTTP client for the SDK that sends its requests over this wire, and then through `inner`.
    #[must_use]
    pub fn around(&self, inner: SharedHttpClient) -> SharedHttpClient {
        SharedHttpClient::new(WiredClient { wire: self.clone(), inner })
    }

    /// Returns an HTTP client for the SDK that sends its requests over this wire to a port.
    #[must_use]
    pub fn client(&self) -> SharedHttpClient {
        self.around(plain_http())
    }

    /// Injects `fault` into the next `times` requests of `operation`.
    pub fn inject_fault(&self, operation: &'static str, fault: Fault, times: usize) {
        self.plan(operation, Source::Any, Effect::Fault(fault), times);
    }

    /// Injects `fault` into the next `times` requests of `operation` from API calls.
    pub fn inject_api_fault(&self, operation: &'static str, fault: Fault, times: usize) {
        self.plan(operation, Source::Api, Effect::Fault(fault), times);
    }

    /// Injects `fault` into the next `times` requests of `operation` from the stream or a timer.
    pub fn inject_background_fault(&self, operation: &'static str, fault: Fault, times: usize) {
        self.plan(operation, Source::Background, Effect::Fault(fault), times);
    }

    /// Injects the fault that `decide` returns into each request of `operation`, until [`Wire::clear_faults`].
    pub fn inject_fault_if(
        &self,
        operation: &'static str,
        decide: impl Fn(&AwsRequest) -> Option<Fault> + Send + Sync + 'static,
    ) {
        self.plan(operation, Source::Any, Effect::Decide(Arc::new(decide)), usize::MAX);
    }

    /// Holds back the next request of `operation` from an API call.
    #[must_use]
    pub fn hold_api_request(&self, operation: &'static str) -> HeldRequest {
        self.hold_request(operation, Source::Api)
    }

    /// Holds back the next request of `operation` from the stream or a timer.
    #[must_use]
    pub fn hold_background_request(&self, operation: &'static str) -> HeldRequest {
        self.hold_request(operation, Source::Background)
    }

    /// Simulates transaction conflicts from now on.
    pub fn simulate_conflicts(&self) {
        self.with_state(|state| state.conflicts = Some(Conflicts::default()));
    }

    /// Meters all requests from now on: asks DynamoDB for the consumed capacity of each request.
    pub fn start_metering(&self) {
        self.with_state(|state| state.metered = Some(Vec::new()));
    }

    /// Takes the costs of the requests since the last call, in the order of their responses.
    #[must_use]
    pub fn take_metered(&self) -> Vec<MeteredRequest> {
        self.with_state(|state| state.metered.as_mut().map(std::mem::take)).unwrap_or_default()
    }

    fn is_metered(&self) -> bool {
        self.with_state(|state| state.metered.is_some())
    }

    fn hold_request(&self, operation: &'static str, source: Source) -> HeldRequest {
        let gate = Arc::new(Gate { arrived: Semaphore::new(0), released: Semaphore::new(0) });
        self.plan(operation, source, Effect::Gate(Arc::clone(&gate)), 1);
        HeldRequest(gate)
    }

    fn plan(&self, operation: &'static str, source: Source, effect: Effect, times: usize) {
        self.with_state(|state| state.planned.push(PlannedEffect { operation, source, effect, times }));
    }

    /// Removes all planned faults.
    pub fn clear_faults(&self) {
        self.with_state(|state| state.planned.clear());
    }

    /// Whether every planned fault was injected as often as planned.
    #[must_use]
    pub fn all_faults_injected(&self) -> bool {
        self.with_state(|state| state.planned.iter().all(|planned| planned.times == 0))
    }

    /// Takes the requests since the last call, in order.
    #[must_use]
    pub fn take_requests(&self) -> Vec<AwsRequest> {
        self.with_state(|state| std::mem::take(&mut state.requests))
    }

    /// Takes the requests since the last call, and returns the operations of those from API calls, in order.
    #[must_use]
    pub fn take_api_operations(&self) -> Vec<String> {
        let requests = self.take_requests().into_iter();
        requests.filter(|request| request.from_api_call).map(|request| request.operation).collect()
    }

    /// Returns the permissions that the requests of each function have needed so far.
    #[must_use]
    pub fn required_permissions(&self) -> Permissions {
        self.with_state(|state| state.required.clone())
    }

    fn with_state<T>(&self, use_state: impl FnOnce(&mut State) -> T) -> T {
        use_state(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Records the request, and returns the effect on it.
    fn intercept(&self, request: &HttpRequest) -> Option<Applied> {
        let body = request.body().bytes().and_then(|bytes| serde_json::from_slice(bytes).ok());
        let request = AwsRequest {
            operation: operation(request),
            from_api_call: is_in_api_call(),
            function: local::linked_functions::current_function(),
            path: path(request).to_owned(),
            body: body.unwrap_or_default(),
        };
        self.with_state(|state| {
            let mut planned = state.planned.iter_mut().filter(|planned| planned.applies_to(&request));
            let effect = planned.find_map(|planned| {
                let effect = planned.effect.apply(&request)?;
                planned.times -= 1;
                Some(effect)
            });
            if let Some(function) = &request.function {
                state.required.entry(function.clone()).or_default().extend(required_permissions(&request));
            }
            let effect = effect.or_else(|| match state.conflicts.as_ref()?.start(&request) {
                Ok(transaction) => Some(Applied::Transaction(transaction)),
                Err(reasons) => Some(Applied::Fault(Fault::Cancelled(reasons))),
            });
            state.requests.push(request);
            effect
        })
    }
}

/// Returns the operation: from the `X-Amz-Target` header, or, for a REST service, from method and path.
fn operation(request: &HttpRequest) -> String {
    if let Some((_, operation)) = target(request).and_then(|target| target.split_once('.')) {
        return operation.to_owned();
    }
    let known = match (request.method(), path(request)) {
        ("POST", path) if path.ends_with("/v2/email/outbound-emails") => "SendEmail",
        ("POST", path) if path.contains("/schedules/") => "CreateSchedule",
        ("PUT", path) if path.contains("/schedules/") => "UpdateSchedule",
        ("DELETE", path) if path.contains("/schedules/") => "DeleteSchedule",
        (method, path) => return format!("{method} {path}"),
    };
    known.to_owned()
}

fn target(request: &HttpRequest) -> Option<&str> {
    request.headers().get("x-amz-target")
}

fn path(request: &HttpRequest) -> &str {
    let uri = request.uri();
    let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    let path = rest.find('/').map_or("/", |slash| &rest[slash..]);
    path.split_once('?').map_or(path, |(path, _)| path)
}

#[derive(Debug)]
struct WiredClient {
    wire: Wire,
    inner: SharedHttpClient,
}

impl HttpClient for WiredClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(Connector { wire: self.wire.clone(), inner })
    }
}

#[derive(Debug)]
struct Connector {
    wire: Wire,
    inner: SharedHttpConnector,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let lost = || ConnectorError::io("injected connection failure".into());
        let fault = match self.wire.intercept(&request) {
            None if self.wire.is_metered() => return self.send_metered(request),
            None => return self.inner.call(request),
            Some(Applied::Gate(gate)) => {
                let inner = self.inner.clone();
                return HttpConnectorFuture::new(async move {
                    gate.wait().await;
                    inner.call(request).await
                });
            }
            Some(Applied::Transaction(transaction)) => {
                let response = self.inner.call(request);
                return HttpConnectorFuture::new(async move {
                    let response = response.await;
                    drop(transaction);
                    response
                });
            }
            Some(Applied::Fault(fault)) => fault,
        };
        match fault {
            Fault::RequestLost => HttpConnectorFuture::ready(Err(lost())),
            Fault::ResponseLost => {
                let response = self.inner.call(request);
                HttpConnectorFuture::new(async move {
                    response.await?;
                    Err(lost())
                })
            }
            Fault::Cancelled(reasons) => {
                let reasons: Vec<_> = reasons.iter().map(|code| json!({ "Code": code })).collect();
                let fields = json!({ "CancellationReasons": reasons });
                error_response(&request, "TransactionCanceledException", &fields)
            }
            Fault::Refused(code) => error_response(&request, code, &json!({})),
            Fault::Unprocessed => {
                let batch: Value =
                    serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap_or_default();
                let body = json!({ "Responses": {}, "UnprocessedKeys": batch["RequestItems"] });
                let ok = StatusCode::try_from(200).expect("200 is a status");
                HttpConnectorFuture::ready(Ok(HttpResponse::new(ok, body.to_string().into())))
            }
        }
    }
}

impl Connector {
    /// Sends the request, and records its cost.
    fn send_metered(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let mut metered = MeteredRequest {
            operation: operation(&request),
            from_api_call: is_in_api_call(),
            function: local::linked_functions::current_function(),
            sent: 0,
            received: 0,
            read: 0.0,
            write: 0.0,
            index_write: 0.0,
        };
        let is_dynamodb = target(&request).is_some_and(|target| target.starts_with("DynamoDB_"));
        if is_dynamodb {
            let body = request.body().bytes().unwrap_or_default();
            metered.sent = body.len();
            let mut body: Value = serde_json::from_slice(body).expect("requests to DynamoDB are JSON");
            body["ReturnConsumedCapacity"] = json!("INDEXES");
            let body = body.to_string();
            request.headers_mut().insert("content-length", body.len().to_string());
            *request.body_mut() = body.into();
        }
        let (response, wire) = (self.inner.call(request), self.wire.clone());
        HttpConnectorFuture::new(async move {
            let mut response = response.await?;
            if is_dynamodb {
                let body = std::mem::replace(response.body_mut(), SdkBody::taken());
                let body = body.collect().await.map_err(ConnectorError::io)?.to_bytes();
                metered.add_response(&body);
                *response.body_mut() = SdkBody::from(body);
            }
            wire.with_state(|state| state.metered.get_or_insert_default().push(metered));
            Ok(response)
        })
    }
}

impl MeteredRequest {
    /// Adds the size of a response of DynamoDB, without `ConsumedCapacity`, and the units that it reports.
    fn add_response(&mut self, body: &[u8]) {
        let mut response: Value = serde_json::from_slice(body).expect("responses of DynamoDB are JSON");
        let consumed = response.as_object_mut().and_then(|response| response.remove("ConsumedCapacity"));
        self.received = response.to_string().len();
        let consumed = consumed.unwrap_or_default();
        let tables = match &consumed {
            Value::Array(tables) => tables.as_slice(),
            Value::Null => &[],
            table => std::slice::from_ref(table),
        };
        let is_write = matches!(self.operation.as_str(), "TransactWriteItems" | "PutItem" | "UpdateItem");
        for table in tables {
            let all = table["CapacityUnits"].as_f64().unwrap_or_default();
            if !is_write {
                self.read += all;
                continue;
            }
            let of_table = table["Table"]["WriteCapacityUnits"].as_f64();
            let of_table = of_table.or(table["Table"]["CapacityUnits"].as_f64()).unwrap_or(all);
            self.write += of_table;
            self.index_write += all - of_table;
        }
    }
}

/// Returns an error response in the format of the request's service, with additional `fields` in the body.
///
/// JSON services put the code into the body, DynamoDB with its namespace. REST services put it into a header.
/// EventBridge Scheduler writes `Message` with a capital letter.
fn error_response(request: &HttpRequest, code: &str, fields: &Value) -> HttpConnectorFuture {
    let target = target(request);
    let is_rest = target.is_none();
    let status = match code {
        "InternalServerError" | "InternalServerException" | "InternalFailure" | "KMSInternalException" => 500,
        "ServiceUnavailable" => 503,
        "TooManyRequestsException" => 429,
        "ThrottlingException" if is_rest => 429,
        "ConflictException" if is_rest => 409,
        "ResourceNotFoundException" if is_rest => 404,
        "ServiceQuotaExceededException" if is_rest => 402,
        _ => 400,
    };
    let mut body = fields.clone();
    match target {
        Some(target) if target.starts_with("DynamoDB") => {
            body["__type"] = json!(format!("com.amazonaws.dynamodb.v20120810#{code}"));
            body["message"] = json!(REFUSAL_MESSAGE);
        }
        Some(_) => {
            body["__type"] = json!(code);
            body["message"] = json!(REFUSAL_MESSAGE);
        }
        None if path(request).contains("/schedules/") => body["Message"] = json!(REFUSAL_MESSAGE),
        None => body["message"] = json!(REFUSAL_MESSAGE),
    }
    let status = StatusCode::try_from(status).expect("this is a status");
    let mut response = HttpResponse::new(status, body.to_string().into());
    response.headers_mut().insert("content-type", "application/json");
    if is_rest {
        response.headers_mut().insert("x-amzn-errortype", code.to_owned());
    }
    HttpConnectorFuture::ready(Ok(response))
}

/// The message of every injected error response. It must never appear in a response of the API.
pub const REFUSAL_MESSAGE: &str = "injected error";
