//! EventBridge Scheduler: the only file here that knows it.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_scheduler::Client;
use aws_sdk_scheduler::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_scheduler::types::{
    ActionAfterCompletion, DeadLetterConfig, FlexibleTimeWindow, FlexibleTimeWindowMode, RetryPolicy, Target,
};
use domain::{Generation, InvitationId, Link, OrganizationId, Timestamp};
use lambda_api::Timer;

/// Scheduler refuses times that have passed; what is due already is set for this long from now.
const MARGIN: Duration = Duration::from_secs(5);
/// Scheduler keeps trying to hand over to `expire` for a day, as often as it can: its own limits.
const HANDOVER_AGE_SECONDS_MAX: i32 = 24 * 60 * 60;
const HANDOVER_ATTEMPTS_MAX: i32 = 185;

/// Where schedules are kept, and what they invoke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrangement {
    /// The group of all schedules.
    pub group: String,
    /// The ARN of the function `expire`.
    pub expire_arn: String,
    /// The ARN of the role that may invoke it.
    pub role_arn: String,
    /// The ARN of the queue for what could not be handed over.
    pub dead_letter_arn: Option<String>,
}

/// The service that fires at a deadline.
#[derive(Debug, Clone)]
pub struct Scheduler {
    client: Client,
    arrangement: Arrangement,
}

/// A schedule could not be set or deleted: by which error code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("EventBridge Scheduler does not do it: {0}")]
pub struct SchedulerError(String);

impl SchedulerError {
    /// Whether the same may well work later: unless it is a permission, or a mistake of ours.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        !matches!(self.0.as_str(), "AccessDeniedException" | "ValidationException")
    }
}

/// What one call came to.
enum Outcome {
    Done,
    /// There is one already, or it is being changed right now.
    Present,
    /// There is none.
    Absent,
}

impl Scheduler {
    /// Schedules as `arrangement` says, reached as `config` says.
    #[must_use]
    pub fn new(config: &SdkConfig, arrangement: Arrangement) -> Self {
        Self { client: Client::new(config), arrangement }
    }

    /// Makes the invitation's one schedule fire at the deadline of `link`, whether there is one or not.
    pub async fn set(&self, link: &Link, now: Timestamp) -> Result<(), SchedulerError> {
        // The first mail's invitation has no schedule yet; a later one's may still have the one before.
        let creates_first = link.generation <= Generation(1);
        for creates in [creates_first, !creates_first] {
            let outcome =
                if creates { self.create(link, now).await? } else { self.update(link, now).await? };
            match outcome {
                Outcome::Done => return Ok(()),
                Outcome::Present | Outcome::Absent => {}
            }
        }
        // It was there, or not, and then no more, or again: somebody else is at it. Lambda tries again.
        Err(SchedulerError("the schedule comes and goes".to_owned()))
    }

    /// Deletes the invitation's schedule, if there is one.
    pub async fn delete(
        &self,
        organization: &OrganizationId,
        invitation: &InvitationId,
    ) -> Result<(), SchedulerError> {
        let request = self.client.delete_schedule().group_name(&self.arrangement.group);
        match outcome(request.name(name(organization, invitation)).send().await)? {
            Outcome::Done | Outcome::Absent => Ok(()),
            Outcome::Present => Err(SchedulerError("somebody else is changing the schedule".to_owned())),
        }
    }

    async fn create(&self, link: &Link, now: Timestamp) -> Result<Outcome, SchedulerError> {
        let request = self
            .client
            .create_schedule()
            .group_name(&self.arrangement.group)
            .name(name(&link.organization, &link.invitation))
            .schedule_expression(at(link.expires_at, now))
            .schedule_expression_timezone("UTC")
            .flexible_time_window(exactly()?)
            .action_after_completion(ActionAfterCompletion::Delete)
            .target(self.target(link)?);
        outcome(request.send().await)
    }

    async fn update(&self, link: &Link, now: Timestamp) -> Result<Outcome, SchedulerError> {
        let request = self
            .client
            .update_schedule()
            .group_name(&self.arrangement.group)
            .name(name(&link.organization, &link.invitation))
            .schedule_expression(at(link.expires_at, now))
            .schedule_expression_timezone("UTC")
            .flexible_time_window(exactly()?)
            .action_after_completion(ActionAfterCompletion::Delete)
            .target(self.target(link)?);
        outcome(request.send().await)
    }

    fn target(&self, link: &Link) -> Result<Target, SchedulerError> {
        let Arrangement { expire_arn, role_arn, dead_letter_arn, .. } = &self.arrangement;
        let input = serde_json::to_string(&Timer::from(link)).map_err(|_| unwritable())?;
        let retries = RetryPolicy::builder()
            .maximum_event_age_in_seconds(HANDOVER_AGE_SECONDS_MAX)
            .maximum_retry_attempts(HANDOVER_ATTEMPTS_MAX);
        let dead_letters = dead_letter_arn.as_ref().map(|arn| DeadLetterConfig::builder().arn(arn).build());
        let target = Target::builder().arn(expire_arn).role_arn(role_arn).input(input);
        let target = target.retry_policy(retries.build()).set_dead_letter_config(dead_letters);
        target.build().map_err(|_| unwritable())
    }
}

/// The one name of an invitation's schedule: both ids without their prefixes, 57 of the 64 characters that a
/// name may have. An id of either kind has one length, so no two invitations share a name.
#[must_use]
pub fn name(organization: &OrganizationId, invitation: &InvitationId) -> String {
    let bare = |id: &str| id.split_once('_').map_or(id, |(_, bare)| bare).to_owned();
    format!("inv-{}-{}", bare(organization.as_str()), bare(invitation.as_str()))
}

fn at(deadline: Timestamp, now: Timestamp) -> String {
    let moment = deadline.max(now + MARGIN).to_string();
    format!("at({})", moment.trim_end_matches('Z'))
}

fn exactly() -> Result<FlexibleTimeWindow, SchedulerError> {
    let window = FlexibleTimeWindow::builder().mode(FlexibleTimeWindowMode::Off).build();
    window.map_err(|_: BuildError| unwritable())
}

fn unwritable() -> SchedulerError {
    SchedulerError("the schedule cannot be written down".to_owned())
}

fn outcome<Output, E: ProvideErrorMetadata, R>(
    answer: Result<Output, SdkError<E, R>>,
) -> Result<Outcome, SchedulerError> {
    let error = match answer {
        Ok(_) => return Ok(Outcome::Done),
        Err(SdkError::ServiceError(service)) => match service.err().code() {
            Some("ConflictException") => return Ok(Outcome::Present),
            Some("ResourceNotFoundException") => return Ok(Outcome::Absent),
            code => code.unwrap_or("an error without a code").to_owned(),
        },
        Err(SdkError::TimeoutError(_)) => "no answer in time".to_owned(),
        Err(SdkError::DispatchFailure(_)) => "it cannot be reached".to_owned(),
        Err(_) => "no answer that can be read".to_owned(),
    };
    Err(SchedulerError(error))
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::{Arc, Mutex};

    use aws_config::BehaviorVersion;
    use aws_config::retry::RetryConfig;
    use aws_sdk_scheduler::config::{Credentials, Region, SharedCredentialsProvider};
    use aws_smithy_runtime_api::client::http::{
        HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
    };
    use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
    use aws_smithy_types::body::SdkBody;
    use domain::EmailAddress;
    use serde_json::{Value, json};

    use super::*;

    const EXPIRES_AT: i64 = 1_795_701_900; // 2026-11-26T14:05:00Z

    /// Answers requests in turn, and keeps them.
    #[derive(Debug, Clone, Default)]
    struct Script {
        answers: Arc<Mutex<VecDeque<(u16, &'static str)>>>,
        asked: Arc<Mutex<Vec<(String, Value)>>>,
    }

    impl Script {
        fn of(answers: &[(u16, &'static str)]) -> Self {
            Self { answers: Arc::new(Mutex::new(answers.iter().copied().collect())), ..Self::default() }
        }

        fn scheduler(&self) -> Scheduler {
            let script = self.clone();
            let credentials = Credentials::new("test", "test", None, None, "test");
            let config = SdkConfig::builder()
                .behavior_version(BehaviorVersion::v2026_01_12())
                .region(Region::from_static("eu-west-1"))
                .credentials_provider(SharedCredentialsProvider::new(credentials))
                .retry_config(RetryConfig::disabled())
                .http_client(http_client_fn(move |_, _| SharedHttpConnector::new(script.clone())))
                .build();
            let arrangement = Arrangement {
                group: "roster".to_owned(),
                expire_arn: "arn:aws:lambda:eu-west-1:1:function:expire".to_owned(),
                role_arn: "arn:aws:iam::1:role/schedule".to_owned(),
                dead_letter_arn: Some("arn:aws:sqs:eu-west-1:1:dead".to_owned()),
            };
            Scheduler::new(&config, arrangement)
        }

        /// The methods asked with: POST creates, PUT updates, DELETE deletes.
        fn methods(&self) -> Vec<String> {
            self.asked.lock().unwrap().iter().map(|(method, _)| method.clone()).collect()
        }
    }

    impl HttpConnector for Script {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            let body = request.body().bytes().unwrap_or_default();
            let body = serde_json::from_slice(body).unwrap_or_default();
            self.asked.lock().unwrap().push((request.method().to_owned(), body));
            let (status, code) = self.answers.lock().unwrap().pop_front().expect("one answer a request");
            let body = json!({ "ScheduleArn": "arn", "Message": "" }).to_string();
            let response = http::Response::builder()
                .status(status)
                .header("x-amzn-errortype", code)
                .body(SdkBody::from(body))
                .unwrap();
            HttpConnectorFuture::ready(Ok(HttpResponse::try_from(response).unwrap()))
        }
    }

    fn link(generation: u32) -> Link {
        let organization = OrganizationId::from_random([1; 16]);
        let email = EmailAddress::parse("ivy@x.example").unwrap();
        Link {
            invitation: InvitationId::of(&organization, &email),
            organization,
            generation: Generation(generation),
            expires_at: Timestamp::from_unix(EXPIRES_AT),
        }
    }

    fn now() -> Timestamp {
        Timestamp::from_unix(EXPIRES_AT - 3_600)
    }

    #[tokio::test]
    async fn a_schedule_fires_once_at_the_deadline_and_tells_expire_which() {
        let script = Script::of(&[(200, "")]);
        script.scheduler().set(&link(1), now()).await.unwrap();
        let (method, mut asked) = script.asked.lock().unwrap()[0].clone();
        assert_eq!(method, "POST");
        assert!(asked["ClientToken"].take().is_string());
        let input = asked["Target"]["Input"].take();
        assert_eq!(
            asked,
            json!({
                "ClientToken": null,
                "GroupName": "roster",
                "ScheduleExpression": "at(2026-11-26T14:05:00)",
                "ScheduleExpressionTimezone": "UTC",
                "FlexibleTimeWindow": { "Mode": "OFF" },
                "ActionAfterCompletion": "DELETE",
                "Target": {
                    "Arn": "arn:aws:lambda:eu-west-1:1:function:expire",
                    "RoleArn": "arn:aws:iam::1:role/schedule",
                    "Input": null,
                    "DeadLetterConfig": { "Arn": "arn:aws:sqs:eu-west-1:1:dead" },
                    "RetryPolicy": { "MaximumEventAgeInSeconds": 86_400, "MaximumRetryAttempts": 185 },
                },
            })
        );
        let input: Value = serde_json::from_str(input.as_str().unwrap()).unwrap();
        assert_eq!(
            input,
            json!({
                "organization_id": link(1).organization.as_str(),
                "invitation_id": link(1).invitation.as_str(),
                "generation": 1,
                "expires_at": "2026-11-26T14:05:00Z",
            })
        );
        let timer: Timer = serde_json::from_value(input).unwrap();
        assert_eq!(Link::from(timer), link(1));
    }

    #[tokio::test]
    async fn it_stands_in_the_end_whether_or_not_there_was_one() {
        let conflict = (409, "ConflictException");
        let missing = (404, "ResourceNotFoundException");
        for (generation, answers, methods) in [
            (1, vec![(200, "")], vec!["POST"]),
            (1, vec![conflict, (200, "")], vec!["POST", "PUT"]),
            (2, vec![(200, "")], vec!["PUT"]),
            (2, vec![missing, (200, "")], vec!["PUT", "POST"]),
        ] {
            let script = Script::of(&answers);
            script.scheduler().set(&link(generation), now()).await.unwrap();
            assert_eq!(script.methods(), methods, "generation {generation}");
        }
    }

    #[tokio::test]
    async fn what_comes_and_goes_is_an_error_and_so_is_a_missing_group() {
        let conflict = (409, "ConflictException");
        let missing = (404, "ResourceNotFoundException");
        for (generation, answers) in [
            (1, [conflict, missing]),
            (2, [missing, conflict]),
            (1, [missing, missing]),
            (2, [missing, missing]),
        ] {
            assert!(Script::of(&answers).scheduler().set(&link(generation), now()).await.is_err());
        }
    }

    #[tokio::test]
    async fn throttling_and_outages_are_errors_by_their_code() {
        for (status, code) in [
            (429, "ThrottlingException"),
            (500, "InternalServerException"),
            (402, "ServiceQuotaExceededException"),
            (400, "ValidationException"),
        ] {
            let error = Script::of(&[(status, code)]).scheduler().set(&link(1), now()).await.unwrap_err();
            assert_eq!(error, SchedulerError(code.to_owned()));
        }
    }

    #[tokio::test]
    async fn deleting_what_is_not_there_is_fine() {
        for answer in [(200, ""), (404, "ResourceNotFoundException")] {
            let script = Script::of(&[answer]);
            let scheduler = script.scheduler();
            scheduler.delete(&link(1).organization, &link(1).invitation).await.unwrap();
            assert_eq!(script.methods(), ["DELETE"]);
        }
        let conflict = Script::of(&[(409, "ConflictException")]).scheduler();
        assert!(conflict.delete(&link(1).organization, &link(1).invitation).await.is_err());
    }

    #[test]
    fn what_is_due_is_set_for_a_moment_from_now() {
        let deadline = Timestamp::from_unix(EXPIRES_AT);
        let at = |now: i64| at(deadline, Timestamp::from_unix(now));
        assert_eq!(at(EXPIRES_AT - 6), "at(2026-11-26T14:05:00)");
        assert_eq!(at(EXPIRES_AT - 5), "at(2026-11-26T14:05:00)");
        assert_eq!(at(EXPIRES_AT - 4), "at(2026-11-26T14:05:01)");
        assert_eq!(at(EXPIRES_AT + 3_600), "at(2026-11-26T15:05:05)");
    }

    #[test]
    fn names_fit_and_tell_invitations_apart() {
        let link = link(1);
        let name = name(&link.organization, &link.invitation);
        assert_eq!(name, "inv-040g2081040g2081040g208104-wwjcr8t2zseq5zqh2s4kbj0njm");
        assert!(name.len() <= 64);
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)));
    }
}
