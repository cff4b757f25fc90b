//! The laptop as a whole: started, served, idle, stopped.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider, SharedHttpClient};
use axum::extract::{Request, State as Extract};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, routing};
use dynoxide::{Database, DynoxideError};
use http::{HeaderValue, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::async_invoker::AsyncInvoker;
use crate::aws::{self, Aws};
use crate::clock::{ClockError, LocalClock};
use crate::console::Console;
use crate::cors;
use crate::dead_letters;
use crate::demo::{self, DemoError};
use crate::document;
use crate::feedback;
use crate::functions::{Functions, RemoteFunctions};
use crate::gateway::Gateway;
use crate::guard::guard;
use crate::issuer::sign_in::SignIn;
use crate::issuer::{self, Issuer, IssuerError};
use crate::linked_functions::LinkedFunctions;
use crate::mailbox::Mailbox;
use crate::scheduler::Scheduler;
use crate::state::{State, StateError};
use crate::stream::{
    EventSourceMapping, Filter as StreamFilter, Policy as StreamPolicy, SdkSource, Source as _, SourceError,
    StreamConsumer, all_idle,
};
use crate::table::{Table, TableError};

/// The table's name, unless the laptop is told another one.
pub const TABLE: &str = "roster";
/// The id of the link key in tokens.
const LINK_KEY_ID: &str = "dev";
/// The link key's name in the laptop's KMS.
const LINK_KEY_ALIAS: &str = "alias/roster-links";
const REGION: &str = "eu-central-1";

/// How a laptop is to be started. The default: in memory, on any free port, empty.
#[derive(Clone, Default)]
pub struct Options {
    /// The port on the loopback; 0 for any free one.
    pub port: u16,
    /// The file that keeps everything; in memory if left out.
    pub db: Option<PathBuf>,
    /// Whether to start with the demo organization, if the table is empty.
    pub demo: bool,
    /// The configured numbers.
    pub policy: domain::Policy,
    /// What mails are written in whose sender has not chosen a language.
    pub language: domain::Language,
    /// Lambda's invoke API, where the functions run instead of in this process.
    pub functions: Option<String>,
    /// The file that function processes read the clock's offset from.
    pub clock_file: Option<PathBuf>,
    /// Another DynamoDB than the embedded one, and the table there.
    pub dynamodb: Option<ExternalDynamoDb>,
    /// Other origins whose pages may call the API.
    pub origins: Vec<HeaderValue>,
    /// The HTTP client of the functions' SDK, for whoever counts or disturbs what they send.
    pub http: Option<SharedHttpClient>,
    /// Whether the functions in this process make and open links with the key in the laptop's KMS, and not with
    /// the same key in the process.
    pub kms: bool,
    /// The issuer's key, for whoever starts many laptops and has no time to make one for each.
    pub issuer_key: Option<String>,
    /// How long the functions in this process keep at a transaction whose outcome is not definite.
    pub retry_policy: store::RetryPolicy,
    /// Whether they wait for DynamoDB however long it takes: for whoever has one engine serve a thousand of them.
    pub waits: bool,
    /// Batch size and retries of the stream's readers.
    pub stream: StreamPolicy,
    /// Which records of the stream its readers get; none for all.
    pub stream_filter: Option<StreamFilter>,
    /// The folder of the pages' sources ([`crate::console::WEB`]), which they are served from as they are built; as they
    /// are embedded if left out. See [`Laptop::build_console`].
    pub console: Option<PathBuf>,
}

/// A DynamoDB that is not the embedded one.
#[derive(Debug, Clone)]
pub struct ExternalDynamoDb {
    /// How to reach it.
    pub config: SdkConfig,
    /// The table, made if it is not there.
    pub table: String,
}

/// Why the laptop does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The port is taken.
    #[error("port {0} is in use by another program: choose another one with --port")]
    PortInUse(u16),
    /// No socket to listen on.
    #[error("the laptop cannot listen on the loopback")]
    Listen(#[source] io::Error),
    /// The file cannot be opened.
    #[error("the database cannot be opened: {0}")]
    Engine(String),
    /// The laptop's own table.
    #[error(transparent)]
    State(#[from] StateError),
    /// The clock.
    #[error("the clock cannot be set: {0}")]
    Clock(String),
    /// Roster's table.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The issuer.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
    /// The link key is not one.
    #[error("the link key in the database is broken")]
    LinkKey,
    /// No randomness.
    #[error("the system gives no random bytes: {0}")]
    Random(String),
    /// The routes exclude each other.
    #[error(transparent)]
    Routes(#[from] matchit::InsertError),
    /// The demo organization.
    #[error(transparent)]
    Demo(#[from] DemoError),
    /// The function `mail` cannot be set up.
    #[error("the function mail cannot be set up: {0}")]
    Mail(String),
}

/// A running laptop. It stops when this is dropped.
pub struct Laptop {
    url: String,
    shared: Arc<Shared>,
    router: Router,
    console: Arc<Console>,
    /// Aborted when dropped.
    _tasks: JoinSet<()>,
}

/// What the laptop's own calls work with.
struct Shared {
    clock: LocalClock,
    state: State,
    table: Table,
    issuer: Issuer,
    mailbox: Mailbox,
    functions: Arc<dyn Functions>,
    invoking: AsyncInvoker,
    scheduler: Arc<Scheduler>,
    consumers: Vec<StreamConsumer>,
    stream: SdkSource,
}

impl Laptop {
    /// Starts everything, telling `progress` what is being done.
    pub async fn start(options: Options, mut progress: impl FnMut(&str)) -> Result<Self, StartError> {
        let mut tasks = JoinSet::new();
        let listener = listen(options.port).await?;
        let address = listener.local_addr().map_err(StartError::Listen)?;
        let url = format!("http://{address}");

        progress("database");
        let clock = match &options.clock_file {
            Some(file) => LocalClock::mirrored(file).map_err(|error| StartError::Clock(error.to_string()))?,
            None => LocalClock::new(),
        };
        let db = open(&options, &clock)?;
        let state = State::open(db.clone())?;
        clock.restore(&state).map_err(|error| StartError::Clock(error.to_string()))?;
        let engine = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(StartError::Listen)?;
        let engine_url = format!("http://{}", engine.local_addr().map_err(StartError::Listen)?);
        tasks.spawn(dynoxide::server::serve_on(engine, db));

        progress("table and stream");
        let (dynamodb, table_name) = match &options.dynamodb {
            Some(ExternalDynamoDb { config, table }) => (config.clone(), table.clone()),
            None => (sdk_config(&engine_url, None), TABLE.to_owned()),
        };
        let table = Table::new(aws_sdk_dynamodb::Client::new(&dynamodb), &table_name);
        let stream_arn = table.make().await?;

        progress("keys");
        if let Some(key) = &options.issuer_key {
            issuer::keep_key(&state, key)?;
        }
        let issuer = Issuer::start(&url, clock.clone(), state.clone())?;
        let secret = link_secret(&state)?;

        progress("mailbox, schedules, functions");
        let mailbox = Mailbox::open(state.clone(), clock.clone())?;
        let held = Arc::new(aws::scheduler::Schedules::open(state.clone(), clock.clone())?);
        let services = Aws {
            dynamodb: aws::dynamodb::DynamoDbProxy::new(&engine_url),
            kms: aws::kms::Kms::new([(LINK_KEY_ALIAS.to_owned(), secret.to_vec())]),
            ses: aws::ses::Ses::new(mailbox.clone()),
            scheduler: Arc::clone(&held),
        };
        let console = Arc::new(Console::new(&url, clock.clone(), options.language, options.console.clone()));
        let functions: Arc<dyn Functions> = if let Some(invoke_api) = &options.functions {
            Arc::new(RemoteFunctions::new(invoke_api))
        } else {
            let endpoint = sdk_config(&format!("{url}{}", aws::PREFIX), options.http.clone());
            let dynamodb = functions_config(&dynamodb, &options);
            let store = store::Store::new(&dynamodb, table_name).with_retry_policy(options.retry_policy);
            let (clock, policy) = (Arc::new(clock.clone()), options.policy.clone());
            let app = lambda_api::App { store, clock, policy, services: () };
            let key = if options.kms { kms_key(&endpoint)? } else { process_key(secret)? };
            let accept_url = format!("{url}/accept");
            let functions = LinkedFunctions::assembled(app, key, &endpoint, &accept_url, options.language);
            let functions = functions.map_err(|error| StartError::Mail(error.to_string()))?;
            Arc::new(functions.with_console(Arc::clone(&console)))
        };

        let streams = aws_sdk_dynamodbstreams::Client::new(&dynamodb);
        let consumer = |function: &str| {
            StreamConsumer::start(EventSourceMapping {
                function: function.to_owned(),
                source: Arc::new(SdkSource::new(streams.clone(), stream_arn.clone())),
                functions: Arc::clone(&functions),
                state: state.clone(),
                clock: clock.clone(),
                policy: options.stream,
                filter: options.stream_filter,
            })
        };
        if options.demo && table.is_empty().await? {
            progress("demo organization");
            let now = domain::Clock::now(&clock);
            table.fill(&demo::records(&options.policy, now)?).await?;
        }
        let invoking = AsyncInvoker::new(Arc::clone(&functions), state.clone(), clock.clone());
        let scheduler = Arc::new(Scheduler::new(held, invoking.clone(), clock.clone()));
        let firing = Arc::clone(&scheduler);
        tasks.spawn(async move { firing.run().await });

        let consumers = vec![consumer("mail"), consumer("schedule")];
        let shared = Arc::new(Shared {
            clock: clock.clone(),
            state,
            table,
            issuer: issuer.clone(),
            mailbox,
            functions: Arc::clone(&functions),
            invoking,
            scheduler,
            consumers,
            stream: SdkSource::new(streams, stream_arn),
        });
        let gateway = Gateway::new(issuer, functions, clock)?.router();
        let router = router(&shared, services, gateway, &options);
        let served = router.clone();
        tasks.spawn(async move {
            let service = served.into_make_service_with_connect_info::<SocketAddr>();
            if let Err(error) = axum::serve(listener, service).await {
                tracing::error!(%error, "the laptop serves no more");
            }
        });
        Ok(Self { url, shared, router, console, _tasks: tasks })
    }

    /// Where it is served.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Everything that is served there, for whoever is in the same process.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// Builds the pages, if they are served from their folder, telling `progress` what is being done. Nobody has to
    /// wait for it: the pages that are not there yet say so.
    pub fn build_console(&self, progress: impl FnMut(&str) + Send + 'static) -> io::Result<()> {
        let console = Arc::clone(&self.console);
        let build = move || console.build(progress);
        std::thread::Builder::new().name("console".to_owned()).spawn(build).map(drop)
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &LocalClock {
        &self.shared.clock
    }

    /// The issuer.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.shared.issuer
    }

    /// The mailbox.
    #[must_use]
    pub fn mailbox(&self) -> &Mailbox {
        &self.shared.mailbox
    }

    /// Roster's table.
    #[must_use]
    pub fn table(&self) -> &Table {
        &self.shared.table
    }

    /// The functions.
    #[must_use]
    pub fn functions(&self) -> &Arc<dyn Functions> {
        &self.shared.functions
    }

    /// What was given up on.
    pub fn dead_letters(&self) -> Result<Vec<dead_letters::DeadLetter>, StateError> {
        dead_letters::list(&self.shared.state)
    }

    /// Every record of the table's stream so far, as its readers are given them.
    pub async fn stream(&self) -> Result<Vec<Value>, SourceError> {
        let mut records = Vec::new();
        for shard in self.shared.stream.shards().await? {
            let mut after = None;
            loop {
                let page = self.shared.stream.read(&shard.id, after.as_deref()).await?;
                let Some(last) = page.records.last() else { break };
                after = Some(last.sequence_number.clone());
                records.extend(page.records.into_iter().map(|record| record.event));
            }
        }
        Ok(records)
    }

    /// Resolves once nothing is left to do at this moment of the clock.
    pub async fn idle(&self) -> Result<(), StateError> {
        self.shared.idle().await
    }

    /// Moves the clock forward, and resolves once everything that fell due by that has run.
    pub async fn advance(&self, seconds: u64) -> Result<i64, AdvanceError> {
        self.shared.advance(seconds).await
    }
}

impl Drop for Laptop {
    fn drop(&mut self) {
        self.console.stop();
    }
}

/// Why the clock could not be moved, or what fell due could not be run.
#[derive(Debug, thiserror::Error)]
pub enum AdvanceError {
    /// The clock.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// The laptop's own table.
    #[error(transparent)]
    State(#[from] StateError),
    /// Roster's table.
    #[error(transparent)]
    Table(#[from] TableError),
}

impl Shared {
    async fn idle(&self) -> Result<(), StateError> {
        loop {
            // Somebody else may be firing: what that has written is to be waited for, too.
            let fired = self.scheduler.fired();
            all_idle(&self.consumers).await;
            self.scheduler.fire_due(self.clock.now_unix()).await?;
            if self.scheduler.fired() == fired {
                return Ok(());
            }
        }
    }

    async fn advance(&self, seconds: u64) -> Result<i64, AdvanceError> {
        // What is in flight belongs to the time before.
        self.idle().await?;
        let now = self.clock.advance(seconds)?;
        self.clock.keep(&self.state)?;
        self.idle().await?;
        self.table.sweep(now).await?;
        self.idle().await?;
        Ok(now)
    }
}

async fn listen(port: u16) -> Result<TcpListener, StartError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => StartError::PortInUse(port),
        _ => StartError::Listen(error),
    })
}

fn open(options: &Options, clock: &LocalClock) -> Result<Database, StartError> {
    let opened = match &options.db {
        None => Database::memory_with_clock(Arc::new(clock.clone())),
        Some(file) => {
            let path = file.to_str().ok_or_else(|| StartError::Engine("its path is not UTF-8".to_owned()))?;
            Database::new(path).and_then(|db| {
                // SQLite's `synchronous = NORMAL`, which is all that this sets if nothing was loaded: what was answered
                // outlives the process, however it ends, without a wait for the disk at every commit. A machine that
                // loses its power may lose the last moments, and nothing else.
                db.disable_bulk_loading()?;
                index_stream(path).map_err(|error| DynoxideError::InternalServerError(error.to_string()))?;
                Ok(db)
            })
        }
    };
    opened.map_err(|error| StartError::Engine(error.to_string()))
}

/// Has the engine find the end of the stream, and what a reader has not seen yet, without a look at every record: it asks for
/// both at every write and every poll, and keeps records for good.
fn index_stream(path: &str) -> rusqlite::Result<()> {
    rusqlite::Connection::open(path)?.execute_batch(
        "CREATE INDEX IF NOT EXISTS roster_stream ON _stream_records (table_name, CAST(sequence_number AS INTEGER))",
    )
}

/// An SDK configuration for a service on the loopback.
#[must_use]
pub fn sdk_config(endpoint: &str, http: Option<SharedHttpClient>) -> SdkConfig {
    let http = http.unwrap_or_else(plain_http);
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(REGION))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            "laptop", "laptop", None, None, "laptop",
        )))
        .timeout_config(aws_client::timeouts())
        .endpoint_url(endpoint)
        .http_client(http)
        .build()
}

/// How the functions reach DynamoDB, where that is not how the laptop itself does.
fn functions_config(dynamodb: &SdkConfig, options: &Options) -> SdkConfig {
    let mut config = dynamodb.to_builder();
    if let Some(http) = &options.http {
        config.set_http_client(Some(http.clone()));
    }
    if options.waits {
        config.set_timeout_config(Some(TimeoutConfig::disabled()));
        config.set_stalled_stream_protection(Some(StalledStreamProtectionConfig::disabled()));
    }
    config.build()
}

/// HTTP without TLS, for the loopback.
#[must_use]
pub fn plain_http() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new().build_http()
}

/// The link key's secret, made at the first start.
fn link_secret(state: &State) -> Result<[u8; 32], StartError> {
    if let Some(secret) = state.get::<Vec<u8>>("links", LINK_KEY_ID)? {
        return secret.try_into().map_err(|_| StartError::LinkKey);
    }
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|error| StartError::Random(error.to_string()))?;
    state.put("links", LINK_KEY_ID, &secret.to_vec())?;
    Ok(secret)
}

/// The link key in the laptop's KMS, which `services` are.
fn kms_key(services: &SdkConfig) -> Result<Arc<dyn links::LinkKey>, StartError> {
    let key = links::Kms::new(services, &format!("{LINK_KEY_ID}={LINK_KEY_ALIAS}"));
    Ok(Arc::new(key.map_err(|_| StartError::LinkKey)?))
}

/// The same key, in this process.
fn process_key(secret: [u8; 32]) -> Result<Arc<dyn links::LinkKey>, StartError> {
    let id = domain::KeyId::parse(LINK_KEY_ID).map_err(|_| StartError::LinkKey)?;
    Ok(Arc::new(links::InProcess::new((id, secret), Vec::new())))
}

fn router(shared: &Arc<Shared>, services: Aws, gateway: Router, options: &Options) -> Router {
    let origins = options.origins.as_slice();
    let allowing = |router: Router| {
        if origins.is_empty() { router } else { router.layer(cors::allow(origins)) }
    };
    let sign_in = SignIn::new(shared.issuer.clone(), origins, options.demo);
    let own = Router::new()
        .route("/_dev/clock", routing::get(clock).post(advance))
        .route("/_dev/idle", routing::get(idle))
        .route("/_dev/check", routing::get(check))
        .with_state(Arc::clone(shared));
    // A page that is developed on another port of this machine has somebody to call the API as; the guard lets no other
    // one through.
    let tokens = allowing(shared.issuer.clone().router());
    Router::new()
        .merge(own)
        .merge(tokens)
        .merge(sign_in.router())
        .merge(shared.mailbox.clone().router())
        .merge(feedback::router(shared.mailbox.clone(), shared.invoking.clone()))
        .merge(document::router())
        .layer(middleware::map_response(complete))
        .merge(aws::router(services))
        .fallback_service(allowing(gateway))
        .layer(middleware::from_fn_with_state(Arc::clone(shared), wake))
        .layer(middleware::from_fn_with_state(Arc::<[_]>::from(origins), guard))
}

/// What is served here beyond the contract is no less personal: mails, links, tokens.
async fn complete(mut response: Response) -> Response {
    lambda_api::headers::complete(response.headers_mut());
    response
}

/// What a call may have written is looked at now, not at the next poll.
async fn wake(Extract(shared): Extract<Arc<Shared>>, request: Request, next: Next) -> Response {
    let writes = !request.method().is_safe();
    let response = next.run(request).await;
    if writes {
        shared.consumers.iter().for_each(StreamConsumer::wake);
    }
    response
}

fn failed(error: impl std::error::Error) -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response()
}

fn time(now: i64) -> Json<Value> {
    Json(json!({ "now": domain::Timestamp::from_unix(now).to_string() }))
}

async fn clock(Extract(shared): Extract<Arc<Shared>>) -> Json<Value> {
    time(shared.clock.now_unix())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance_seconds: u64,
}

async fn advance(Extract(shared): Extract<Arc<Shared>>, body: bytes::Bytes) -> Response {
    let Advance { advance_seconds } = match serde_json::from_slice(&body) {
        Ok(advance) => advance,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    };
    match shared.advance(advance_seconds).await {
        Ok(now) => time(now).into_response(),
        Err(AdvanceError::Clock(error @ ClockError::OutOfRange)) => {
            (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response()
        }
        Err(error) => failed(error),
    }
}

async fn idle(Extract(shared): Extract<Arc<Shared>>) -> Response {
    match shared.idle().await {
        Ok(()) => Json(json!({ "idle": true })).into_response(),
        Err(error) => failed(error),
    }
}

async fn check(Extract(shared): Extract<Arc<Shared>>) -> Response {
    match shared.table.check().await {
        Ok((organizations, violations)) => {
            let violations: Vec<_> = violations.iter().map(ToString::to_string).collect();
            Json(json!({ "organizations": organizations, "violations": violations })).into_response()
        }
        Err(error) => failed(error),
    }
}
