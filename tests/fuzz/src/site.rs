//! The environment of the targets: the real handlers over the embedded DynamoDB, in this thread, without any waiting.
//!
//! The table has two organizations. One contains invitations and members in several states. The other must stay hidden.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use aws_config::SdkConfig;
use aws_sdk_dynamodb::config::SharedHttpClient;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use data_encoding::BASE64URL_NOPAD;
use domain::delivery::{DeliveryUpdate, UpdateDelivery};
use domain::{
    Clock, EmailAddress, Generation, Invitation, KeyId, Language, Link, OrganizationId, Policy, Role,
    Timestamp, Token,
};
use harness::{Fixtures, Organization};
use links::InProcess;
use local::functions::{Functions as _, InvokeError};
use local::laptop::sdk_config;
use local::linked_functions::LinkedFunctions;
use local::table::Table;
use reference::ReferenceTable;
use serde_json::{Value, json};
use simulator::engine::{Engine, TABLE};
use simulator::network::{AwsResponse, http_response};
use simulator::services::{Mailbox, ScheduleResult, Schedules};
use store::Store;
use tokio::runtime::Runtime;

/// The time of all inputs: 2026-11-24T12:00:00Z.
pub fn noon() -> Timestamp {
    Timestamp::from_unix(1_795_521_600)
}

/// Part of all user ids and addresses in the hidden organization, and of no other text. No response may contain it.
pub const HIDDEN: &str = "kraken";

/// The owner of the organization.
const OWNER: &str = "olga";
/// A member of the organization.
const MEMBER: &str = "mia";
/// An invited user. The mail was sent.
const SENT: &str = "ivy";
/// An invited user. The mail is queued.
const QUEUED: &str = "quinn";
/// An invited user. The invitation's expiry has passed, but its record is still pending.
const OVERDUE: &str = "otto";

/// A clock that always shows [`noon`].
struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        noon()
    }
}

/// The records of both organizations.
pub struct SiteFixtures {
    fixtures: Fixtures,
    organization: Organization,
    hidden: Organization,
}

/// Creates both organizations, with the same ids in every run.
pub fn site_fixtures() -> SiteFixtures {
    fastrand::seed(7);
    let policy = Policy { seats: 12, ..Policy::default() };
    let mut fixtures = Fixtures::new(policy, Timestamp::from_unix(noon().unix() - 49 * 60 * 60));
    let organization = fixtures.founds(OWNER);
    let hidden = fixtures.founds(&format!("{HIDDEN}-9d21c7f4"));
    fixtures.invites(&hidden, &format!("{HIDDEN}-9d21c7f4"), &format!("{HIDDEN}-guest"), Role::Member);
    fixtures.invites(&organization, OWNER, OVERDUE, Role::Member);
    fixtures.joins(&organization, OWNER, MEMBER, Role::Member);
    fixtures.at(noon());
    fixtures.invites(&organization, OWNER, SENT, Role::Owner);
    fixtures.invites(&organization, MEMBER, QUEUED, Role::Member);
    SiteFixtures { fixtures, organization, hidden }
}

impl SiteFixtures {
    /// Returns Ivy's pending invitation.
    pub fn ivy(&self) -> Invitation {
        self.invitation(&self.organization, SENT)
    }

    fn invitation(&self, organization: &Organization, name: &str) -> Invitation {
        let id = OrganizationId::parse(&organization.id).expect("an organization has an id");
        let email = EmailAddress::parse(&format!("{name}@example.com")).expect("an address");
        self.fixtures.table().invitation_of(&id, &email).expect("the user is invited").clone()
    }

    /// Returns the placeholders of inputs, such as `$organization`, with their values.
    fn placeholders(&self) -> Vec<(&'static str, String)> {
        let id = |name| self.invitation(&self.organization, name).id.to_string();
        let ivy = self.ivy().link();
        let stale = Link { generation: Generation(0), ..ivy.clone() };
        let cursor = |list: &str, owner: &str, id: &str| {
            BASE64URL_NOPAD.encode(format!("{list}\0{owner}\0{id}").as_bytes())
        };
        let organization = &self.organization.id;
        vec![
            ("$organization", organization.clone()),
            ("$hidden", self.hidden.id.clone()),
            ("$ivy", id(SENT)),
            ("$quinn", id(QUEUED)),
            ("$otto", id(OVERDUE)),
            ("$guest", self.invitation(&self.hidden, &format!("{HIDDEN}-guest")).id.to_string()),
            ("$token", mint(&ivy).reveal()),
            ("$stale", mint(&stale).reveal()),
            ("$expires", ivy.expires_at.unix().to_string()),
            ("$due", self.invitation(&self.organization, OVERDUE).expires_at.to_string()),
            ("$organizations", cursor("organizations", OWNER, organization)),
            ("$members", cursor("members", organization, MEMBER)),
            ("$invitations", cursor("invitations", organization, &id(SENT))),
        ]
    }
}

fn key() -> InProcess {
    InProcess::new((KeyId::parse("fuzz").expect("a key's id"), [7; 32]), Vec::new())
}

fn mint(link: &Link) -> Token {
    Token {
        key: KeyId::parse("fuzz").expect("a key's id"),
        mac: key().mac(&link.message()),
        link: link.clone(),
    }
}

/// Replaces all placeholders in `text` by their values, the longest placeholders first.
pub fn replace_placeholders(text: &str) -> String {
    thread_local!(static PLACEHOLDERS: Vec<(&'static str, String)> = {
        let mut placeholders = site_fixtures().placeholders();
        placeholders.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        placeholders
    });
    if !text.contains('$') {
        return text.to_owned();
    }
    PLACEHOLDERS.with(|placeholders| {
        placeholders.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    })
}

/// The services that the functions send requests to.
struct Services {
    engine: Engine,
    mailbox: Mutex<Mailbox>,
    schedules: Mutex<Schedules>,
    sent: Mutex<SentRequests>,
}

/// The requests to DynamoDB during one invocation.
#[derive(Debug, Default)]
pub struct SentRequests {
    /// The organizations in the keys of the requests.
    pub partitions: Vec<String>,
    /// The number of committed transactions.
    pub commits: usize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The HTTP client of the functions. It passes requests to the [`Services`].
#[derive(Clone)]
struct Network(Weak<Services>);

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

impl HttpConnector for Network {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let services = self.0.upgrade().expect("a site outlives its functions");
        HttpConnectorFuture::ready(Ok(http_response(services.respond(&request))))
    }
}

impl Services {
    fn respond(&self, request: &HttpRequest) -> AwsResponse {
        let body = request.body().bytes().unwrap_or_default();
        let target = request.headers().get("x-amz-target").and_then(|target| target.split_once('.'));
        if let Some((_, operation)) = target {
            let (status, response) = self.engine.execute(operation, body);
            let mut sent = lock(&self.sent);
            partitions(&serde_json::from_slice(body).expect("a request is JSON"), &mut sent.partitions);
            sent.commits += usize::from(operation == "TransactWriteItems" && status == 200);
            return (status, None, response);
        }
        let json: Value = serde_json::from_slice(body).unwrap_or_default();
        let path = request.uri().split('?').next().unwrap_or_default();
        if !path.contains("/schedules/") {
            lock(&self.mailbox).accept(&json);
            return (200, None, json!({ "MessageId": "0" }).to_string());
        }
        let name = path.rsplit('/').next().unwrap_or_default();
        assert!(name.len() <= 64, "a schedule's name is too long: {name}");
        match lock(&self.schedules).execute(request.method(), name, &json, noon()) {
            ScheduleResult::Rejected(status, code) => (status, Some(code), "{}".to_owned()),
            ScheduleResult::Deleted => (200, None, "{}".to_owned()),
            ScheduleResult::Set(..) => (200, None, json!({ "ScheduleArn": "arn" }).to_string()),
        }
    }
}

/// Collects the organizations in all keys of a request.
fn partitions(request: &Value, found: &mut Vec<String>) {
    match request {
        Value::String(text) if text.starts_with("ORG#") => found.push(text[4..].to_owned()),
        Value::Array(items) => items.iter().for_each(|item| partitions(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| partitions(field, found)),
        _ => {}
    }
}

/// A table with both organizations, and the functions that use it.
pub struct Site {
    services: Arc<Services>,
    functions: LinkedFunctions,
    /// The table before the first invocation.
    pub before: ReferenceTable,
}

/// The result of an invocation.
pub struct InvocationResult {
    /// The function's response.
    pub response: Result<Value, InvokeError>,
    /// The requests that the function sent.
    pub sent: SentRequests,
    /// The table after the invocation. `None` if it did not change.
    pub after: Option<ReferenceTable>,
}

impl Site {
    async fn new() -> Self {
        let services = Arc::new(Services {
            engine: Engine::in_memory(),
            mailbox: Mutex::default(),
            schedules: Mutex::default(),
            sent: Mutex::default(),
        });
        let http = SharedHttpClient::new(Network(Arc::downgrade(&services)));
        let config: SdkConfig = sdk_config("http://aws.example", Some(http));
        let table = Table::new(aws_sdk_dynamodb::Client::new(&config), TABLE);
        table.create().await.expect("the table can be made");
        let fixtures = site_fixtures();
        table.fill(&fixtures.fixtures.records()).await.expect("the table can be filled");
        let store = Store::new(&config, TABLE);
        let policy = Policy { seats: 12, ..Policy::default() };
        let update = UpdateDelivery { link: fixtures.ivy().link(), update: DeliveryUpdate::Sent };
        store.run(&update, &policy, &Noon).await.expect("the delivery can be updated");
        let app = lambda_api::App { store, clock: Arc::new(Noon), policy, services: () };
        let accept_url = "https://product.example/accept";
        let functions = LinkedFunctions::new(app, Arc::new(key()), &config, accept_url, Language::En);
        let functions = functions.expect("the functions can be set up");
        let before = services.engine.table().expect("the table can be read");
        Self { services, functions, before }
    }

    /// Invokes a function, and asserts that the table violates no rule afterwards.
    pub async fn invoke(&self, function: &str, event: Value) -> InvocationResult {
        *lock(&self.services.sent) = SentRequests::default();
        let response = self.functions.invoke(function, event).await;
        let sent = std::mem::take(&mut *lock(&self.services.sent));
        let after = (sent.commits > 0).then(|| {
            let after = self.services.engine.table().expect("the table can be read");
            assert_eq!(after.violations(), [], "after {function}");
            after
        });
        InvocationResult { response, sent, after }
    }

    /// Returns how often each mail was sent.
    pub fn mails(&self) -> BTreeMap<simulator::services::MailKey, u32> {
        lock(&self.services.mailbox).accepted.clone()
    }
}

/// Runs `work` with the site of this thread. `work` returns whether the site is unchanged.
///
/// The site is kept for the next input only if it is unchanged, so that every input meets the same site.
pub fn with_site(work: impl AsyncFnOnce(&Site) -> bool) {
    thread_local! {
        static RUNTIME: Runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        static SITE: RefCell<Option<Site>> = const { RefCell::new(None) };
    }
    // After a panic, the next call creates a new site.
    let site = SITE.take();
    RUNTIME.with(|runtime| {
        runtime.block_on(async {
            let site = match site {
                Some(site) => site,
                None => Site::new().await,
            };
            if work(&site).await {
                SITE.set(Some(site));
            }
        });
    });
}
