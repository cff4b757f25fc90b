//! The network between the functions and AWS: requests take time, and faults hit some of them.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::lambda::{Invocation, current_invocation};
use crate::services::{MailKey, ScheduleResult, mail_key, token_and_recipient};
use crate::simulation::Simulation;

/// A delay that is longer than every timeout of the SDK.
const LATE: Duration = Duration::from_mins(1);

/// The HTTP client of all functions in one simulation.
///
/// The reference is weak, because the simulation owns the functions, and the functions own this client.
#[derive(Clone)]
pub struct Network(pub Weak<Simulation>);

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").finish_non_exhaustive()
    }
}

impl HttpClient for Network {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

/// A parsed request to an AWS service.
#[derive(Debug)]
struct AwsRequest {
    operation: String,
    method: String,
    /// The last segment of the path: the name of a schedule.
    name: String,
    body: Vec<u8>,
}

/// A response of an AWS service: status, error code of a REST service, body.
pub type AwsResponse = (u16, Option<&'static str>, String);

/// A fault of one request; [`Faults`](crate::faults::Faults) explains them.
///
/// The report counts the variants by their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    LostRequest,
    LostResponse,
    LateResponse,
    Throttled,
    ErrorBeforeExecution,
    ErrorAfterExecution,
    Conflict,
    MailRejected,
    SendingPaused,
}

impl Fault {
    /// Whether the service executes the request in spite of the fault.
    fn executes(self) -> bool {
        matches!(self, Self::LostResponse | Self::LateResponse | Self::ErrorAfterExecution)
    }
}

impl HttpConnector for Network {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let simulation = self.0.upgrade().expect("the simulation outlives its functions");
        let invocation = current_invocation();
        let request = AwsRequest::parse(&request);
        let (sender, receiver) = oneshot::channel();
        // A separate task, because a request that was sent arrives even if its function is killed.
        simulation.clone().spawn(async move {
            let fault = invocation.as_ref().and_then(|_| simulation.draw_fault(&request));
            let is_executed = fault.is_none_or(Fault::executes);
            if let (Some(invocation), Some(mail), true) = (&invocation, request.mail(), is_executed) {
                invocation.record_mail(mail);
            }
            if let (Some(fault), Some(invocation)) = (fault, &invocation) {
                simulation.log(format_args!("{}: {fault:?} at {}", invocation.name(), request.operation));
                simulation.count(format!("{fault:?}"));
                if request.is_kms() {
                    simulation.count("faults of KMS");
                }
                invocation.record_fault();
                if is_executed || request.operation != "SendEmail" {
                    simulation.allow_duplicates_of_mails(invocation);
                }
            }
            sleep(simulation.latency()).await;
            if fault == Some(Fault::LostRequest) {
                return;
            }
            let error = fault.and_then(|fault| request.error_instead(fault));
            let response = match error {
                Some(error) => error,
                None => simulation.execute(&request, invocation.as_deref()),
            };
            sleep(simulation.latency()).await;
            match fault {
                Some(Fault::LostResponse) => return,
                Some(Fault::LateResponse) => sleep(LATE).await,
                _ => {}
            }
            let is_error = fault == Some(Fault::ErrorAfterExecution);
            let response = if is_error { request.server_error() } else { response };
            // The receiver is gone if the function was killed or its client timed out.
            let _ = sender.send(response);
        });
        HttpConnectorFuture::new(async move {
            let lost = |_| ConnectorError::io("the connection was lost".into());
            Ok(http_response(receiver.await.map_err(lost)?))
        })
    }
}

/// Converts a response into the form that the SDK receives.
pub fn http_response((status, code, body): AwsResponse) -> HttpResponse {
    let status = StatusCode::try_from(status).expect("the status is valid");
    let mut response = HttpResponse::new(status, body.into());
    response.headers_mut().insert("content-type", "application/json");
    if let Some(code) = code {
        response.headers_mut().insert("x-amzn-errortype", code);
    }
    response
}

impl AwsRequest {
    fn parse(request: &HttpRequest) -> Self {
        let path = request.uri().split('?').next().unwrap_or_default();
        let target = request.headers().get("x-amz-target").and_then(|target| target.split_once('.'));
        let operation = match (target, request.method()) {
            (Some((_, operation)), _) => operation,
            (None, "POST") if path.contains("/schedules/") => "CreateSchedule",
            (None, "PUT") => "UpdateSchedule",
            (None, "DELETE") => "DeleteSchedule",
            (None, _) => "SendEmail",
        };
        Self {
            operation: operation.to_owned(),
            method: request.method().to_owned(),
            name: path.rsplit('/').next().unwrap_or_default().to_owned(),
            body: request.body().bytes().unwrap_or_default().to_vec(),
        }
    }

    /// Returns the key of the mail if this is a `SendEmail` request.
    fn mail(&self) -> Option<MailKey> {
        (self.operation == "SendEmail").then(|| mail_key(&token_and_recipient(&self.json()).0.link))
    }

    fn is_kms(&self) -> bool {
        self.operation.ends_with("Mac")
    }

    fn is_schedule(&self) -> bool {
        self.operation.ends_with("Schedule")
    }

    fn is_transaction(&self) -> bool {
        self.operation.starts_with("Transact")
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Returns the error response of a fault that prevents the execution; `None` for the other faults.
    fn error_instead(&self, fault: Fault) -> Option<AwsResponse> {
        Some(match fault {
            Fault::LostRequest | Fault::LostResponse | Fault::LateResponse | Fault::ErrorAfterExecution => {
                return None;
            }
            Fault::ErrorBeforeExecution => self.server_error(),
            Fault::Throttled if self.is_transaction() => self.cancellation("ThrottlingError"),
            Fault::Throttled if self.operation == "SendEmail" => rest_error(429, "TooManyRequestsException"),
            Fault::Throttled if self.is_schedule() => rest_error(429, "ThrottlingException"),
            Fault::Throttled if self.is_kms() => rest_error(400, "ThrottlingException"),
            Fault::Throttled => dynamodb_error(400, "ThrottlingException", json!({})),
            Fault::Conflict => self.cancellation("TransactionConflict"),
            Fault::MailRejected => rest_error(400, "MessageRejected"),
            Fault::SendingPaused => rest_error(400, "SendingPausedException"),
        })
    }

    /// Returns the service's 5xx response.
    fn server_error(&self) -> AwsResponse {
        match self.operation.as_str() {
            "SendEmail" => rest_error(500, "InternalServiceErrorException"),
            _ if self.is_schedule() => rest_error(500, "InternalServerException"),
            _ if self.is_kms() => rest_error(500, "KMSInternalException"),
            _ => dynamodb_error(500, "InternalServerError", json!({})),
        }
    }

    /// Returns the response of a transaction that is cancelled with this reason for its first item.
    fn cancellation(&self, code: &str) -> AwsResponse {
        let items = self.json()["TransactItems"].as_array().map_or(1, Vec::len);
        let reasons: Vec<_> =
            (0..items).map(|index| json!({ "Code": if index == 0 { code } else { "None" } })).collect();
        dynamodb_error(400, "TransactionCanceledException", json!({ "CancellationReasons": reasons }))
    }
}

fn dynamodb_error(status: u16, code: &str, mut body: Value) -> AwsResponse {
    body["__type"] = json!(format!("com.amazonaws.dynamodb.v20120810#{code}"));
    (status, None, body.to_string())
}

fn rest_error(status: u16, code: &'static str) -> AwsResponse {
    (status, Some(code), json!({ "message": "an injected fault" }).to_string())
}

impl Simulation {
    /// Draws the fault of a request; `None` if the request succeeds.
    fn draw_fault(&self, request: &AwsRequest) -> Option<Fault> {
        if self.faults_are_over() {
            return None;
        }
        let faults = &self.faults;
        let is_mail = request.operation == "SendEmail";
        if is_mail && self.is_ses_outage() {
            return Some(Fault::SendingPaused);
        }
        let error = if self.chance(0.5) { Fault::ErrorBeforeExecution } else { Fault::ErrorAfterExecution };
        let rates = [
            (faults.lost_requests, Fault::LostRequest),
            (faults.lost_responses, Fault::LostResponse),
            (faults.late_responses, Fault::LateResponse),
            (faults.throttling, Fault::Throttled),
            (faults.errors, error),
            (if request.is_transaction() { faults.conflicts } else { 0.0 }, Fault::Conflict),
            (if is_mail { faults.rejections } else { 0.0 }, Fault::MailRejected),
        ];
        rates.into_iter().find(|(rate, _)| self.chance(*rate)).map(|(_, fault)| fault)
    }

    /// Executes a request at its service and returns the response.
    fn execute(self: &Arc<Self>, request: &AwsRequest, by: Option<&Invocation>) -> AwsResponse {
        self.count("requests");
        match request.operation.as_str() {
            "SendEmail" => {
                let link = self.mailbox().accept(&request.json());
                self.log(format_args!("SES accepts mail {} of {}", link.generation.0, link.invitation));
                self.count("mails");
                self.clone().send_feedback(&link);
                (200, None, json!({ "MessageId": "0" }).to_string())
            }
            _ if request.is_schedule() => {
                let result =
                    self.schedules().execute(&request.method, &request.name, &request.json(), self.now());
                match result {
                    ScheduleResult::Rejected(status, code) => rest_error(status, code),
                    ScheduleResult::Deleted => (200, None, "{}".to_owned()),
                    ScheduleResult::Set(name, schedule) => {
                        self.log(format_args!("{name} is set for {}", schedule.at));
                        self.clone().start_timer(name, schedule);
                        (200, None, json!({ "ScheduleArn": "arn" }).to_string())
                    }
                }
            }
            "GenerateMac" | "VerifyMac" => match self.kms.handle(&request.operation, &request.body) {
                Ok(response) => (200, None, response.to_string()),
                Err(error) => panic!("KMS rejects {}: {error:?}", request.operation),
            },
            operation => {
                let (status, body) = self.engine.execute(operation, &request.body);
                match (operation, status) {
                    ("TransactWriteItems", 200) => self.after_commit(by),
                    ("TransactWriteItems", _) => {
                        self.count("failed guards");
                        by.into_iter().for_each(Invocation::record_failed_guard);
                    }
                    ("Query", 200) => {
                        let query = request.json();
                        if !query["IndexName"].is_null() {
                            return (status, None, self.maybe_stale(&query, body));
                        }
                    }
                    _ => {}
                }
                (status, None, body)
            }
        }
    }
}
