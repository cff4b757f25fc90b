//! The world that scenarios play in: a whole laptop, people with verbs, and what they are answered.
//!
//! A scenario starts a [`World`], lets a [`Person`] do something, looks at the [`Answer`], and ends with
//! [`World::finish`], which waits until nothing is left to do and then looks at the whole table: the rules
//! hold, no mail is owed, nothing was given up. A world that is dropped without it fails its test.
//!
//! People call the API as anybody does: with a token of the issuer, through the gateway, into the handlers of
//! the real binaries, which reach the table by the real SDK. The table is the embedded engine's, or one that
//! is made for the world at the DynamoDB that `ROSTER_TEST_DYNAMODB` names (a URL, or `aws`).

#![expect(
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "whatever does not go as a scenario expects fails it"
)]

mod answer;
mod assertions;
mod conflicts;
pub mod costs;
pub mod document;
mod fixtures;
mod forgery;
mod functions;
pub mod permissions;
mod person;
mod remote;
mod repository;
pub mod template;
mod test_table;
mod wire;

use std::sync::OnceLock;
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

pub use answer::Answer;
pub use assertions::{assert_fields, assert_invitation, assert_member, assert_organization, id, moment};
pub use fixtures::Fixtures;
pub use forgery::Forgery;
pub use functions::timer;
pub use local::laptop::Options;
pub use person::{Organization, Person};
pub use remote::NoAnswer;
pub use repository::{cargo, top};
pub use test_table::TestTable;
pub use wire::{Call, Fault, HeldRequest, Metered, WORDS, Wire};

/// After so many seconds an invitation has expired.
pub const TWO_DAYS: u64 = 48 * 60 * 60;
/// After so many seconds an address can be mailed again.
pub const MAIL_COOLDOWN: u64 = 61;

/// A laptop of one's own, empty.
pub struct World {
    laptop: Laptop,
    wire: Wire,
    /// Another DynamoDB than the laptop's own, whose table has to be deleted in the end.
    external: Option<ExternalDynamoDb>,
    /// As in AWS, where limits cannot be lifted.
    limited: bool,
    ended: bool,
}

impl World {
    /// A world with nobody in it.
    pub async fn start() -> Self {
        Self::with(Options::default()).await
    }

    /// A world whose organizations have `seats` seats.
    pub async fn with_seats(seats: u32) -> Self {
        let policy = domain::Policy { seats, ..domain::Policy::default() };
        Self::with(Options { policy, ..Options::default() }).await
    }

    /// A world whose functions give up soon: what would take seconds takes a tenth of one.
    pub async fn with_short_retries() -> Self {
        let retry_policy = RetryPolicy {
            budget: Duration::from_millis(100),
            pause_first: Duration::from_millis(1),
            pause_max: Duration::from_millis(10),
        };
        Self::with(Options { retry_policy, ..Options::default() }).await
    }

    /// A world started in a way of its own.
    pub async fn with(options: Options) -> Self {
        let wire = Wire::new(plain_http());
        // Function processes reach DynamoDB through the laptop, and that is always the embedded one.
        let external = if options.functions.is_none() { external().await } else { None };
        let options = Options {
            http: options.functions.is_none().then(|| wire.client()),
            issuer_key: Some(issuer_key().to_owned()),
            dynamodb: external.clone(),
            // As on AWS, where nobody reads what the template's patterns leave out.
            stream_filter: Some(template::gets),
            ..options
        };
        let limited = options.policy.limits.is_some();
        let laptop = Laptop::start(options, |_| {}).await.expect("the laptop starts");
        Self { laptop, wire, external, limited, ended: false }
    }

    /// The laptop.
    #[must_use]
    pub fn laptop(&self) -> &Laptop {
        &self.laptop
    }

    /// What the functions send to AWS.
    #[must_use]
    pub fn wire(&self) -> &Wire {
        &self.wire
    }

    /// The table, for a function that a scenario sets up itself.
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

    /// Somebody signed in as `name`, with the verified address `<name>@example.com`.
    #[must_use]
    pub fn person(&self, name: &str) -> Person {
        self.signed_in(name, json!({ "email": format!("{name}@example.com"), "email_verified": true }))
    }

    /// Somebody signed in with claims of their own.
    #[must_use]
    pub fn signed_in(&self, sub: &str, mut claims: Value) -> Person {
        claims["sub"] = json!(sub);
        let person = serde_json::from_value(claims).expect("these are a person's claims");
        Person::signed_in(self.laptop.router(), self.laptop.issuer().clone(), person)
    }

    /// Somebody who is not signed in.
    #[must_use]
    pub fn nobody(&self) -> Person {
        Person::nobody(self.laptop.router())
    }

    /// An organization that `founder` has just made.
    pub async fn founded_by(&self, founder: &Person) -> Organization {
        let created = founder.creates("Acme").await.is(201);
        Organization::new(created["id"].as_str().expect("an organization has an id"))
    }

    /// `name`, invited by `owner` with `role`, has accepted.
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

    /// An address, invited by `sender` with `role`, as the answer shows its invitation.
    pub async fn invited(
        &self,
        organization: &Organization,
        sender: &Person,
        email: &str,
        role: &str,
    ) -> Value {
        let answer = sender.invites(organization, &[email], role).await.is(200);
        assert_eq!(answer["results"][0]["outcome"], "invited", "{answer}");
        answer["results"][0]["invitation"].clone()
    }

    /// Resolves once nothing is left to do.
    pub async fn idle(&self) {
        self.laptop.idle().await.expect("the laptop works");
    }

    /// Lets time pass, and everything that falls due happen.
    pub async fn passes(&self, seconds: u64) {
        self.laptop.advance(seconds).await.expect("time passes");
    }

    /// The clock alone moves on; what falls due meanwhile is not waited for.
    pub fn skips(&self, seconds: i64) {
        let clock = self.laptop.clock();
        clock.set_offset(clock.offset() + seconds).expect("the moment is within the clock's reach");
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.laptop.clock().now()
    }

    /// What comes of `act` in the very second `moment`, however long it takes.
    pub async fn at<T>(&self, moment: Timestamp, act: impl AsyncFnOnce() -> T) -> T {
        let _held = self.holds(moment.unix());
        act().await
    }

    /// The clock stands still at this second until what this gives is dropped.
    pub fn holds(&self, moment: i64) -> local::clock::HeldClock {
        self.laptop.clock().hold(moment).expect("the moment is within the clock's reach")
    }

    /// The mails to `email`, newest first, once all have gone out.
    pub async fn mails_to(&self, email: &str) -> Vec<Value> {
        self.idle().await;
        let items = self.laptop.mailbox().items(Some(email));
        items.iter().map(|item| serde_json::to_value(item).expect("a mail is JSON")).collect()
    }

    /// The token in the newest mail to `email`.
    pub async fn token_for(&self, email: &str) -> String {
        let mails = self.mails_to(email).await;
        let mail = mails.first().unwrap_or_else(|| panic!("{email} has no mail"));
        mail["token"].as_str().unwrap_or_else(|| panic!("the mail to {email} has no link")).to_owned()
    }

    /// Everything in the table.
    pub async fn records(&self) -> ReferenceTable {
        self.laptop.table().records().await.expect("the table can be read")
    }

    /// The rules hold, no mail is owed, nothing was given up.
    pub async fn finish(mut self) {
        self.idle().await;
        self.ended = true;
        let stored = self.records().await;
        assert_eq!(stored.violations(), [], "the rules");
        for organization in stored.organizations() {
            for invitation in stored.invitations(&organization.id) {
                let owed = invitation.mail.as_ref().is_some_and(|mail| mail.delivery == Delivery::Queued);
                assert!(
                    !owed || invitation.status() != Status::Pending,
                    "{} is owed its mail",
                    invitation.id
                );
            }
        }
        let dead = self.laptop.dead_letters().expect("the laptop's own table can be read");
        assert_eq!(dead, [], "dead letters");
        self.was_permitted();
        self.delete_foreign().await;
    }

    /// For a scenario that leaves dead letters on purpose: the rules hold, and that is all that is asked.
    pub async fn finish_with_dead_letters(mut self) {
        self.idle().await;
        self.ended = true;
        assert_eq!(self.records().await.violations(), [], "the rules");
        self.was_permitted();
        self.delete_foreign().await;
    }

    /// No function has sent what the template's roles would not have let through.
    fn was_permitted(&self) {
        let nothing = std::collections::BTreeSet::new();
        for (function, needed) in self.wire.needed().into_iter().filter(|_| self.limited) {
            let granted = permissions::granted_here().get(&function).unwrap_or(&nothing);
            let refused: Vec<_> = needed.difference(granted).collect();
            assert!(refused.is_empty(), "infra/template.yaml does not let {function} do: {refused:#?}");
        }
    }

    async fn delete_foreign(&self) {
        if self.external.is_some() {
            self.laptop.table().delete().await.expect("the world's own table can be deleted");
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        assert!(self.ended || std::thread::panicking(), "a scenario has to end with `finish`");
    }
}

/// Making an RSA key takes a second; one serves all worlds of a process.
fn issuer_key() -> &'static str {
    static KEY: OnceLock<String> = OnceLock::new();
    KEY.get_or_init(|| local::issuer::make_key().expect("a key can be made"))
}

/// What `ROSTER_TEST_DYNAMODB` says.
fn endpoint() -> Option<String> {
    std::env::var("ROSTER_TEST_DYNAMODB").ok().filter(|endpoint| !endpoint.is_empty())
}

/// How many times as often as in a newcomer's run chance is asked: rounds of races, plans at DynamoDB, calls of
/// histories. `ROSTER_EFFORT` says so; `.ci/run` asks three times as often.
///
/// # Panics
/// If `ROSTER_EFFORT` is no number from 1 on.
pub fn effort() -> u32 {
    let Some(said) = std::env::var("ROSTER_EFFORT").ok().filter(|said| !said.is_empty()) else { return 1 };
    let effort = said.parse().ok().filter(|&effort| effort > 0);
    effort.unwrap_or_else(|| panic!("ROSTER_EFFORT is a number from 1 on, and not {said}"))
}

/// Whether worlds have another DynamoDB than the embedded engine.
pub fn is_elsewhere() -> bool {
    endpoint().is_some()
}

/// The real AWS, as whoever runs the tests reaches it: profiles and all.
async fn developers() -> aws_config::SdkConfig {
    let defaults = aws_config::defaults(BehaviorVersion::v2026_01_12());
    let defaults = defaults.http_client(aws_client::http().expect("certificates"));
    defaults.timeout_config(aws_client::timeouts()).load().await
}

/// The DynamoDB that `ROSTER_TEST_DYNAMODB` names, with a table that no other world has.
async fn external() -> Option<ExternalDynamoDb> {
    static AWS: OnceCell<aws_config::SdkConfig> = OnceCell::const_new();
    let endpoint = endpoint()?;
    let config = match endpoint.as_str() {
        "aws" => AWS.get_or_init(developers).await.clone(),
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
