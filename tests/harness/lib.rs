//! Test harness for scenarios. A [`World`] is one laptop (the local server that `cargo run` starts) with its own table.
//!
//! A scenario starts a [`World`], calls the API as a [`Person`], checks each [`ApiResponse`], and ends with
//! [`World::finish`]. `finish` waits until all background work is done and then checks the whole table: all rules
//! hold, no mail of a pending invitation is unsent, and there are no dead letters. Dropping a world without `finish`
//! fails the test.
//!
//! Calls take the same way as in production: a token of the issuer, the gateway, the handlers of the real binaries,
//! the AWS SDK. The table is in the embedded DynamoDB. If `ROSTER_TEST_DYNAMODB` is set (a URL, or `aws`), each world
//! creates its own table there instead.

#![expect(clippy::missing_panics_doc, clippy::must_use_candidate, reason = "a panic is how a scenario fails")]

mod assertions;
mod conflicts;
pub mod costs;
mod fixtures;
mod forgery;
mod functions;
pub mod openapi;
pub mod permissions;
mod person;
mod remote;
mod repository;
mod response;
pub mod template;
mod test_table;
mod wire;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use domain::{Clock as _, Delivery, Status, Timestamp};
use local::aws::PREFIX;
use local::laptop::{ExternalDynamoDb, Laptop, TABLE, plain_http, sdk_config};
use reference::ReferenceTable;
use serde_json::{Value, json};
use store::{RetryPolicy, Store};
use tokio::sync::OnceCell;

pub use assertions::{
    assert_accepted, assert_fields, assert_invitation, assert_member, assert_organization, id, timestamp,
};
pub use fixtures::Fixtures;
pub use forgery::Forgery;
pub use functions::timer;
pub use local::laptop::Options;
pub use person::{Organization, Person};
pub use remote::NoResponse;
pub use repository::{cargo, free_port, repository_root};
pub use response::ApiResponse;
pub use test_table::TestTable;
pub use wire::{AwsRequest, Fault, HeldRequest, MeteredRequest, REFUSAL_MESSAGE, Wire};

/// Lifetime of an invitation, in seconds.
pub const TWO_DAYS: u64 = 48 * 60 * 60;
/// Seconds after which an address can be mailed again: the policy's 60 s plus 1 s.
pub const MAIL_COOLDOWN: u64 = 61;
/// Seconds from an invitation until its schedule has fired: its lifetime, rounded up to a full minute.
pub const SCHEDULE_FIRED: u64 = TWO_DAYS + 60;

/// One laptop with an empty table, for one scenario.
pub struct World {
    laptop: Laptop,
    wire: Wire,
    /// The DynamoDB to use instead of the embedded one. Its table is deleted when the scenario finishes.
    external: Option<ExternalDynamoDb>,
    /// Whether the policy has limits, as it always has on AWS. Permissions are checked only then, because without
    /// limits the functions send other requests.
    limited: bool,
    finished: bool,
}

impl World {
    /// Starts an empty world with default options.
    pub async fn start() -> Self {
        Self::with(Options::default()).await
    }

    /// Starts a world in which each new organization has `seats` seats.
    pub async fn with_seats(seats: u32) -> Self {
        let policy = domain::Policy { seats, ..domain::Policy::default() };
        Self::with(Options { policy, ..Options::default() }).await
    }

    /// Starts a world in which functions stop retrying after 500 ms, so that tests of permanent faults are fast. On a busy
    /// machine, the first attempt alone can take more than 100 ms.
    pub async fn with_short_retries() -> Self {
        let retry_policy = RetryPolicy {
            budget: Duration::from_millis(500),
            pause_first: Duration::from_millis(1),
            pause_max: Duration::from_millis(10),
        };
        Self::with(Options { retry_policy, ..Options::default() }).await
    }

    /// Starts a world with these options.
    pub async fn with(options: Options) -> Self {
        let wire = Wire::default();
        // Functions that run as processes reach DynamoDB through the laptop, which has only the embedded one.
        let external = if options.functions.is_none() { external().await } else { None };
        let functions_wire = wire.clone();
        let options = Options {
            http: Some(Arc::new(move |http| functions_wire.around(http))),
            issuer_key: Some(issuer_key().to_owned()),
            dynamodb: external.clone(),
            // As on AWS: a function gets only the stream records that match the template's filter patterns.
            stream_filter: Some(template::stream_filter_accepts),
            ..options
        };
        let limited = options.policy.limits.is_some();
        let laptop = Laptop::start(options, |_| {}).await.expect("the laptop starts");
        Self { laptop, wire, external, limited, finished: false }
    }

    /// Returns the laptop.
    #[must_use]
    pub fn laptop(&self) -> &Laptop {
        &self.laptop
    }

    /// Returns the wire: it records the requests that functions send to AWS, and injects faults.
    #[must_use]
    pub fn wire(&self) -> &Wire {
        &self.wire
    }

    /// Returns a store for the world's table, for a function that the scenario sets up itself.
    #[must_use]
    pub fn store(&self) -> Store {
        let http = self.wire.client();
        match &self.external {
            Some(ExternalDynamoDb { config, table }) => {
                Store::new(&config.to_builder().http_client(http).build(), table.clone())
            }
            None => Store::new(&sdk_config(&format!("{}{PREFIX}", self.laptop.url()), Some(http)), TABLE),
        }
    }

    /// Returns a person signed in as `name`, with the verified address `<name>@example.com`.
    #[must_use]
    pub fn person(&self, name: &str) -> Person {
        self.signed_in(name, json!({ "email": format!("{name}@example.com"), "email_verified": true }))
    }

    /// Returns a person signed in as `sub` with these claims.
    #[must_use]
    pub fn signed_in(&self, sub: &str, mut claims: Value) -> Person {
        claims["sub"] = json!(sub);
        let person = serde_json::from_value(claims).expect("these are a person's claims");
        Person::signed_in(self.laptop.router(), self.laptop.issuer().clone(), person)
    }

    /// Returns a person who is not signed in.
    #[must_use]
    pub fn anonymous(&self) -> Person {
        Person::anonymous(self.laptop.router())
    }

    /// Lets `founder` create an organization.
    pub async fn founded_by(&self, founder: &Person) -> Organization {
        let created = founder.creates("Acme").await.is(201);
        Organization::new(created["id"].as_str().expect("an organization has an id"))
    }

    /// Lets Ada create an organization, and waits until all background work is done. The wire forgets their requests.
    pub async fn idle_organization(&self) -> (Person, Organization) {
        let ada = self.person("ada");
        let acme = self.founded_by(&ada).await;
        self.wait_until_idle().await;
        let _ = self.wire().take_requests();
        (ada, acme)
    }

    /// Lets `owner` invite `name` with `role`, and `name` accept. Returns the new member.
    pub async fn joined(
        &self,
        organization: &Organization,
        owner: &Person,
        name: &str,
        role: &str,
    ) -> Person {
        let person = self.person(name);
        let email = format!("{name}@example.com");
        owner.invites(organization, &[&email], role).await.is(200);
        let token = self.token_for(&email).await;
        person.accepts(&token).await.is(200);
        person
    }

    /// Lets `sender` invite an address with `role`. Returns the invitation from the response.
    pub async fn invited(
        &self,
        organization: &Organization,
        sender: &Person,
        email: &str,
        role: &str,
    ) -> Value {
        let response = sender.invites(organization, &[email], role).await.is(200);
        assert_eq!(response["results"][0]["outcome"], "invited", "{response}");
        response["results"][0]["invitation"].clone()
    }

    /// Waits until no background work is left: stream, mails, schedules.
    pub async fn wait_until_idle(&self) {
        self.laptop.idle().await.expect("the laptop becomes idle");
    }

    /// Advances the clock, and waits until everything that became due is done.
    pub async fn advance(&self, seconds: u64) {
        self.laptop.advance(seconds).await.expect("the clock advances");
    }

    /// Moves the clock without waiting for work that becomes due.
    pub fn shift_clock(&self, seconds: i64) {
        let clock = self.laptop.clock();
        clock.set_offset(clock.offset() + seconds).expect("the clock can represent the time");
    }

    /// Returns the time of the laptop's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.laptop.clock().now()
    }

    /// Runs `act` while the clock is stopped at `time`.
    pub async fn at<T>(&self, time: Timestamp, act: impl AsyncFnOnce() -> T) -> T {
        let _held = self.stop_clock(time.unix());
        act().await
    }

    /// Stops the clock at this Unix time until the returned guard is dropped.
    pub fn stop_clock(&self, unix_seconds: i64) -> local::clock::HeldClock {
        self.laptop.clock().hold(unix_seconds).expect("the clock can represent the time")
    }

    /// Waits until all mails are sent, and returns the mails to `email`, newest first.
    pub async fn mails_to(&self, email: &str) -> Vec<Value> {
        self.wait_until_idle().await;
        let items = self.laptop.mailbox().items(Some(email));
        items.iter().map(|item| serde_json::to_value(item).expect("a mail is JSON")).collect()
    }

    /// Returns the token in the newest mail to `email`.
    pub async fn token_for(&self, email: &str) -> String {
        let mails = self.mails_to(email).await;
        let mail = mails.first().unwrap_or_else(|| panic!("{email} has no mail"));
        mail["token"].as_str().unwrap_or_else(|| panic!("the mail to {email} has no link")).to_owned()
    }

    /// Reads the whole table.
    pub async fn records(&self) -> ReferenceTable {
        self.laptop.table().records().await.expect("the table can be read")
    }

    /// Ends the scenario: checks that all rules hold, no pending invitation has unsent mail, no dead letter exists, and
    /// the template grants every request that the functions sent.
    pub async fn finish(mut self) {
        self.wait_until_idle().await;
        self.finished = true;
        let stored = self.records().await;
        assert_eq!(stored.violations(), [], "the table violates rules");
        for organization in stored.organizations() {
            for invitation in stored.invitations(&organization.id) {
                let queued = invitation.mail.as_ref().is_some_and(|mail| mail.delivery == Delivery::Queued);
                assert!(
                    !queued || invitation.status() != Status::Pending,
                    "the mail of {} is still queued",
                    invitation.id
                );
            }
        }
        let dead = self.laptop.dead_letters().expect("the laptop's dead letters can be read");
        assert_eq!(dead, [], "dead letters");
        self.assert_permitted();
        self.delete_external_table().await;
    }

    /// Ends a scenario that leaves dead letters or queued mail on purpose: checks only the rules and the permissions.
    pub async fn finish_with_dead_letters(mut self) {
        self.wait_until_idle().await;
        self.finished = true;
        assert_eq!(self.records().await.violations(), [], "the table violates rules");
        self.assert_permitted();
        self.delete_external_table().await;
    }

    /// Checks that the template's roles grant every request that the functions sent.
    fn assert_permitted(&self) {
        let nothing = std::collections::BTreeSet::new();
        for (function, required) in self.wire.required_permissions().into_iter().filter(|_| self.limited) {
            let granted = permissions::granted_by_template().get(&function).unwrap_or(&nothing);
            let missing: Vec<_> = required.difference(granted).collect();
            assert!(missing.is_empty(), "infra/template.yaml does not grant {function}: {missing:#?}");
        }
    }

    async fn delete_external_table(&self) {
        if self.external.is_some() {
            self.laptop.table().delete().await.expect("the world's own table can be deleted");
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        assert!(self.finished || std::thread::panicking(), "a scenario must end with `finish`");
    }
}

/// The issuer's RSA key, shared by all worlds of the process because generating one takes a second.
fn issuer_key() -> &'static str {
    static KEY: OnceLock<String> = OnceLock::new();
    KEY.get_or_init(|| local::issuer::generate_key().expect("a key can be generated"))
}

/// The value of `ROSTER_TEST_DYNAMODB`, if it is set.
fn endpoint() -> Option<String> {
    std::env::var("ROSTER_TEST_DYNAMODB").ok().filter(|endpoint| !endpoint.is_empty())
}

/// The factor for the number of random tries: rounds of races, random plans, calls of histories.
///
/// It is the value of `ROSTER_EFFORT`, or 1 if that is not set. `.ci/run` sets it to 3.
///
/// # Panics
/// If `ROSTER_EFFORT` is not a positive integer.
pub fn effort() -> u32 {
    let Some(value) = std::env::var("ROSTER_EFFORT").ok().filter(|value| !value.is_empty()) else { return 1 };
    let effort = value.parse().ok().filter(|&effort| effort > 0);
    effort.unwrap_or_else(|| panic!("ROSTER_EFFORT must be a positive integer, not {value}"))
}

/// Whether worlds use the DynamoDB that `ROSTER_TEST_DYNAMODB` names instead of the embedded one.
pub fn uses_external_dynamodb() -> bool {
    endpoint().is_some()
}

/// Loads the developer's own AWS configuration (profiles, environment variables) for tests on AWS.
async fn aws_config_of_developer() -> aws_config::SdkConfig {
    let defaults = aws_config::defaults(BehaviorVersion::v2026_01_12());
    let defaults = defaults.http_client(aws_client::http().expect("root certificates can be loaded"));
    defaults.timeout_config(aws_client::timeouts()).load().await
}

/// The DynamoDB that `ROSTER_TEST_DYNAMODB` names, with a random table name.
async fn external() -> Option<ExternalDynamoDb> {
    static AWS: OnceCell<aws_config::SdkConfig> = OnceCell::const_new();
    let endpoint = endpoint()?;
    let config = match endpoint.as_str() {
        "aws" => AWS.get_or_init(aws_config_of_developer).await.clone(),
        url => aws_config::SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
                "test", "test", None, None, "test",
            )))
            .endpoint_url(url)
            .http_client(plain_http())
            .build(),
    };
    Some(ExternalDynamoDb { config, table: format!("roster-test-{:016x}", fastrand::u64(..)) })
}
