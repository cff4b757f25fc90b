//! A local Lambda service. It starts the functions' processes and sends them events by the Lambda Runtime API.
//!
//! It also forwards the functions' requests to AWS, which is the laptop (the local server started by `cargo run`). So
//! it measures the time of each invocation, and the part of it in which the function waits for AWS.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path as Segments, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use http::request::Parts;
use http::{HeaderMap, Request, StatusCode, Uri};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tower::ServiceExt as _;

use crate::page::target_directory;
use crate::process::{self, Memory};

/// The maximum time from a process' start to its first request for an event, also under valgrind.
const START_MAX: Duration = Duration::from_mins(1);

/// The time of a start: from the process' first instruction to its first request for an event.
#[derive(Debug, Clone, Copy)]
pub struct Start {
    /// CPU time of all threads.
    pub cpu: Duration,
    /// Elapsed time.
    pub wall: Duration,
}

/// The time of an invocation: from sending the event to receiving the function's result.
#[derive(Debug, Clone, Copy)]
pub struct Invocation {
    /// CPU time of all threads.
    pub cpu: Duration,
    /// Elapsed time.
    pub wall: Duration,
    /// The part of the elapsed time in which at least one request to AWS was open.
    pub in_aws: Duration,
}

impl Invocation {
    /// The elapsed time without the time in AWS.
    pub fn outside(&self) -> Duration {
        self.wall.saturating_sub(self.in_aws)
    }
}

/// The result of a function: its response, or its error.
type FunctionResult = Result<Bytes, String>;

/// An event, and the channel for its result.
struct Event {
    body: Bytes,
    result: oneshot::Sender<FunctionResult>,
}

/// A response of AWS.
#[derive(Debug, Clone)]
struct AwsResponse {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl AwsResponse {
    /// The response to a request that was not recorded: status 400, which the SDK does not retry.
    fn not_recorded() -> Self {
        Self { status: StatusCode::BAD_REQUEST, headers: HeaderMap::new(), body: Bytes::new() }
    }
}

/// A recorded invocation: its event, its requests to AWS with the responses in order, and its result.
#[derive(Debug, Clone, Default)]
pub struct Recording {
    event: Bytes,
    /// The operations and the bodies.
    requests: Vec<(String, Bytes)>,
    responses: Vec<AwsResponse>,
    result: Bytes,
}

impl Recording {
    /// The recording in the format that the program `baseline` reads.
    fn to_baseline_json(&self) -> Result<String, String> {
        let json = |bytes: &Bytes| serde_json::from_slice::<Value>(bytes).map_err(|error| error.to_string());
        let requests = self
            .requests
            .iter()
            .map(|(operation, body)| Ok(json!({ "operation": operation, "body": json(body)? })));
        let requests = requests.collect::<Result<Vec<_>, String>>()?;
        Ok(json!({ "requests": requests, "result": json(&self.result)? }).to_string())
    }

    /// Saves the recording for the program `baseline`, which reads it at its start and then sends the same requests.
    pub fn save_for_baseline(&self) -> Result<(), String> {
        let path = baseline_recording();
        std::fs::create_dir_all(path.parent().unwrap_or(&path)).map_err(|error| error.to_string())?;
        std::fs::write(&path, self.to_baseline_json()?)
            .map_err(|error| format!("{}: {error}", path.display()))
    }
}

/// The file from which the program `baseline` reads its requests.
fn baseline_recording() -> PathBuf {
    target_directory().join("bench/baseline.json")
}

/// Whether the invocations of a function are recorded or replayed.
enum RecordingMode {
    Off,
    /// Contains the newest invocation.
    Recording(Recording),
    /// Contains the responses of AWS that were not replayed yet, in reverse order.
    Replaying(Vec<AwsResponse>),
}

/// A function's process.
struct Function {
    /// The number of the process. Requests with another number are from an earlier process and are refused.
    number: u64,
    child: Child,
    spawned: Instant,
    /// Receives the time of the start at the first request for an event.
    started: Option<oneshot::Sender<Start>>,
    events: mpsc::UnboundedSender<Event>,
    waiting: Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<Event>>>,
    running: Option<Running>,
    invocations: Vec<Invocation>,
    recording_mode: RecordingMode,
}

struct Running {
    result: oneshot::Sender<FunctionResult>,
    started_at: Instant,
    cpu: Duration,
    in_aws: Duration,
    /// The number of open requests to AWS.
    open: u32,
    /// The time at which `open` changed from 0 to 1.
    since: Instant,
}

impl Drop for Function {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How functions are started.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The directory of the functions' binaries.
    pub binaries: PathBuf,
    /// A function, and the tool with its arguments that runs the function's binary (valgrind).
    pub under: Option<(String, Vec<OsString>)>,
    /// The command lines of functions that are not Roster's, by name.
    pub others: BTreeMap<String, Vec<OsString>>,
}

struct Shared {
    url: OnceLock<String>,
    laptop: OnceLock<(String, Router)>,
    launch: Mutex<Launch>,
    functions: Mutex<BTreeMap<String, Function>>,
    /// The number of processes that were started.
    processes: AtomicU64,
}

/// The Lambda service. Its processes end with it.
#[derive(Clone)]
pub struct Lambda(Arc<Shared>);

impl Lambda {
    /// Starts the service, without any function process.
    pub async fn start(launch: Launch) -> Result<Self, String> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let shared = Arc::new(Shared {
            url: OnceLock::new(),
            laptop: OnceLock::new(),
            launch: Mutex::new(launch),
            functions: Mutex::default(),
            processes: AtomicU64::new(0),
        });
        let _ = shared.url.set(address.to_string());
        let lambda = Self(shared);
        let router = Router::new()
            .route("/2015-03-31/functions/{function}/invocations", post(handle_invoke))
            .route("/.rt/{function}/{number}/2018-06-01/runtime/invocation/next", get(handle_next))
            .route("/.rt/{function}/{number}/2018-06-01/runtime/invocation/{id}/{what}", post(handle_result))
            .route(
                "/.rt/{function}/{number}/2018-06-01/runtime/init/error",
                post(|| async { StatusCode::ACCEPTED }),
            )
            .route("/aws/{function}/{*path}", any(forward))
            .route("/aws/{function}/", any(forward_root))
            .route("/aws/{function}", any(forward_root))
            .with_state(lambda.clone());
        let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
            let _ = stream.set_nodelay(true);
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(lambda)
    }

    /// The endpoint of Lambda's `Invoke` API.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    fn address(&self) -> &str {
        self.0.url.get().map_or("", String::as_str)
    }

    /// Forwards the functions' requests to the AWS emulation of this laptop.
    pub fn connect_aws(&self, laptop: &local::laptop::Laptop) {
        let _ = self.0.laptop.set((laptop.url().to_owned(), laptop.router()));
    }

    /// Runs later processes of `function` under this tool. No arguments: runs them directly.
    pub fn run_under(&self, under: Vec<OsString>, function: &str) {
        let under = (function.to_owned(), under);
        self.0.launch.lock().unwrap_or_else(PoisonError::into_inner).under = Some(under);
    }

    /// Restarts the function's process and returns the time of the start.
    pub async fn restart(&self, function: &str) -> Result<Start, String> {
        let (sender, receiver) = oneshot::channel();
        self.stop(function);
        // Spawn and insert under one lock, because the process may request an event immediately.
        self.with(|functions| {
            let started = self.spawn(function, sender)?;
            functions.insert(function.to_owned(), started);
            Ok::<_, String>(())
        })?;
        let start = tokio::time::timeout(START_MAX, receiver).await;
        start.ok().and_then(Result::ok).ok_or_else(|| format!("{function} asks for no event"))
    }

    /// Kills the function's process.
    pub fn stop(&self, function: &str) {
        self.with(|functions| functions.remove(function));
    }

    /// Sends SIGTERM to the function's process and waits for its end, so a tool such as valgrind can write its output.
    pub fn terminate(&self, function: &str) {
        if let Some(mut function) = self.with(|functions| functions.remove(function)) {
            let _ = Command::new("kill").arg(function.child.id().to_string()).status();
            let _ = function.child.wait();
        }
    }

    /// Invokes a function and returns its result. Starts a process if none runs.
    pub async fn invoke(&self, function: &str, event: Bytes) -> FunctionResult {
        if !self.with(|functions| functions.contains_key(function)) {
            self.restart(function).await?;
        }
        let (result, receiver) = oneshot::channel();
        let queue = self.with(|functions| functions.get(function).map(|function| function.events.clone()));
        let queue = queue.ok_or_else(|| format!("{function} does not run"))?;
        queue.send(Event { body: event, result }).map_err(|_| format!("{function} does not run"))?;
        receiver.await.map_err(|_| format!("{function} ended without a result"))?
    }

    /// Starts to record the function's invocations. Each invocation replaces the recording of the previous one.
    pub fn start_recording(&self, function: &str) {
        self.with(|functions| {
            if let Some(function) = functions.get_mut(function) {
                function.recording_mode = RecordingMode::Recording(Recording::default());
            }
        });
    }

    /// Stops recording, and returns the recording of the last invocation.
    pub fn take_recording(&self, function: &str) -> Result<Recording, String> {
        let recording_mode = self.with(|functions| {
            functions
                .get_mut(function)
                .map(|function| std::mem::replace(&mut function.recording_mode, RecordingMode::Off))
        });
        match recording_mode {
            Some(RecordingMode::Recording(recording)) if !recording.responses.is_empty() => Ok(recording),
            _ => Err(format!("no invocation of {function} was recorded")),
        }
    }

    /// Repeats a recorded invocation. The requests to AWS get the recorded responses, so the laptop does no work.
    pub async fn replay(&self, function: &str, recording: &Recording) -> Result<(), String> {
        self.with(|functions| {
            if let Some(function) = functions.get_mut(function) {
                function.recording_mode =
                    RecordingMode::Replaying(recording.responses.iter().rev().cloned().collect());
            }
        });
        self.invoke(function, recording.event.clone()).await.map(drop)
    }

    /// Returns the measured invocations of the function since the last call.
    pub fn take_invocations(&self, function: &str) -> Vec<Invocation> {
        let taken = self.with(|functions| {
            functions.get_mut(function).map(|function| std::mem::take(&mut function.invocations))
        });
        taken.unwrap_or_default()
    }

    /// The memory of the function's process.
    pub fn memory(&self, function: &str) -> Result<Memory, String> {
        let id = self.with(|functions| functions.get(function).map(|function| function.child.id()));
        process::memory(id.ok_or_else(|| format!("{function} does not run"))?)
    }

    fn with<T>(&self, look: impl FnOnce(&mut BTreeMap<String, Function>) -> T) -> T {
        look(&mut self.0.functions.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn spawn(&self, name: &str, started: oneshot::Sender<Start>) -> Result<Function, String> {
        let Launch { binaries, under, others } =
            self.0.launch.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let own = [binaries.join(name).into_os_string()];
        let program = others.get(name).map_or(&own[..], Vec::as_slice);
        let under = under.filter(|(function, _)| function == name).map(|(_, under)| under);
        let words: Vec<_> = under.iter().flatten().chain(program).collect();
        let (laptop, _) = self.0.laptop.get().ok_or("no laptop is connected")?;
        let address = self.address();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).env_clear().envs(environment()?);
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("AWS_ENDPOINT_URL", format!("http://{address}/aws/{name}"));
        let number = self.0.processes.fetch_add(1, Ordering::Relaxed);
        command.env("AWS_LAMBDA_RUNTIME_API", format!("http://{address}/.rt/{name}/{number}"));
        command.env("AWS_LAMBDA_FUNCTION_NAME", name).env("AWS_LAMBDA_FUNCTION_VERSION", "1");
        command.env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256");
        // Lambda sets `AWS_REGION` and `AWS_DEFAULT_REGION`. boto3 reads only the second one.
        command.env("AWS_DEFAULT_REGION", "eu-central-1");
        command.env("ACCEPT_URL", format!("{laptop}/accept")).env("CONSOLE_ISSUER", laptop);
        // The benchmark makes hundreds of calls per minute.
        for limit in ["INVITEES_PER_DAY", "MAILS_PER_HOUR", "MAILS_PER_INVITATION", "MAILS_PER_RECIPIENT"] {
            command.env(limit, "1000000");
        }
        command.env("MAIL_PAUSE_SECONDS", "1").env("BASELINE_RECORDING", baseline_recording());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let spawned = Instant::now();
        let child =
            command.spawn().map_err(|error| format!("{} does not start: {error}", words[0].display()))?;
        let (events, waiting) = mpsc::unbounded_channel();
        let waiting = Arc::new(tokio::sync::Mutex::new(waiting));
        Ok(Function {
            number,
            child,
            spawned,
            started: Some(started),
            events,
            waiting,
            running: None,
            invocations: Vec::new(),
            recording_mode: RecordingMode::Off,
        })
    }
}

/// The environment variables in `infra/laptop.env`.
fn environment() -> Result<Vec<(String, String)>, String> {
    let path: &Path = &harness::repository_root().join("infra/laptop.env");
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let lines = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
    Ok(lines.map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned())).collect())
}

async fn handle_invoke(
    State(lambda): State<Lambda>,
    Segments(function): Segments<String>,
    event: Bytes,
) -> Response {
    match lambda.invoke(&function, event).await {
        Ok(response) => response.into_response(),
        Err(error) => {
            println!("{error}");
            (StatusCode::BAD_GATEWAY, error).into_response()
        }
    }
}

async fn handle_next(
    State(lambda): State<Lambda>,
    Segments((name, number)): Segments<(String, u64)>,
) -> Response {
    let waiting = lambda.with(|functions| {
        let function = functions.get_mut(&name).filter(|function| function.number == number)?;
        if let Some(sender) = function.started.take() {
            let cpu = process::cpu(function.child.id()).unwrap_or_default();
            let _ = sender.send(Start { cpu, wall: function.spawned.elapsed() });
        }
        Some(Arc::clone(&function.waiting))
    });
    let Some(waiting) = waiting else { return StatusCode::GONE.into_response() };
    let Some(Event { body, result }) = waiting.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    lambda.with(|functions| {
        let Some(function) = functions.get_mut(&name) else { return };
        let cpu = process::cpu(function.child.id()).unwrap_or_default();
        let started_at = Instant::now();
        let in_aws = Duration::ZERO;
        if let RecordingMode::Recording(recording) = &mut function.recording_mode {
            *recording = Recording { event: body.clone(), ..Recording::default() };
        }
        function.running = Some(Running { result, started_at, cpu, in_aws, open: 0, since: started_at });
    });
    let headers = [
        ("lambda-runtime-aws-request-id", "00000000-0000-4000-8000-000000000000"),
        ("lambda-runtime-deadline-ms", "9999999999999"),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:eu-central-1:000000000000:function:bench"),
    ];
    (headers, body).into_response()
}

async fn handle_result(
    State(lambda): State<Lambda>,
    Segments((name, number, _, what)): Segments<(String, u64, String, String)>,
    body: Bytes,
) -> StatusCode {
    lambda.with(|functions| {
        let function = functions.get_mut(&name).filter(|function| function.number == number);
        let Some(function) = function else { return };
        let Some(running) = function.running.take() else { return };
        let wall = running.started_at.elapsed();
        let cpu = process::cpu(function.child.id()).unwrap_or_default().saturating_sub(running.cpu);
        function.invocations.push(Invocation { cpu, wall, in_aws: running.in_aws });
        if let RecordingMode::Recording(recording) = &mut function.recording_mode {
            recording.result = body.clone();
        }
        let failed = || format!("{name} failed: {}", String::from_utf8_lossy(&body));
        let _ = running.result.send(if what == "error" { Err(failed()) } else { Ok(body) });
    });
    StatusCode::ACCEPTED
}

async fn forward_root(
    lambda: State<Lambda>,
    Segments(name): Segments<String>,
    request: Request<Body>,
) -> Response {
    forward(lambda, Segments((name, String::new())), request).await
}

async fn forward(
    State(lambda): State<Lambda>,
    Segments((name, path)): Segments<(String, String)>,
    request: Request<Body>,
) -> Response {
    let Some((_, router)) = lambda.0.laptop.get() else { return StatusCode::BAD_GATEWAY.into_response() };
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, usize::MAX).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let operation = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let operation = operation.and_then(|target| target.split('.').next_back()).unwrap_or_default();
    let request = (operation.to_owned(), body.clone());
    let recorded = lambda.with(|functions| {
        let function = functions.get_mut(&name)?;
        if let Some(running) = &mut function.running {
            if running.open == 0 {
                running.since = Instant::now();
            }
            running.open += 1;
        }
        match &mut function.recording_mode {
            // More requests than were recorded: this is another invocation, which must fail instead of being measured.
            RecordingMode::Replaying(responses) => {
                Some(responses.pop().unwrap_or_else(AwsResponse::not_recorded))
            }
            RecordingMode::Off | RecordingMode::Recording(_) => None,
        }
    });
    let response = match recorded {
        Some(response) => response,
        None => send_to_aws(router, parts, &path, body).await,
    };
    lambda.with(|functions| {
        let Some(function) = functions.get_mut(&name) else { return };
        let Some(running) = &mut function.running else { return };
        running.open = running.open.saturating_sub(1);
        if running.open == 0 {
            running.in_aws += running.since.elapsed();
        }
        if let RecordingMode::Recording(recording) = &mut function.recording_mode {
            recording.requests.push(request);
            recording.responses.push(response.clone());
        }
    });
    (response.status, response.headers, response.body).into_response()
}

/// Sends a request to the AWS emulation.
async fn send_to_aws(router: &Router, mut parts: Parts, path: &str, body: Bytes) -> AwsResponse {
    // The laptop's router must not see the extensions (path parameters) of this router.
    parts.extensions.clear();
    let query = parts.uri.query().map_or_else(String::new, |query| format!("?{query}"));
    parts.uri = format!("/_aws/{path}{query}").parse().unwrap_or_else(|_| Uri::from_static("/"));
    let response = router.clone().oneshot(Request::from_parts(parts, Body::from(body))).await;
    let response = response.unwrap_or_else(|never| match never {});
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    AwsResponse { status: parts.status, headers: parts.headers, body }
}
