//! Starts all parts of the laptop, serves them, and connects them with each other.

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
use crate::authorizer::Authorizer;
use crate::aws::dynamodb::Engine;
use crate::aws::{self, Aws};
use crate::clock::{ClockError, LocalClock};
use crate::console::Console;
use crate::cors;
use crate::database_file::{DatabaseFile, DatabaseFileError};
use crate::dead_letters;
use crate::demo::{self, DemoError};
use crate::document;
use crate::feedback;
use crate::functions::{Functions, RemoteFunctions, with_causes};
use crate::gateway::Gateway;
use crate::guard::guard;
use crate::identity_provider::{IdentityProvider, IssuerUrl, ProviderError};
use crate::in_process;
use crate::issuer::sign_in::SignIn;
use crate::issuer::{self, Issuer, IssuerError};
use crate::linked_functions::LinkedFunctions;
use crate::mailbox::Mailbox;
use crate::scheduler::Scheduler;
use crate::state::{State, StateError};
use crate::stream::{
    EventSourceMapping, SdkSource, Source as _, SourceError, StreamConsumer, StreamFilter, StreamPolicy,
    all_idle,
};
use crate::table::{Table, TableError};

/// The name of Roster's table, unless [`Options::dynamodb`] names another one.
pub const TABLE: &str = "roster";
/// The id of the link key, as in tokens.
const LINK_KEY_ID: &str = "dev";
/// The alias of the link key in the laptop's KMS.
const LINK_KEY_ALIAS: &str = "alias/roster-links";
const REGION: &str = "eu-central-1";

/// The options of a laptop. By default it runs in memory, on any free port, and without data.
#[derive(Clone, Default)]
pub struct Options {
    /// The port on the loopback. 0 means any free port.
    pub port: u16,
    /// The file that stores all data. `None` to store it in memory.
    pub db: Option<PathBuf>,
    /// Whether to create the demo organization if the table is empty.
    pub demo: bool,
    /// The policy of the functions in this process: seats, limits and periods.
    pub policy: domain::Policy,
    /// The default language of mails and pages.
    pub language: domain::Language,
    /// The URL of Lambda's invoke API. `None` to run the functions in this process.
    pub functions: Option<String>,
    /// The file from which function processes read the clock's offset.
    pub clock_file: Option<PathBuf>,
    /// A DynamoDB to use instead of the embedded one.
    pub dynamodb: Option<ExternalDynamoDb>,
    /// Another identity provider whose tokens the API accepts, in addition to those of the laptop's issuer.
    pub identity_provider: Option<OtherIssuer>,
    /// Other origins. Their pages may call the API (CORS) and sign users in.
    pub origins: Vec<HeaderValue>,
    /// Wraps the HTTP client with which the functions in this process call AWS. Tests use it to count requests and to
    /// inject faults.
    pub http: Option<WrapHttp>,
    /// Whether the functions in this process call the laptop's KMS to make and verify links. Otherwise they use the
    /// same key in the process.
    pub kms: bool,
    /// The issuer's key. Tests that start many laptops set it, because generating a key is slow.
    pub issuer_key: Option<String>,
    /// How the functions in this process retry a transaction while its outcome is not definite.
    pub retry_policy: store::RetryPolicy,
    /// Whether the functions in this process call DynamoDB without timeouts, for tests in which one engine serves a
    /// thousand functions at the same time.
    pub waits: bool,
    /// Batch size and retries of the stream consumers.
    pub stream: StreamPolicy,
    /// Selects the stream records that the consumers pass to their functions. `None` selects all.
    pub stream_filter: Option<StreamFilter>,
    /// The folder with the sources of the pages ([`crate::console::WEB`]). The laptop then serves the pages that are
    /// built there, see [`Laptop::build_console`]. `None` to serve the embedded pages.
    pub console: Option<PathBuf>,
}

/// Returns a client that sends its requests through the given one.
pub type WrapHttp = Arc<dyn Fn(SharedHttpClient) -> SharedHttpClient + Send + Sync>;

/// The tokens of another identity provider that the laptop accepts.
#[derive(Debug, Clone)]
pub struct OtherIssuer {
    /// The issuer of the tokens.
    pub issuer: IssuerUrl,
    /// The audiences of the tokens. A token must have one of them.
    pub audiences: Vec<String>,
}

/// A DynamoDB outside of the laptop.
#[derive(Debug, Clone)]
pub struct ExternalDynamoDb {
    /// The SDK configuration with its endpoint.
    pub config: SdkConfig,
    /// The name of the table. The laptop creates it if it does not exist.
    pub table: String,
}

/// Why the laptop cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another program uses the port.
    #[error("port {0} is in use by another program: choose another one with --port")]
    PortInUse(u16),
    /// The laptop cannot listen on a socket.
    #[error("the laptop cannot listen on port {0} of 127.0.0.1: {1}; choose another one with --port")]
    Listen(u16, #[source] io::Error),
    /// The laptop must not use the database file.
    #[error(transparent)]
    DatabaseFile(#[from] DatabaseFileError),
    /// The embedded engine cannot open the database file.
    #[error(
        "{} cannot be opened: a newer version of the laptop wrote it, or it is damaged; use that version, or name \
         another file with --db", .0.display()
    )]
    Database(PathBuf),
    /// The path of the database file is not UTF-8.
    #[error("{} is not a valid file name, because it is not UTF-8: name another file with --db", .0.display())]
    Path(PathBuf),
    /// The embedded engine cannot start.
    #[error("the database in memory cannot be created: {0}")]
    Engine(String),
    /// The laptop's state cannot be read or written.
    #[error(transparent)]
    State(#[from] StateError),
    /// The clock cannot be set.
    #[error("the clock cannot be set: {0}")]
    Clock(String),
    /// Roster's table cannot be created, read or written.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The issuer cannot start.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
    /// The other identity provider cannot be used.
    #[error(transparent)]
    IdentityProvider(#[from] ProviderError),
    /// The link key is not valid.
    #[error("the link key in the database is not valid")]
    LinkKey,
    /// The system provides no random bytes.
    #[error("the system provides no random bytes: {0}")]
    Random(String),
    /// Two routes conflict.
    #[error(transparent)]
    Routes(#[from] matchit::InsertError),
    /// The demo organization cannot be created.
    #[error(transparent)]
    Demo(#[from] DemoError),
    /// The function `mail` cannot be set up.
    #[error("the function mail cannot be set up: {0}")]
    Mail(String),
}

/// A running laptop. It stops when this value is dropped.
pub struct Laptop {
    url: String,
    shared: Arc<Shared>,
    router: Router,
    console: Arc<Console>,
    /// Whether this start created the demo organization.
    has_new_demo: bool,
    /// The background tasks. They are aborted when this is dropped.
    _tasks: JoinSet<()>,
    /// The lock of the database file.
    _database_file: Option<DatabaseFile>,
}

/// The parts that the handlers of `/_dev` and the methods of [`Laptop`] use.
struct Shared {
    clock: LocalClock,
    state: State,
    table: Table,
    issuer: Issuer,
    mailbox: Mailbox,
    functions: Arc<dyn Functions>,
    async_invoker: AsyncInvoker,
    scheduler: Arc<Scheduler>,
    consumers: Vec<StreamConsumer>,
    stream: SdkSource,
}

impl Laptop {
    /// Starts all parts of the laptop. Calls `progress` with the name of each step.
    pub async fn start(options: Options, mut progress: impl FnMut(&str)) -> Result<Self, StartError> {
        let mut tasks = JoinSet::new();
        let (listener, url) = listen(options.port).await?;

        progress("database");
        let clock = start_clock(&options)?;
        let database_file = options.db.as_deref().map(DatabaseFile::open).transpose()?;
        let db = open(&options, &clock)?;
        let state = State::open(db.clone())?;
        clock.restore(&state).map_err(|error| StartError::Clock(with_causes(&error)))?;
        let engine = Engine::new(db);
        // Nothing notifies of writes to an external DynamoDB.
        let writes = options.dynamodb.is_none().then(|| engine.subscribe());

        progress("table and stream");
        let (dynamodb, table_name) = match &options.dynamodb {
            Some(ExternalDynamoDb { config, table }) => (config.clone(), table.clone()),
            None => (engine.sdk_config(), TABLE.to_owned()),
        };
        let table = Table::new(aws_sdk_dynamodb::Client::new(&dynamodb), &table_name);
        let stream_arn = table.create().await?;

        progress("keys");
        if let Some(key) = &options.issuer_key {
            issuer::store_key(&state, key)?;
        }
        let issuer = Issuer::start(&url, clock.clone(), state.clone())?;
        let authorizer = Authorizer::new(issuer.clone(), identity_provider(&options, &clock).await?);
        let secret = link_secret(&state)?;

        progress("mailbox, schedules, functions");
        let mailbox = Mailbox::open(state.clone(), clock.clone())?;
        let stored_schedules = Arc::new(aws::scheduler::Schedules::open(state.clone(), clock.clone())?);
        let services = aws::router(Aws {
            dynamodb: engine,
            kms: aws::kms::Kms::new([(LINK_KEY_ALIAS.to_owned(), secret.to_vec())]),
            ses: aws::ses::Ses::new(mailbox.clone()),
            scheduler: Arc::clone(&stored_schedules),
        });
        let console = Arc::new(Console::new(&url, clock.clone(), options.language, options.console.clone()));
        let functions: Arc<dyn Functions> = if let Some(invoke_api) = &options.functions {
            Arc::new(RemoteFunctions::new(invoke_api))
        } else {
            let endpoint = services_config(&services, &options);
            let dynamodb = functions_config(&dynamodb, &options);
            let store = store::Store::new(&dynamodb, table_name).with_retry_policy(options.retry_policy);
            let (clock, policy) = (Arc::new(clock.clone()), options.policy.clone());
            let app = lambda_api::App { store, clock, policy, services: () };
            let key = if options.kms { kms_key(&endpoint)? } else { process_key(secret)? };
            let accept_url = format!("{url}/accept");
            let functions = LinkedFunctions::new(app, key, &endpoint, &accept_url, options.language);
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
                writes: writes.clone(),
            })
        };
        let has_new_demo = options.demo && table.is_empty().await?;
        if has_new_demo {
            progress("demo organization");
            let now = domain::Clock::now(&clock);
            table.fill(&demo::records(&options.policy, now)?).await?;
        }
        let async_invoker = AsyncInvoker::new(Arc::clone(&functions), state.clone(), clock.clone());
        let scheduler = Arc::new(Scheduler::new(stored_schedules, async_invoker.clone(), clock.clone()));
        let running_scheduler = Arc::clone(&scheduler);
        tasks.spawn(async move { running_scheduler.run().await });

        let consumers = vec![consumer("mail"), consumer("schedule")];
        let shared = Arc::new(Shared {
            clock: clock.clone(),
            state,
            table,
            issuer,
            mailbox,
            functions: Arc::clone(&functions),
            async_invoker,
            scheduler,
            consumers,
            stream: SdkSource::new(streams, stream_arn),
        });
        let gateway = Gateway::new(authorizer, functions, clock)?.router();
        let router = router(&shared, services, gateway, &options);
        let served_router = router.clone();
        tasks.spawn(async move {
            let service = served_router.into_make_service_with_connect_info::<SocketAddr>();
            if let Err(error) = axum::serve(listener, service).await {
                tracing::error!(%error, "the HTTP server of the laptop stopped");
            }
        });
        Ok(Self { url, shared, router, console, has_new_demo, _tasks: tasks, _database_file: database_file })
    }

    /// Returns the base URL of the laptop.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns whether this start created the demo organization. It does not if the table has data.
    #[must_use]
    pub fn has_new_demo(&self) -> bool {
        self.has_new_demo
    }

    /// Returns a router for all requests to the laptop, for callers in the same process.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// Builds the pages in a background thread, unless the laptop serves the embedded ones. Calls `progress` with each
    /// line of the build's output. Until there are pages, the laptop serves a page that shows the state of the build.
    pub fn build_console(&self, progress: impl FnMut(&str) + Send + 'static) -> io::Result<()> {
        let console = Arc::clone(&self.console);
        let build = move || console.build(progress);
        std::thread::Builder::new().name("console".to_owned()).spawn(build).map(drop)
    }

    /// Returns the clock.
    #[must_use]
    pub fn clock(&self) -> &LocalClock {
        &self.shared.clock
    }

    /// Returns the issuer.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.shared.issuer
    }

    /// Returns the mailbox.
    #[must_use]
    pub fn mailbox(&self) -> &Mailbox {
        &self.shared.mailbox
    }

    /// Returns Roster's table.
    #[must_use]
    pub fn table(&self) -> &Table {
        &self.shared.table
    }

    /// Returns the functions.
    #[must_use]
    pub fn functions(&self) -> &Arc<dyn Functions> {
        &self.shared.functions
    }

    /// Returns all dead letters.
    pub fn dead_letters(&self) -> Result<Vec<dead_letters::DeadLetter>, StateError> {
        dead_letters::list(&self.shared.state)
    }

    /// Returns all records of the table's stream so far, as the functions receive them.
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

    /// Resolves when no work is left at the current time of the clock: no stream record and no due schedule.
    pub async fn idle(&self) -> Result<(), StateError> {
        self.shared.idle().await
    }

    /// Advances the clock, and resolves when all work that became due has run. Returns the new time in Unix seconds.
    pub async fn advance(&self, seconds: u64) -> Result<i64, AdvanceError> {
        self.shared.advance(seconds).await
    }
}

impl Drop for Laptop {
    fn drop(&mut self) {
        self.console.stop();
    }
}

/// Why the clock could not be advanced, or due work could not be run.
#[derive(Debug, thiserror::Error)]
pub enum AdvanceError {
    /// The clock cannot be advanced.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// The laptop's state cannot be read or written.
    #[error(transparent)]
    State(#[from] StateError),
    /// Roster's table cannot be read or written.
    #[error(transparent)]
    Table(#[from] TableError),
}

impl Shared {
    async fn idle(&self) -> Result<(), StateError> {
        loop {
            // Schedules that fire, here or in another task, can write records. Repeat until no schedule has fired.
            let fired = self.scheduler.fired();
            all_idle(&self.consumers).await;
            self.scheduler.fire_due(self.clock.now_unix()).await?;
            if self.scheduler.fired() == fired {
                return Ok(());
            }
        }
    }

    async fn advance(&self, seconds: u64) -> Result<i64, AdvanceError> {
        // Work in progress belongs to the time before, so finish it first.
        self.idle().await?;
        let now = self.clock.advance(seconds)?;
        self.clock.save(&self.state)?;
        self.idle().await?;
        self.table.delete_expired(now).await?;
        self.idle().await?;
        Ok(now)
    }
}

/// Listens on a port of the loopback (0: any free one). Also returns the base URL.
async fn listen(port: u16) -> Result<(TcpListener, String), StartError> {
    let to_error = |error: io::Error| match error.kind() {
        io::ErrorKind::AddrInUse => StartError::PortInUse(port),
        _ => StartError::Listen(port, error),
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(to_error)?;
    let address = listener.local_addr().map_err(to_error)?;
    Ok((listener, format!("http://{address}")))
}

fn open(options: &Options, clock: &LocalClock) -> Result<Database, StartError> {
    let opened = match &options.db {
        None => Database::memory_with_clock(Arc::new(clock.clone())),
        Some(file) => {
            let path = file.to_str().ok_or_else(|| StartError::Path(file.clone()))?;
            Database::new(path).and_then(|db| {
                // Sets SQLite's `synchronous = NORMAL`. The other settings of this call are SQLite's defaults. A commit
                // then does not wait for the disk, and committed data survives if the process is killed. If the machine
                // loses power, only the last commits can be lost.
                db.disable_bulk_loading()?;
                index_stream(path).map_err(|error| DynoxideError::InternalServerError(error.to_string()))?;
                Ok(db)
            })
        }
    };
    opened.map_err(|error| match &options.db {
        Some(file) => {
            // The engine's own text names its library and that library's settings.
            tracing::debug!(%error, "the engine cannot open the database");
            StartError::Database(file.clone())
        }
        None => StartError::Engine(error.to_string()),
    })
}

/// Adds an index to the engine's stream records.
///
/// Without it, the engine scans all records at each write (for the last sequence number) and at each poll (for the
/// records after a position). It never deletes stream records.
fn index_stream(path: &str) -> rusqlite::Result<()> {
    rusqlite::Connection::open(path)?.execute_batch(
        "CREATE INDEX IF NOT EXISTS roster_stream ON _stream_records (table_name, CAST(sequence_number AS INTEGER))",
    )
}

/// Returns an SDK configuration for a service on the loopback.
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

/// Returns the SDK configuration with which the functions call DynamoDB.
fn functions_config(dynamodb: &SdkConfig, options: &Options) -> SdkConfig {
    let mut config = wrap_http(dynamodb, options).to_builder();
    if options.waits {
        config.set_timeout_config(Some(TimeoutConfig::disabled()));
        config.set_stalled_stream_protection(Some(StalledStreamProtectionConfig::disabled()));
    }
    config.build()
}

/// Returns the SDK configuration with which the functions call the services of this process other than DynamoDB.
fn services_config(services: &Router, options: &Options) -> SdkConfig {
    let endpoint = format!("{}{}", in_process::ORIGIN, aws::PREFIX);
    wrap_http(&sdk_config(&endpoint, Some(in_process::http(services.clone()))), options)
}

/// Wraps the HTTP client of a configuration with [`Options::http`].
fn wrap_http(config: &SdkConfig, options: &Options) -> SdkConfig {
    let wrapped = options.http.as_ref().zip(config.http_client()).map(|(wrap, http)| wrap(http));
    let mut builder = config.to_builder();
    if let Some(http) = wrapped {
        builder.set_http_client(Some(http));
    }
    builder.build()
}

/// Creates the clock, with its file if the options name one.
fn start_clock(options: &Options) -> Result<LocalClock, StartError> {
    let Some(file) = &options.clock_file else { return Ok(LocalClock::new()) };
    LocalClock::with_offset_file(file).map_err(|error| StartError::Clock(with_causes(&error)))
}

/// Starts the other identity provider, if the options name one.
async fn identity_provider(
    options: &Options,
    clock: &LocalClock,
) -> Result<Option<Arc<IdentityProvider>>, ProviderError> {
    let Some(OtherIssuer { issuer, audiences }) = options.identity_provider.clone() else { return Ok(None) };
    Ok(Some(Arc::new(IdentityProvider::start(issuer, audiences, clock.clone()).await?)))
}

/// Returns an HTTP client without TLS, for the loopback.
#[must_use]
pub fn plain_http() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new().build_http()
}

/// Returns the secret of the link key. The first start generates it.
fn link_secret(state: &State) -> Result<[u8; 32], StartError> {
    if let Some(secret) = state.get::<Vec<u8>>("links", LINK_KEY_ID)? {
        return secret.try_into().map_err(|_| StartError::LinkKey);
    }
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|error| StartError::Random(error.to_string()))?;
    state.put("links", LINK_KEY_ID, &secret.to_vec())?;
    Ok(secret)
}

/// Returns the link key in the laptop's KMS. `services` has the endpoint of the KMS.
fn kms_key(services: &SdkConfig) -> Result<Arc<dyn links::LinkKey>, StartError> {
    let key = links::Kms::new(services, &format!("{LINK_KEY_ID}={LINK_KEY_ALIAS}"));
    Ok(Arc::new(key.map_err(|_| StartError::LinkKey)?))
}

/// Returns the same link key, held in this process.
fn process_key(secret: [u8; 32]) -> Result<Arc<dyn links::LinkKey>, StartError> {
    let id = domain::KeyId::parse(LINK_KEY_ID).map_err(|_| StartError::LinkKey)?;
    Ok(Arc::new(links::InProcess::new((id, secret), Vec::new())))
}

fn router(shared: &Arc<Shared>, services: Router, gateway: Router, options: &Options) -> Router {
    let origins = options.origins.as_slice();
    let with_cors = |router: Router| {
        if origins.is_empty() { router } else { router.layer(cors::allow(origins)) }
    };
    let sign_in = SignIn::new(shared.issuer.clone(), origins, options.demo);
    let tools = Router::new()
        .route("/_dev/clock", routing::get(clock).post(advance))
        .route("/_dev/idle", routing::get(idle))
        .route("/_dev/check", routing::get(check))
        .with_state(Arc::clone(shared));
    // With CORS, so that a page that is developed on another port of this machine can get a token for its calls of the
    // API. The guard refuses such requests from origins that are not on this machine.
    let tokens = with_cors(shared.issuer.clone().router());
    let router = Router::new()
        .merge(tools)
        .merge(tokens)
        .merge(sign_in.router())
        .merge(shared.mailbox.clone().router())
        .merge(feedback::router(shared.mailbox.clone(), shared.async_invoker.clone()))
        .merge(document::router(shared.issuer.url()))
        .layer(middleware::map_response(add_security_headers))
        .merge(services)
        .fallback_service(with_cors(gateway));
    let router = if options.dynamodb.is_some() {
        router.layer(middleware::from_fn_with_state(Arc::clone(shared), wake_consumers))
    } else {
        router
    };
    router.layer(middleware::from_fn_with_state(Arc::<[_]>::from(origins), guard))
}

/// Adds the security headers that functions add to their responses. The laptop's own responses also contain personal
/// data, links and tokens.
async fn add_security_headers(mut response: Response) -> Response {
    lambda_api::headers::add_security_headers(response.headers_mut());
    response
}

/// Wakes the stream consumers after a request that may have written to an external DynamoDB, so that they do not wait
/// for the next poll.
async fn wake_consumers(Extract(shared): Extract<Arc<Shared>>, request: Request, next: Next) -> Response {
    let may_write = !request.method().is_safe();
    let response = next.run(request).await;
    if may_write {
        shared.consumers.iter().for_each(StreamConsumer::wake);
    }
    response
}

fn internal_error(error: impl std::error::Error) -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response()
}

fn time_response(now: i64) -> Json<Value> {
    Json(json!({ "now": domain::Timestamp::from_unix(now).to_string() }))
}

async fn clock(Extract(shared): Extract<Arc<Shared>>) -> Json<Value> {
    time_response(shared.clock.now_unix())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance_seconds: u64,
}

async fn advance(Extract(shared): Extract<Arc<Shared>>, body: bytes::Bytes) -> Response {
    let Advance { advance_seconds } = match serde_json::from_slice(&body) {
        Ok(advance) => advance,
        Err(error) => {
            let text = format!("The body must be JSON like {{\"advance_seconds\": 60}}: {error}\n");
            return (StatusCode::BAD_REQUEST, text).into_response();
        }
    };
    match shared.advance(advance_seconds).await {
        Ok(now) => time_response(now).into_response(),
        Err(AdvanceError::Clock(error @ ClockError::OutOfRange)) => {
            (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response()
        }
        Err(error) => internal_error(error),
    }
}

async fn idle(Extract(shared): Extract<Arc<Shared>>) -> Response {
    match shared.idle().await {
        Ok(()) => Json(json!({ "idle": true })).into_response(),
        Err(error) => internal_error(error),
    }
}

async fn check(Extract(shared): Extract<Arc<Shared>>) -> Response {
    match shared.table.check().await {
        Ok((organizations, violations)) => {
            let violations: Vec<_> = violations.iter().map(ToString::to_string).collect();
            Json(json!({ "organizations": organizations, "violations": violations })).into_response()
        }
        Err(error) => internal_error(error),
    }
}
