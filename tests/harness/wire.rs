//! What the functions send to AWS: counted, disturbed and held back on demand.

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
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::conflicts::{Conflicts, UnderWay};
use crate::permissions::{Permissions, needed};

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
    /// As the SDK names it: `TransactWriteItems`, `VerifyMac`, `SendEmail`, `CreateSchedule`.
    pub operation: String,
    /// Whether a person's call has led to it, and not the stream or a timer.
    pub action: bool,
    /// The function that sends it, if one in this process does.
    pub function: Option<String>,
    /// Where it was sent: the service's root, or what a REST service calls the thing.
    pub path: String,
    /// The body.
    pub body: Value,
}

/// One request to AWS, by what it costs. Bytes and units are known of DynamoDB's only.
#[derive(Debug, Clone, PartialEq)]
pub struct Metered {
    /// As the SDK names it.
    pub operation: String,
    /// Whether a person's call has led to it, and not the stream or a timer.
    pub action: bool,
    /// The function that sends it, if one in this process does.
    pub function: Option<String>,
    /// Bytes of the body.
    pub sent: usize,
    /// Bytes of the answer's body.
    pub received: usize,
    /// Read units, of the table and of its indexes.
    pub read: f64,
    /// Write units of the table.
    pub write: f64,
    /// Write units of its indexes.
    pub index_write: f64,
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
    /// It is answered with this error code, in the form and with the status of its service.
    Refused(&'static str),
    /// A `BatchGetItem` is answered, and none of its keys was processed.
    Unprocessed,
}

/// A request that is held back at the wire, until this is dropped or released.
#[derive(Debug)]
pub struct HeldRequest(Arc<Gate>);

#[derive(Debug)]
struct Gate {
    arrived: Semaphore,
    /// Closed when the request may go on.
    shut: Semaphore,
}

impl HeldRequest {
    /// Resolves once the request has come this far.
    ///
    /// # Panics
    /// If none comes for so long that none ever will.
    pub async fn arrived(&self) {
        let patience = std::time::Duration::from_secs(30);
        let arrived = tokio::time::timeout(patience, self.0.arrived.acquire()).await;
        arrived.expect("the request to hold back never came").expect("nobody closes it").forget();
    }

    /// Lets the request go on.
    pub fn release(self) {}
}

impl Drop for HeldRequest {
    fn drop(&mut self) {
        self.0.shut.close();
    }
}

impl Gate {
    async fn pass(&self) {
        self.arrived.add_permits(1);
        // There never is a permit; what ends the wait is that the gate is opened for good.
        let _ = self.shut.acquire().await;
    }
}

/// Whose requests are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    Anybodys,
    /// Of what people call.
    Actions,
    /// Of the stream and of timers.
    Works,
}

#[derive(Clone)]
enum Meets {
    Fault(Fault),
    Gate(Arc<Gate>),
    Judge(Judge),
}

/// Says of each request whether it meets a fault.
type Judge = Arc<dyn Fn(&Call) -> Option<Fault> + Send + Sync>;

/// What happens to one request.
enum Met {
    Fault(Fault),
    Gate(Arc<Gate>),
    /// Nothing, but others have to know that it is under way.
    Others(UnderWay),
}

impl Meets {
    /// What `call` meets, if anything.
    fn by(&self, call: &Call) -> Option<Met> {
        match self {
            Self::Fault(fault) => Some(Met::Fault(fault.clone())),
            Self::Gate(gate) => Some(Met::Gate(Arc::clone(gate))),
            Self::Judge(judge) => judge(call).map(Met::Fault),
        }
    }
}

struct Scripted {
    operation: &'static str,
    whose: Whose,
    meets: Meets,
    times: usize,
}

impl Scripted {
    fn is_for(&self, call: &Call) -> bool {
        let whose = match self.whose {
            Whose::Anybodys => true,
            Whose::Actions => call.action,
            Whose::Works => !call.action,
        };
        self.times > 0 && whose && self.operation == call.operation
    }
}

#[derive(Default)]
struct Script {
    calls: Vec<Call>,
    /// What the functions need permission for.
    needed: Permissions,
    scripted: Vec<Scripted>,
    /// If transactions are to get into each other's way.
    conflicts: Option<Conflicts>,
    /// If it is to be known what requests cost: what those since the last time have.
    metered: Option<Vec<Metered>>,
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
    /// A wire that goes on to `inner`.
    #[must_use]
    pub fn new(inner: SharedHttpClient) -> Self {
        Self { inner, script: Arc::default() }
    }

    /// The client for whoever is to send through this wire.
    #[must_use]
    pub fn client(&self) -> SharedHttpClient {
        SharedHttpClient::new(self.clone())
    }

    /// The next `times` requests of `operation` meet `fault`, whoever sends them.
    pub fn disturb(&self, operation: &'static str, fault: Fault, times: usize) {
        self.script(operation, Whose::Anybodys, Meets::Fault(fault), times);
    }

    /// The next `times` requests of `operation` that people's calls lead to meet `fault`.
    pub fn disturb_actions(&self, operation: &'static str, fault: Fault, times: usize) {
        self.script(operation, Whose::Actions, Meets::Fault(fault), times);
    }

    /// The next `times` requests of `operation` that the stream or a timer leads to meet `fault`.
    pub fn disturb_work(&self, operation: &'static str, fault: Fault, times: usize) {
        self.script(operation, Whose::Works, Meets::Fault(fault), times);
    }

    /// From now on every request of `operation` meets what `judge` says of it, or nothing.
    pub fn judge(
        &self,
        operation: &'static str,
        judge: impl Fn(&Call) -> Option<Fault> + Send + Sync + 'static,
    ) {
        self.script(operation, Whose::Anybodys, Meets::Judge(Arc::new(judge)), usize::MAX);
    }

    /// The next request of `operation` that a person's call leads to is held back.
    #[must_use]
    pub fn hold_action(&self, operation: &'static str) -> HeldRequest {
        self.hold(operation, Whose::Actions)
    }

    /// The next request of `operation` that the stream or a timer leads to is held back.
    #[must_use]
    pub fn hold_work(&self, operation: &'static str) -> HeldRequest {
        self.hold(operation, Whose::Works)
    }

    /// From now on transactions get into each other's way.
    pub fn conflict(&self) {
        self.with(|script| script.conflicts = Some(Conflicts::default()));
    }

    /// From now on DynamoDB is asked what each request has cost.
    pub fn meter(&self) {
        self.with(|script| script.metered = Some(Vec::new()));
    }

    /// Takes what requests have cost since the last time, in the order of their answers.
    #[must_use]
    pub fn take_metered(&self) -> Vec<Metered> {
        self.with(|script| script.metered.as_mut().map(std::mem::take)).unwrap_or_default()
    }

    fn is_metered(&self) -> bool {
        self.with(|script| script.metered.is_some())
    }

    fn hold(&self, operation: &'static str, whose: Whose) -> HeldRequest {
        let gate = Arc::new(Gate { arrived: Semaphore::new(0), shut: Semaphore::new(0) });
        self.script(operation, whose, Meets::Gate(Arc::clone(&gate)), 1);
        HeldRequest(gate)
    }

    fn script(&self, operation: &'static str, whose: Whose, meets: Meets, times: usize) {
        self.with(|script| script.scripted.push(Scripted { operation, whose, meets, times }));
    }

    /// From now on nothing is disturbed, whatever was asked for.
    pub fn clear_faults(&self) {
        self.with(|script| script.scripted.clear());
    }

    /// Whether everything that was asked for has happened.
    #[must_use]
    pub fn is_calm(&self) -> bool {
        self.with(|script| script.scripted.iter().all(|scripted| scripted.times == 0))
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

    /// What each function has needed permission for so far.
    #[must_use]
    pub fn needed(&self) -> Permissions {
        self.with(|script| script.needed.clone())
    }

    fn with<T>(&self, look: impl FnOnce(&mut Script) -> T) -> T {
        look(&mut self.script.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes the request down, and tells what happens to it.
    fn passes(&self, request: &HttpRequest) -> Option<Met> {
        let body = request.body().bytes().and_then(|bytes| serde_json::from_slice(bytes).ok());
        let call = Call {
            operation: operation(request),
            action: ACTION.try_with(|()| ()).is_ok(),
            function: local::linked_functions::running(),
            path: path(request).to_owned(),
            body: body.unwrap_or_default(),
        };
        self.with(|script| {
            let mut scripted = script.scripted.iter_mut().filter(|scripted| scripted.is_for(&call));
            let meets = scripted.find_map(|scripted| {
                let meets = scripted.meets.by(&call)?;
                scripted.times -= 1;
                Some(meets)
            });
            if let Some(function) = &call.function {
                script.needed.entry(function.clone()).or_default().extend(needed(&call));
            }
            let meets = meets.or_else(|| match script.conflicts.as_ref()?.enter(&call) {
                Ok(under_way) => Some(Met::Others(under_way)),
                Err(reasons) => Some(Met::Fault(Fault::Cancelled(reasons))),
            });
            script.calls.push(call);
            meets
        })
    }
}

/// The target's last word; REST services have none, and are known by where they are asked.
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
        let fault = match self.wire.passes(&request) {
            None if self.wire.is_metered() => return self.metered(request),
            None => return self.inner.call(request),
            Some(Met::Gate(gate)) => {
                let inner = self.inner.clone();
                return HttpConnectorFuture::new(async move {
                    gate.pass().await;
                    inner.call(request).await
                });
            }
            Some(Met::Others(under_way)) => {
                let answered = self.inner.call(request);
                return HttpConnectorFuture::new(async move {
                    let answer = answered.await;
                    drop(under_way);
                    answer
                });
            }
            Some(Met::Fault(fault)) => fault,
        };
        match fault {
            Fault::LostBefore => HttpConnectorFuture::ready(Err(lost())),
            Fault::LostAfter => {
                let answered = self.inner.call(request);
                HttpConnectorFuture::new(async move {
                    answered.await?;
                    Err(lost())
                })
            }
            Fault::Cancelled(reasons) => {
                let reasons: Vec<_> = reasons.iter().map(|code| json!({ "Code": code })).collect();
                let more = json!({ "CancellationReasons": reasons });
                refusal(&request, "TransactionCanceledException", &more)
            }
            Fault::Refused(code) => refusal(&request, code, &json!({})),
            Fault::Unprocessed => {
                let asked: Value =
                    serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap_or_default();
                let body = json!({ "Responses": {}, "UnprocessedKeys": asked["RequestItems"] });
                let ok = StatusCode::try_from(200).expect("a status");
                HttpConnectorFuture::ready(Ok(HttpResponse::new(ok, body.to_string().into())))
            }
        }
    }
}

impl Connector {
    /// Sends the request, and writes down what it costs.
    fn metered(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let mut metered = Metered {
            operation: operation(&request),
            action: ACTION.try_with(|()| ()).is_ok(),
            function: local::linked_functions::running(),
            sent: 0,
            received: 0,
            read: 0.0,
            write: 0.0,
            index_write: 0.0,
        };
        let answers_what = target(&request).is_some_and(|target| target.starts_with("DynamoDB_"));
        if answers_what {
            let body = request.body().bytes().unwrap_or_default();
            metered.sent = body.len();
            let mut asking: Value = serde_json::from_slice(body).expect("DynamoDB is sent JSON");
            asking["ReturnConsumedCapacity"] = json!("INDEXES");
            let asking = asking.to_string();
            request.headers_mut().insert("content-length", asking.len().to_string());
            *request.body_mut() = asking.into();
        }
        let (answered, wire) = (self.inner.call(request), self.wire.clone());
        HttpConnectorFuture::new(async move {
            let mut response = answered.await?;
            if answers_what {
                let body = std::mem::replace(response.body_mut(), SdkBody::taken());
                let body = body.collect().await.map_err(ConnectorError::io)?.to_bytes();
                metered.reads(&body);
                *response.body_mut() = SdkBody::from(body);
            }
            wire.with(|script| script.metered.get_or_insert_default().push(metered));
            Ok(response)
        })
    }
}

impl Metered {
    /// Takes in what DynamoDB says.
    fn reads(&mut self, body: &[u8]) {
        let mut answer: Value = serde_json::from_slice(body).expect("DynamoDB answers JSON");
        let consumed = answer.as_object_mut().and_then(|answer| answer.remove("ConsumedCapacity"));
        self.received = answer.to_string().len();
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

/// The error as the request's service would send it. JSON services name it in the body, and DynamoDB with its
/// namespace; REST services name it in a header, and each spells `message` in its own way.
fn refusal(request: &HttpRequest, code: &str, more: &Value) -> HttpConnectorFuture {
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
    let mut body = more.clone();
    match target {
        Some(target) if target.starts_with("DynamoDB") => {
            body["__type"] = json!(format!("com.amazonaws.dynamodb.v20120810#{code}"));
            body["message"] = json!(WORDS);
        }
        Some(_) => {
            body["__type"] = json!(code);
            body["message"] = json!(WORDS);
        }
        None if path(request).contains("/schedules/") => body["Message"] = json!(WORDS),
        None => body["message"] = json!(WORDS),
    }
    let status = StatusCode::try_from(status).expect("a status");
    let mut response = HttpResponse::new(status, body.to_string().into());
    response.headers_mut().insert("content-type", "application/json");
    if is_rest {
        response.headers_mut().insert("x-amzn-errortype", code.to_owned());
    }
    HttpConnectorFuture::ready(Ok(response))
}

/// What every refusal says, and nobody should ever repeat to a caller.
pub const WORDS: &str = "refused on purpose";
