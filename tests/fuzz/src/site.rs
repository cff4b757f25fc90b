//! Where foreign bytes arrive: the real handlers over the embedded DynamoDB, in this thread, with nothing that takes
//! time. One organization has a bit of everything; another one is nobody's business.

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
use simulator::network::{Answer, response};
use simulator::services::{Mailbox, Scheduled, Schedules};
use store::Store;
use tokio::runtime::Runtime;

/// When everything happens: 2026-11-24T12:00:00Z.
pub fn noon() -> Timestamp {
    Timestamp::from_unix(1_795_521_600)
}

/// What must never be read in an answer about another organization: nothing else has these letters.
pub const HIDDEN: &str = "kraken";

/// People of the organization: two who are members, and some who are invited.
const OWNER: &str = "olga";
const MEMBER: &str = "mia";
/// Their mail is out.
const SENT: &str = "ivy";
/// Theirs is owed.
const QUEUED: &str = "quinn";
/// Theirs is past its expiry, and nobody has closed it.
const OVERDUE: &str = "otto";

struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        noon()
    }
}

/// Both organizations, on paper.
pub struct Furnished {
    fixtures: Fixtures,
    organization: Organization,
    hidden: Organization,
}

/// The same ones in every run.
pub fn furnished() -> Furnished {
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
    Furnished { fixtures, organization, hidden }
}

impl Furnished {
    /// An open invitation.
    pub fn ivy(&self) -> Invitation {
        self.invitation(&self.organization, SENT)
    }

    fn invitation(&self, organization: &Organization, name: &str) -> Invitation {
        let id = OrganizationId::parse(&organization.id).expect("an organization has an id");
        let email = EmailAddress::parse(&format!("{name}@example.com")).expect("an address");
        self.fixtures.table().invitation_of(&id, &email).expect("they are invited").clone()
    }

    /// What inputs may name without knowing it: `$organization` and so on.
    fn words(&self) -> Vec<(&'static str, String)> {
        let id = |name| self.invitation(&self.organization, name).id.to_string();
        let ivy = self.ivy().link();
        let stale = Link { generation: Generation(0), ..ivy.clone() };
        let cursor = |list: &str, owner: &str, id: &str| {
            BASE64URL_NOPAD.encode(format!("{list}\0{owner}\0{id}").as_bytes())
        };
        let own = &self.organization.id;
        vec![
            ("$organization", own.clone()),
            ("$hidden", self.hidden.id.clone()),
            ("$ivy", id(SENT)),
            ("$quinn", id(QUEUED)),
            ("$otto", id(OVERDUE)),
            ("$guest", self.invitation(&self.hidden, &format!("{HIDDEN}-guest")).id.to_string()),
            ("$token", minted(&ivy).reveal()),
            ("$stale", minted(&stale).reveal()),
            ("$expires", ivy.expires_at.unix().to_string()),
            ("$due", self.invitation(&self.organization, OVERDUE).expires_at.to_string()),
            ("$organizations", cursor("organizations", OWNER, own)),
            ("$members", cursor("members", own, MEMBER)),
            ("$invitations", cursor("invitations", own, &id(SENT))),
        ]
    }
}

fn key() -> InProcess {
    InProcess::new((KeyId::parse("fuzz").expect("a key's id"), [7; 32]), Vec::new())
}

fn minted(link: &Link) -> Token {
    Token {
        key: KeyId::parse("fuzz").expect("a key's id"),
        mac: key().mac(&link.message()),
        link: link.clone(),
    }
}

/// `text` with what it names put in, the longest names first.
pub fn named(text: &str) -> String {
    thread_local!(static WORDS: Vec<(&'static str, String)> = {
        let mut words = furnished().words();
        words.sort_by_key(|(word, _)| std::cmp::Reverse(word.len()));
        words
    });
    if !text.contains('$') {
        return text.to_owned();
    }
    WORDS
        .with(|words| words.iter().fold(text.to_owned(), |text, (word, meaning)| text.replace(word, meaning)))
}

/// What functions reach.
struct Services {
    engine: Engine,
    mailbox: Mutex<Mailbox>,
    schedules: Mutex<Schedules>,
    sent: Mutex<Sent>,
}

/// What was sent during one invocation.
#[derive(Debug, Default)]
pub struct Sent {
    /// The partitions that DynamoDB was asked about.
    pub partitions: Vec<String>,
    /// Transactions that were carried out.
    pub commits: usize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The way to them.
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
        HttpConnectorFuture::ready(Ok(response(services.answer(&request))))
    }
}

impl Services {
    fn answer(&self, request: &HttpRequest) -> Answer {
        let body = request.body().bytes().unwrap_or_default();
        let target = request.headers().get("x-amz-target").and_then(|target| target.split_once('.'));
        if let Some((_, operation)) = target {
            let (status, answer) = self.engine.answer(operation, body);
            let mut sent = lock(&self.sent);
            partitions(&serde_json::from_slice(body).expect("a request is JSON"), &mut sent.partitions);
            sent.commits += usize::from(operation == "TransactWriteItems" && status == 200);
            return (status, None, answer);
        }
        let json: Value = serde_json::from_slice(body).unwrap_or_default();
        let path = request.uri().split('?').next().unwrap_or_default();
        if !path.contains("/schedules/") {
            lock(&self.mailbox).take(&json);
            return (200, None, json!({ "MessageId": "0" }).to_string());
        }
        let name = path.rsplit('/').next().unwrap_or_default();
        assert!(name.len() <= 64, "a schedule's name is too long: {name}");
        match lock(&self.schedules).answer(request.method(), name, &json, noon()) {
            Scheduled::Refused(status, code) => (status, Some(code), "{}".to_owned()),
            Scheduled::Deleted => (200, None, "{}".to_owned()),
            Scheduled::Set(..) => (200, None, json!({ "ScheduleArn": "arn" }).to_string()),
        }
    }
}

/// Every organization's partition in a request.
fn partitions(request: &Value, found: &mut Vec<String>) {
    match request {
        Value::String(text) if text.starts_with("ORG#") => found.push(text[4..].to_owned()),
        Value::Array(items) => items.iter().for_each(|item| partitions(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| partitions(field, found)),
        _ => {}
    }
}

/// A table with both organizations, and the functions over it.
pub struct Site {
    services: Arc<Services>,
    functions: LinkedFunctions,
    /// The table, as it is in the beginning.
    pub before: ReferenceTable,
}

/// What an invocation came to.
pub struct Invoked {
    /// What it answered.
    pub answer: Result<Value, InvokeError>,
    /// What it sent.
    pub sent: Sent,
    /// The table after it; none: nothing was changed.
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
        table.make().await.expect("the table can be made");
        let furnished = furnished();
        table.fill(&furnished.fixtures.records()).await.expect("the table can be filled");
        let store = Store::new(&config, TABLE);
        let policy = Policy { seats: 12, ..Policy::default() };
        let mark = UpdateDelivery { link: furnished.ivy().link(), mark: DeliveryUpdate::Sent };
        store.run(&mark, &policy, &Noon).await.expect("a mail can be marked");
        let app = lambda_api::App { store, clock: Arc::new(Noon), policy, services: () };
        let accept_url = "https://product.example/accept";
        let functions = LinkedFunctions::assembled(app, Arc::new(key()), &config, accept_url, Language::En);
        let functions = functions.expect("the functions can be set up");
        let before = services.engine.table().expect("the table can be read");
        Self { services, functions, before }
    }

    /// Invokes a function. Whatever it was handed, the table is what it has to be afterwards.
    pub async fn invoke(&self, function: &str, event: Value) -> Invoked {
        *lock(&self.services.sent) = Sent::default();
        let answer = self.functions.invoke(function, event).await;
        let sent = std::mem::take(&mut *lock(&self.services.sent));
        let after = (sent.commits > 0).then(|| {
            let after = self.services.engine.table().expect("the table can be read");
            assert_eq!(after.violations(), [], "after {function}");
            after
        });
        Invoked { answer, sent, after }
    }

    /// How often the mail of each invitation went out.
    pub fn mails(&self) -> BTreeMap<simulator::services::MailId, u32> {
        lock(&self.services.mailbox).taken.clone()
    }
}

/// Does something at the site. One that was changed is torn down, so that every input meets the same one.
pub fn at_the_site(work: impl AsyncFnOnce(&Site) -> bool) {
    thread_local! {
        static RUNTIME: Runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        static SITE: RefCell<Option<Site>> = const { RefCell::new(None) };
    }
    // Whoever panics keeps it, and the next one has another.
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
