//! What is between the functions and AWS: every request takes its time, and some never arrive.

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

use crate::lambda::{Invocation, invocation};
use crate::services::{MailId, Scheduled, link_and_recipient};
use crate::world::World;

/// Longer than anybody waits for an answer.
const TOO_LONG: Duration = Duration::from_mins(1);

/// The way to AWS of one world, which holds the functions that hold this.
#[derive(Clone)]
pub struct Network(pub Weak<World>);

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

/// What a request wants.
#[derive(Debug)]
struct Wanted {
    operation: String,
    method: String,
    /// The last part of the path.
    name: String,
    body: Vec<u8>,
}

/// An answer on its way: status, error code of a REST service, body.
pub type Answer = (u16, Option<&'static str>, String);

/// What happens to a request instead of what should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    LostBefore,
    LostAfter,
    Hangs,
    Throttles,
    Fails,
    FailsAfter,
    Conflicts,
    Refuses,
    Outage,
}

impl Fault {
    /// Whether the service does what is asked for, whatever it answers.
    fn lets_it_be_done(self) -> bool {
        matches!(self, Self::LostAfter | Self::Hangs | Self::FailsAfter)
    }
}

impl HttpConnector for Network {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let world = self.0.upgrade().expect("a world outlives its functions");
        let invocation = invocation();
        let wanted = Wanted::of(&request);
        let (answer, answered) = oneshot::channel();
        // What was sent is on its way, whether or not its sender lives to see the answer.
        world.clone().spawn(async move {
            let fault = invocation.as_ref().and_then(|_| world.meets(&wanted));
            let takes = fault.is_none_or(Fault::lets_it_be_done);
            if let (Some(invocation), Some(mail), true) = (&invocation, wanted.mail(), takes) {
                invocation.sends(mail);
            }
            if let (Some(fault), Some(invocation)) = (fault, &invocation) {
                world.note(format_args!("{} meets {fault:?} at {}", invocation.name(), wanted.operation));
                world.count(format!("{fault:?}"));
                if wanted.is_kms() {
                    world.count("faults of KMS");
                }
                invocation.suffers();
                if takes || wanted.operation != "SendEmail" {
                    world.excuses_mails_of(invocation);
                }
            }
            sleep(world.latency()).await;
            if fault == Some(Fault::LostBefore) {
                return;
            }
            let refused = fault.and_then(|fault| wanted.refused(fault));
            let given = match refused {
                Some(refused) => refused,
                None => world.serve(&wanted, invocation.as_deref()),
            };
            sleep(world.latency()).await;
            match fault {
                Some(Fault::LostAfter) => return,
                Some(Fault::Hangs) => sleep(TOO_LONG).await,
                _ => {}
            }
            let given = if fault == Some(Fault::FailsAfter) { wanted.failed() } else { given };
            // Whoever died does not listen.
            let _ = answer.send(given);
        });
        HttpConnectorFuture::new(async move {
            let lost = |_| ConnectorError::io("the connection was lost".into());
            Ok(response(answered.await.map_err(lost)?))
        })
    }
}

/// An answer as the SDK receives it.
pub fn response((status, code, body): Answer) -> HttpResponse {
    let status = StatusCode::try_from(status).expect("a status");
    let mut response = HttpResponse::new(status, body.into());
    response.headers_mut().insert("content-type", "application/json");
    if let Some(code) = code {
        response.headers_mut().insert("x-amzn-errortype", code);
    }
    response
}

impl Wanted {
    fn of(request: &HttpRequest) -> Self {
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

    /// The mail that it sends, if it sends one.
    fn mail(&self) -> Option<MailId> {
        (self.operation == "SendEmail")
            .then(|| crate::services::mail_of(&link_and_recipient(&self.json()).0.link))
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

    /// The answer that a fault gives instead of the service.
    fn refused(&self, fault: Fault) -> Option<Answer> {
        Some(match fault {
            Fault::LostBefore | Fault::LostAfter | Fault::Hangs | Fault::FailsAfter => return None,
            Fault::Fails => self.failed(),
            Fault::Throttles if self.is_transaction() => self.cancelled("ThrottlingError"),
            Fault::Throttles if self.operation == "SendEmail" => rest(429, "TooManyRequestsException"),
            Fault::Throttles if self.is_schedule() => rest(429, "ThrottlingException"),
            Fault::Throttles if self.is_kms() => rest(400, "ThrottlingException"),
            Fault::Throttles => dynamodb(400, "ThrottlingException", json!({})),
            Fault::Conflicts => self.cancelled("TransactionConflict"),
            Fault::Refuses => rest(400, "MessageRejected"),
            Fault::Outage => rest(400, "SendingPausedException"),
        })
    }

    fn failed(&self) -> Answer {
        match self.operation.as_str() {
            "SendEmail" => rest(500, "InternalServiceErrorException"),
            _ if self.is_schedule() => rest(500, "InternalServerException"),
            _ if self.is_kms() => rest(500, "KMSInternalException"),
            _ => dynamodb(500, "InternalServerError", json!({})),
        }
    }

    fn cancelled(&self, code: &str) -> Answer {
        let items = self.json()["TransactItems"].as_array().map_or(1, Vec::len);
        let reasons: Vec<_> =
            (0..items).map(|place| json!({ "Code": if place == 0 { code } else { "None" } })).collect();
        dynamodb(400, "TransactionCanceledException", json!({ "CancellationReasons": reasons }))
    }
}

fn dynamodb(status: u16, code: &str, mut body: Value) -> Answer {
    body["__type"] = json!(format!("com.amazonaws.dynamodb.v20120810#{code}"));
    (status, None, body.to_string())
}

fn rest(status: u16, code: &'static str) -> Answer {
    (status, Some(code), json!({ "message": "refused on purpose" }).to_string())
}

impl World {
    /// What happens to a request, by chance.
    fn meets(&self, wanted: &Wanted) -> Option<Fault> {
        if self.is_calm() {
            return None;
        }
        let faults = &self.faults;
        let is_mail = wanted.operation == "SendEmail";
        if is_mail && self.is_outage() {
            return Some(Fault::Outage);
        }
        let fails = if self.by_chance(0.5) { Fault::Fails } else { Fault::FailsAfter };
        let draws = [
            (faults.lost_before, Fault::LostBefore),
            (faults.lost_after, Fault::LostAfter),
            (faults.hangs, Fault::Hangs),
            (faults.throttles, Fault::Throttles),
            (faults.fails, fails),
            (if wanted.is_transaction() { faults.conflicts } else { 0.0 }, Fault::Conflicts),
            (if is_mail { faults.refuses } else { 0.0 }, Fault::Refuses),
        ];
        draws.into_iter().find(|(rate, _)| self.by_chance(*rate)).map(|(_, fault)| fault)
    }

    /// The services' own answer.
    fn serve(self: &Arc<Self>, wanted: &Wanted, by: Option<&Invocation>) -> Answer {
        self.count("requests");
        match wanted.operation.as_str() {
            "SendEmail" => {
                let link = self.mailbox().take(&wanted.json());
                self.note(format_args!("SES takes mail {} of {}", link.generation.0, link.invitation));
                self.count("mails");
                self.clone().tells_feedback(&link);
                (200, None, json!({ "MessageId": "0" }).to_string())
            }
            _ if wanted.is_schedule() => {
                let scheduled =
                    self.schedules().answer(&wanted.method, &wanted.name, &wanted.json(), self.now());
                match scheduled {
                    Scheduled::Refused(status, code) => rest(status, code),
                    Scheduled::Deleted => (200, None, "{}".to_owned()),
                    Scheduled::Set(name, schedule) => {
                        self.note(format_args!("{name} is set for {}", schedule.at));
                        self.clone().waits_for(name, schedule);
                        (200, None, json!({ "ScheduleArn": "arn" }).to_string())
                    }
                }
            }
            "GenerateMac" | "VerifyMac" => match self.kms.answer(&wanted.operation, &wanted.body) {
                Ok(answer) => (200, None, answer.to_string()),
                Err(error) => panic!("KMS refuses {}: {error:?}", wanted.operation),
            },
            operation => {
                let (status, body) = self.engine.answer(operation, &wanted.body);
                match (operation, status) {
                    ("TransactWriteItems", 200) => self.committed(by),
                    ("TransactWriteItems", _) => {
                        self.count("lost races");
                        by.into_iter().for_each(Invocation::loses_a_race);
                    }
                    ("Query", 200) => {
                        let question = wanted.json();
                        if !question["IndexName"].is_null() {
                            return (status, None, self.indexed(&question, body));
                        }
                    }
                    _ => {}
                }
                (status, None, body)
            }
        }
    }
}
