//! The client of EventBridge Scheduler. Only this file calls the service.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_scheduler::Client;
use aws_sdk_scheduler::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_scheduler::types::{
    ActionAfterCompletion, DeadLetterConfig, FlexibleTimeWindow, FlexibleTimeWindowMode, RetryPolicy, Target,
};
use domain::{Generation, InvitationId, Link, OrganizationId, Timestamp};
use lambda_api::Timer;

/// Minimum time from now until a schedule fires. EventBridge Scheduler rejects times in the past.
const MARGIN: Duration = Duration::from_secs(5);
/// The precision of EventBridge Scheduler: a schedule for 13:05:00 fires from 13:05:00 to 13:05:59 (its user guide, "Schedule
/// types").
const PRECISION_SECONDS: i64 = 60;
/// How long EventBridge Scheduler retries to invoke `expire`: 24 hours, the maximum of the service.
const RETRY_AGE_SECONDS_MAX: i32 = 24 * 60 * 60;
/// How often EventBridge Scheduler retries to invoke `expire`: the maximum of the service.
const RETRIES_MAX: i32 = 185;

/// The group of the schedules, and what the schedules invoke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleTarget {
    /// The schedule group.
    pub group: String,
    /// The ARN of the function `expire`.
    pub expire_arn: String,
    /// The ARN of the role that may invoke `expire`.
    pub role_arn: String,
    /// The ARN of the dead-letter queue, for events that `expire` could not be invoked with.
    pub dead_letter_arn: Option<String>,
}

/// Creates, updates and deletes the schedules of invitations.
#[derive(Debug, Clone)]
pub struct Scheduler {
    client: Client,
    arrangement: ScheduleTarget,
}

/// A schedule could not be set or deleted. Contains the error code of the service, or another reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the schedule could not be updated: {0}")]
pub struct SchedulerError(String);

impl SchedulerError {
    /// Whether a retry can succeed. It cannot if a permission is missing or the request is invalid.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        !matches!(self.0.as_str(), "AccessDeniedException" | "ValidationException")
    }
}

/// The result of one call.
enum CallResult {
    Done,
    /// The schedule exists already, or another call is changing it.
    Exists,
    /// The schedule does not exist.
    Missing,
}

impl Scheduler {
    /// Creates a client from `config`. Its schedules use the group, function and role in `arrangement`.
    #[must_use]
    pub fn new(config: &SdkConfig, arrangement: ScheduleTarget) -> Self {
        Self { client: Client::new(config), arrangement }
    }

    /// Creates or updates the schedule of an invitation, so that it fires within two minutes after the expiry
    /// of `link`.
    pub async fn set(&self, link: &Link, now: Timestamp) -> Result<(), SchedulerError> {
        // For the first mail there is no schedule yet. For a later mail, the schedule of the previous mail may still
        // exist.
        let creates_first = link.generation <= Generation(1);
        for creates in [creates_first, !creates_first] {
            let result = if creates { self.create(link, now).await? } else { self.update(link, now).await? };
            match result {
                CallResult::Done => return Ok(()),
                CallResult::Exists | CallResult::Missing => {}
            }
        }
        // Another call created or deleted the schedule in between, or the group is missing. Lambda retries.
        Err(SchedulerError("a concurrent change, or the schedule group is missing".to_owned()))
    }

    /// Deletes the schedule of an invitation, if it exists.
    pub async fn delete(
        &self,
        organization: &OrganizationId,
        invitation: &InvitationId,
    ) -> Result<(), SchedulerError> {
        let request =
            self.client.delete_schedule().group_name(&self.arrangement.group).client_token(token()?);
        match call_result(request.name(name(organization, invitation)).send().await)? {
            CallResult::Done | CallResult::Missing => Ok(()),
            CallResult::Exists => Err(SchedulerError("another call is changing the schedule".to_owned())),
        }
    }

    async fn create(&self, link: &Link, now: Timestamp) -> Result<CallResult, SchedulerError> {
        let request = self
            .client
            .create_schedule()
            .client_token(token()?)
            .group_name(&self.arrangement.group)
            .name(name(&link.organization, &link.invitation))
            .schedule_expression(at(link.expires_at, now))
            .schedule_expression_timezone("UTC")
            .flexible_time_window(exact_time()?)
            .action_after_completion(ActionAfterCompletion::Delete)
            .target(self.target(link)?);
        call_result(request.send().await)
    }

    async fn update(&self, link: &Link, now: Timestamp) -> Result<CallResult, SchedulerError> {
        let request = self
            .client
            .update_schedule()
            .client_token(token()?)
            .group_name(&self.arrangement.group)
            .name(name(&link.organization, &link.invitation))
            .schedule_expression(at(link.expires_at, now))
            .schedule_expression_timezone("UTC")
            .flexible_time_window(exact_time()?)
            .action_after_completion(ActionAfterCompletion::Delete)
            .target(self.target(link)?);
        call_result(request.send().await)
    }

    fn target(&self, link: &Link) -> Result<Target, SchedulerError> {
        let ScheduleTarget { expire_arn, role_arn, dead_letter_arn, .. } = &self.arrangement;
        let input = serde_json::to_string(&Timer::from(link)).map_err(|_| build_error())?;
        let retries = RetryPolicy::builder()
            .maximum_event_age_in_seconds(RETRY_AGE_SECONDS_MAX)
            .maximum_retry_attempts(RETRIES_MAX);
        let dead_letters = dead_letter_arn.as_ref().map(|arn| DeadLetterConfig::builder().arn(arn).build());
        let target = Target::builder().arn(expire_arn).role_arn(role_arn).input(input);
        let target = target.retry_policy(retries.build()).set_dead_letter_config(dead_letters);
        target.build().map_err(|_| build_error())
    }
}

/// Returns the name of an invitation's schedule. It contains both ids without their prefixes.
///
/// The name has 57 characters; the service allows 64. All ids of one kind have the same length, so no two invitations
/// share a name.
#[must_use]
pub fn name(organization: &OrganizationId, invitation: &InvitationId) -> String {
    let bare = |id: &str| id.split_once('_').map_or(id, |(_, bare)| bare).to_owned();
    format!("inv-{}-{}", bare(organization.as_str()), bare(invitation.as_str()))
}

/// Returns the expression of a schedule that fires at `deadline` or in the two minutes after it, but never before.
///
/// EventBridge Scheduler fires a schedule at any second of its minute, so a deadline within a minute moves to the next
/// full minute. A schedule that fires early would fail: `expire` refuses it, and Lambda counts an error.
fn at(deadline: Timestamp, now: Timestamp) -> String {
    let earliest = deadline.max(now + MARGIN).unix();
    let full_minute = earliest.saturating_add(PRECISION_SECONDS - 1).div_euclid(PRECISION_SECONDS);
    let moment = Timestamp::from_unix(full_minute.saturating_mul(PRECISION_SECONDS)).to_string();
    format!("at({})", moment.trim_end_matches('Z'))
}

fn exact_time() -> Result<FlexibleTimeWindow, SchedulerError> {
    let window = FlexibleTimeWindow::builder().mode(FlexibleTimeWindowMode::Off).build();
    window.map_err(|_: BuildError| build_error())
}

fn token() -> Result<String, SchedulerError> {
    aws_client::client_request_token().map_err(|error| SchedulerError(error.to_string()))
}

fn build_error() -> SchedulerError {
    SchedulerError("the request cannot be built".to_owned())
}

fn call_result<Output, E: ProvideErrorMetadata, R>(
    response: Result<Output, SdkError<E, R>>,
) -> Result<CallResult, SchedulerError> {
    let error = match response {
        Ok(_) => return Ok(CallResult::Done),
        Err(SdkError::ServiceError(service)) => match service.err().code() {
            Some("ConflictException") => return Ok(CallResult::Exists),
            Some("ResourceNotFoundException") => return Ok(CallResult::Missing),
            code => code.unwrap_or("an error without a code").to_owned(),
        },
        Err(SdkError::TimeoutError(_)) => "the request timed out".to_owned(),
        Err(SdkError::DispatchFailure(_)) => "the service cannot be reached".to_owned(),
        Err(_) => "the response cannot be read".to_owned(),
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

    /// A fake of the service. It gives the responses of `responses` in turn, and keeps all requests.
    #[derive(Debug, Clone, Default)]
    struct FakeService {
        responses: Arc<Mutex<VecDeque<(u16, &'static str)>>>,
        requests: Arc<Mutex<Vec<(String, Value)>>>,
    }

    impl FakeService {
        fn responding(responses: &[(u16, &'static str)]) -> Self {
            Self { responses: Arc::new(Mutex::new(responses.iter().copied().collect())), ..Self::default() }
        }

        fn scheduler(&self) -> Scheduler {
            let service = self.clone();
            let credentials = Credentials::new("test", "test", None, None, "test");
            let config = SdkConfig::builder()
                .behavior_version(BehaviorVersion::v2026_01_12())
                .region(Region::from_static("eu-west-1"))
                .credentials_provider(SharedCredentialsProvider::new(credentials))
                .retry_config(RetryConfig::disabled())
                .http_client(http_client_fn(move |_, _| SharedHttpConnector::new(service.clone())))
                .build();
            let arrangement = ScheduleTarget {
                group: "roster".to_owned(),
                expire_arn: "arn:aws:lambda:eu-west-1:1:function:expire".to_owned(),
                role_arn: "arn:aws:iam::1:role/schedule".to_owned(),
                dead_letter_arn: Some("arn:aws:sqs:eu-west-1:1:dead".to_owned()),
            };
            Scheduler::new(&config, arrangement)
        }

        /// The methods of the requests: POST creates, PUT updates, DELETE deletes.
        fn methods(&self) -> Vec<String> {
            self.requests.lock().unwrap().iter().map(|(method, _)| method.clone()).collect()
        }
    }

    impl HttpConnector for FakeService {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            let body = request.body().bytes().unwrap_or_default();
            let body = serde_json::from_slice(body).unwrap_or_default();
            self.requests.lock().unwrap().push((request.method().to_owned(), body));
            let (status, code) =
                self.responses.lock().unwrap().pop_front().expect("a response for each request");
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
    async fn creates_a_schedule_that_invokes_expire_once_at_the_expiry() {
        let service = FakeService::responding(&[(200, "")]);
        service.scheduler().set(&link(1), now()).await.unwrap();
        let (method, mut request) = service.requests.lock().unwrap()[0].clone();
        assert_eq!(method, "POST");
        let token = request["ClientToken"].take();
        assert!(token.as_str().is_some_and(|token| token.len() == 32 && !token.contains('-')), "{token}");
        let input = request["Target"]["Input"].take();
        assert_eq!(
            request,
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
    async fn sets_a_schedule_that_exists_or_not() {
        let conflict = (409, "ConflictException");
        let missing = (404, "ResourceNotFoundException");
        for (generation, responses, methods) in [
            (1, vec![(200, "")], vec!["POST"]),
            (1, vec![conflict, (200, "")], vec!["POST", "PUT"]),
            (2, vec![(200, "")], vec!["PUT"]),
            (2, vec![missing, (200, "")], vec!["PUT", "POST"]),
        ] {
            let service = FakeService::responding(&responses);
            service.scheduler().set(&link(generation), now()).await.unwrap();
            assert_eq!(service.methods(), methods, "generation {generation}");
        }
    }

    #[tokio::test]
    async fn a_concurrent_change_or_a_missing_group_is_an_error() {
        let conflict = (409, "ConflictException");
        let missing = (404, "ResourceNotFoundException");
        for (generation, responses) in [
            (1, [conflict, missing]),
            (2, [missing, conflict]),
            (1, [missing, missing]),
            (2, [missing, missing]),
        ] {
            assert!(
                FakeService::responding(&responses).scheduler().set(&link(generation), now()).await.is_err()
            );
        }
    }

    #[tokio::test]
    async fn an_error_contains_the_code_of_the_service() {
        for (status, code) in [
            (429, "ThrottlingException"),
            (500, "InternalServerException"),
            (402, "ServiceQuotaExceededException"),
            (400, "ValidationException"),
        ] {
            let error = FakeService::responding(&[(status, code)])
                .scheduler()
                .set(&link(1), now())
                .await
                .unwrap_err();
            assert_eq!(error, SchedulerError(code.to_owned()));
        }
    }

    #[tokio::test]
    async fn deletes_a_schedule_that_exists_or_not() {
        for response in [(200, ""), (404, "ResourceNotFoundException")] {
            let service = FakeService::responding(&[response]);
            let scheduler = service.scheduler();
            scheduler.delete(&link(1).organization, &link(1).invitation).await.unwrap();
            assert_eq!(service.methods(), ["DELETE"]);
        }
        let conflict = FakeService::responding(&[(409, "ConflictException")]).scheduler();
        assert!(conflict.delete(&link(1).organization, &link(1).invitation).await.is_err());
    }

    #[test]
    fn a_schedule_fires_at_the_first_full_minute_from_the_expiry_and_5_seconds_from_now() {
        let at = |deadline, now| at(Timestamp::from_unix(deadline), Timestamp::from_unix(now));
        let hour_before = EXPIRES_AT - 3_600;
        assert_eq!(at(EXPIRES_AT, hour_before), "at(2026-11-26T14:05:00)");
        assert_eq!(at(EXPIRES_AT + 1, hour_before), "at(2026-11-26T14:06:00)");
        assert_eq!(at(EXPIRES_AT + 59, hour_before), "at(2026-11-26T14:06:00)");
        assert_eq!(at(EXPIRES_AT + 60, hour_before), "at(2026-11-26T14:06:00)");
        assert_eq!(at(EXPIRES_AT, EXPIRES_AT - 5), "at(2026-11-26T14:05:00)");
        assert_eq!(at(EXPIRES_AT, EXPIRES_AT - 4), "at(2026-11-26T14:06:00)");
        assert_eq!(at(EXPIRES_AT, EXPIRES_AT + 3_600), "at(2026-11-26T15:06:00)");
    }

    #[test]
    fn a_name_contains_both_ids_and_is_valid() {
        let link = link(1);
        let name = name(&link.organization, &link.invitation);
        assert_eq!(name, "inv-040g2081040g2081040g208104-wwjcr8t2zseq5zqh2s4kbj0njm");
        assert!(name.len() <= 64);
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)));
    }
}
