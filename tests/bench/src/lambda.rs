//! Lambda on this machine: it starts functions' processes, hands them events by the Runtime API, and stands between
//! them and AWS, so that it knows what each invocation takes, and how much of that is not the function's own.

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

use crate::page::target;
use crate::process::{self, Memory};

/// How long a process may take to ask for its first event, under valgrind too.
const START_MAX: Duration = Duration::from_mins(1);

/// What a start takes: from the process' first instruction to its asking for an event.
#[derive(Debug, Clone, Copy)]
pub struct Start {
    /// Processor time of all of its threads.
    pub cpu: Duration,
    /// By the clock.
    pub wall: Duration,
}

/// What one invocation takes: from the event's being handed out to the answer's being there.
#[derive(Debug, Clone, Copy)]
pub struct Invocation {
    /// Processor time of all threads.
    pub cpu: Duration,
    /// By the clock.
    pub wall: Duration,
    /// The part of it in which a request to AWS was being answered.
    pub in_aws: Duration,
}

impl Invocation {
    /// What AWS does not answer for.
    pub fn outside(&self) -> Duration {
        self.wall.saturating_sub(self.in_aws)
    }
}

/// What a function says: its answer, or that it has failed.
type Answer = Result<Bytes, String>;

/// An event, and whom its answer goes to.
struct Event {
    body: Bytes,
    answer: oneshot::Sender<Answer>,
}

/// What AWS has answered.
#[derive(Debug, Clone)]
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Reply {
    /// There is none: a refusal that nobody tries again.
    fn missing() -> Self {
        Self { status: StatusCode::BAD_REQUEST, headers: HeaderMap::new(), body: Bytes::new() }
    }
}

/// One invocation: its event, and what AWS answered to its requests, one after the other.
#[derive(Debug, Clone, Default)]
pub struct Tape {
    event: Bytes,
    /// The operations, and the bodies.
    requests: Vec<(String, Bytes)>,
    replies: Vec<Reply>,
    answer: Bytes,
}

impl Tape {
    /// The invocation as `floor` reads it.
    fn of_floor(&self) -> Result<String, String> {
        let json = |bytes: &Bytes| serde_json::from_slice::<Value>(bytes).map_err(|error| error.to_string());
        let requests = self
            .requests
            .iter()
            .map(|(operation, body)| Ok(json!({ "operation": operation, "body": json(body)? })));
        let requests = requests.collect::<Result<Vec<_>, String>>()?;
        Ok(json!({ "requests": requests, "answer": json(&self.answer)? }).to_string())
    }

    /// From now on `floor` sends what this invocation has sent, once it is started.
    pub fn lay_floor(&self) -> Result<(), String> {
        let path = floor_tape();
        std::fs::create_dir_all(path.parent().unwrap_or(&path)).map_err(|error| error.to_string())?;
        std::fs::write(&path, self.of_floor()?).map_err(|error| format!("{}: {error}", path.display()))
    }
}

/// Where `floor` finds what it sends.
fn floor_tape() -> PathBuf {
    target().join("bench/floor.json")
}

/// Whether a function's invocations are taken down, or happen once more.
enum Taping {
    Off,
    Recording(Tape),
    /// The replies that are left, the last one first.
    Playing(Vec<Reply>),
}

/// A function's process.
struct Function {
    /// Which of the processes that Lambda has started it is: a question of the one before may still be on its way.
    number: u64,
    child: Child,
    spawned: Instant,
    /// Whom its first question for an event is told.
    started: Option<oneshot::Sender<Start>>,
    events: mpsc::UnboundedSender<Event>,
    waiting: Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<Event>>>,
    running: Option<Running>,
    invocations: Vec<Invocation>,
    taping: Taping,
}

struct Running {
    answer: oneshot::Sender<Answer>,
    begun: Instant,
    cpu: Duration,
    in_aws: Duration,
    /// Requests to AWS under way, and since when there is one.
    open: u32,
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
    /// Where the binaries are.
    pub binaries: PathBuf,
    /// A function, and what runs its binary instead of the system: a tool and its arguments.
    pub under: Option<(String, Vec<OsString>)>,
    /// Programs that are no binaries of Roster, by the name of their function.
    pub others: BTreeMap<String, Vec<OsString>>,
}

struct Shared {
    url: OnceLock<String>,
    laptop: OnceLock<(String, Router)>,
    launch: Mutex<Launch>,
    functions: Mutex<BTreeMap<String, Function>>,
    /// How many processes have been started.
    processes: AtomicU64,
}

/// The service; its processes end with it.
#[derive(Clone)]
pub struct Lambda(Arc<Shared>);

impl Lambda {
    /// Starts the service; nothing of it runs yet.
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
            .route("/2015-03-31/functions/{function}/invocations", post(invoke))
            .route("/.rt/{function}/{number}/2018-06-01/runtime/invocation/next", get(next))
            .route("/.rt/{function}/{number}/2018-06-01/runtime/invocation/{id}/{what}", post(answered))
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

    /// Where functions are invoked.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    fn address(&self) -> &str {
        self.0.url.get().map_or("", String::as_str)
    }

    /// AWS, as functions know it, is at this laptop.
    pub fn is_beside(&self, laptop: &local::laptop::Laptop) {
        let _ = self.0.laptop.set((laptop.url().to_owned(), laptop.router()));
    }

    /// From now on `function` is started under this.
    pub fn launches_under(&self, under: Vec<OsString>, function: &str) {
        let under = (function.to_owned(), under);
        self.0.launch.lock().unwrap_or_else(PoisonError::into_inner).under = Some(under);
    }

    /// Starts the function's process anew, and tells what that took.
    pub async fn restarts(&self, function: &str) -> Result<Start, String> {
        let (sender, receiver) = oneshot::channel();
        self.ends(function);
        // All at once: it may ask before it is known otherwise.
        self.with(|functions| {
            let started = self.spawn(function, sender)?;
            functions.insert(function.to_owned(), started);
            Ok::<_, String>(())
        })?;
        let start = tokio::time::timeout(START_MAX, receiver).await;
        start.ok().and_then(Result::ok).ok_or_else(|| format!("{function} asks for no event"))
    }

    /// Ends the function's process.
    pub fn ends(&self, function: &str) {
        self.with(|functions| functions.remove(function));
    }

    /// Asks the function's process to end by itself, so that a tool around it can write down what it has seen.
    pub fn leaves(&self, function: &str) {
        if let Some(mut function) = self.with(|functions| functions.remove(function)) {
            let _ = Command::new("kill").arg(function.child.id().to_string()).status();
            let _ = function.child.wait();
        }
    }

    /// Invokes a function; its answer.
    pub async fn invokes(&self, function: &str, event: Bytes) -> Answer {
        if !self.with(|functions| functions.contains_key(function)) {
            self.restarts(function).await?;
        }
        let (answer, answered) = oneshot::channel();
        let queue = self.with(|functions| functions.get(function).map(|function| function.events.clone()));
        let queue = queue.ok_or_else(|| format!("{function} is gone"))?;
        queue.send(Event { body: event, answer }).map_err(|_| format!("{function} is gone"))?;
        answered.await.map_err(|_| format!("{function} has ended without an answer"))?
    }

    /// From now on the function's invocations are taken down, the last one of them for good.
    pub fn records(&self, function: &str) {
        self.with(|functions| {
            if let Some(function) = functions.get_mut(function) {
                function.taping = Taping::Recording(Tape::default());
            }
        });
    }

    /// The last invocation that was taken down.
    pub fn tape(&self, function: &str) -> Result<Tape, String> {
        let taping = self.with(|functions| {
            functions.get_mut(function).map(|function| std::mem::replace(&mut function.taping, Taping::Off))
        });
        match taping {
            Some(Taping::Recording(tape)) if !tape.replies.is_empty() => Ok(tape),
            _ => Err(format!("nothing of {function} was taken down")),
        }
    }

    /// Has the invocation happen once more, with the same answers from AWS, which nobody has to work out again.
    pub async fn replays(&self, function: &str, tape: &Tape) -> Result<(), String> {
        self.with(|functions| {
            if let Some(function) = functions.get_mut(function) {
                function.taping = Taping::Playing(tape.replies.iter().rev().cloned().collect());
            }
        });
        self.invokes(function, tape.event.clone()).await.map(drop)
    }

    /// What the function's invocations have taken since the last time.
    pub fn takes(&self, function: &str) -> Vec<Invocation> {
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
        let whole: Vec<_> = under.iter().flatten().chain(program).collect();
        let (laptop, _) = self.0.laptop.get().ok_or("no laptop stands behind Lambda")?;
        let address = self.address();
        let mut command = Command::new(whole[0]);
        command.args(&whole[1..]).env_clear().envs(environment()?);
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("AWS_ENDPOINT_URL", format!("http://{address}/aws/{name}"));
        let number = self.0.processes.fetch_add(1, Ordering::Relaxed);
        command.env("AWS_LAMBDA_RUNTIME_API", format!("http://{address}/.rt/{name}/{number}"));
        command.env("AWS_LAMBDA_FUNCTION_NAME", name).env("AWS_LAMBDA_FUNCTION_VERSION", "1");
        command.env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256");
        // Lambda sets both, and boto3 reads this one alone.
        command.env("AWS_DEFAULT_REGION", "eu-central-1");
        command.env("ACCEPT_URL", format!("{laptop}/accept")).env("CONSOLE_ISSUER", laptop);
        // Hundreds of calls are to be let through in a minute.
        for limit in ["INVITEES_PER_DAY", "MAILS_PER_HOUR", "MAILS_PER_INVITATION", "MAILS_PER_RECIPIENT"] {
            command.env(limit, "1000000");
        }
        command.env("MAIL_PAUSE_SECONDS", "1").env("FLOOR_TAPE", floor_tape());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let spawned = Instant::now();
        let child =
            command.spawn().map_err(|error| format!("{} does not start: {error}", whole[0].display()))?;
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
            taping: Taping::Off,
        })
    }
}

/// What `infra/laptop.env` sets.
fn environment() -> Result<Vec<(String, String)>, String> {
    let path: &Path = &harness::top().join("infra/laptop.env");
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let lines = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
    Ok(lines.map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned())).collect())
}

async fn invoke(
    State(lambda): State<Lambda>,
    Segments(function): Segments<String>,
    event: Bytes,
) -> Response {
    match lambda.invokes(&function, event).await {
        Ok(answer) => answer.into_response(),
        Err(why) => {
            println!("{why}");
            (StatusCode::BAD_GATEWAY, why).into_response()
        }
    }
}

async fn next(State(lambda): State<Lambda>, Segments((name, number)): Segments<(String, u64)>) -> Response {
    let waiting = lambda.with(|functions| {
        let function = functions.get_mut(&name).filter(|function| function.number == number)?;
        if let Some(told) = function.started.take() {
            let cpu = process::cpu(function.child.id()).unwrap_or_default();
            let _ = told.send(Start { cpu, wall: function.spawned.elapsed() });
        }
        Some(Arc::clone(&function.waiting))
    });
    let Some(waiting) = waiting else { return StatusCode::GONE.into_response() };
    let Some(Event { body, answer }) = waiting.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    lambda.with(|functions| {
        let Some(function) = functions.get_mut(&name) else { return };
        let cpu = process::cpu(function.child.id()).unwrap_or_default();
        let begun = Instant::now();
        let in_aws = Duration::ZERO;
        if let Taping::Recording(tape) = &mut function.taping {
            *tape = Tape { event: body.clone(), ..Tape::default() };
        }
        function.running = Some(Running { answer, begun, cpu, in_aws, open: 0, since: begun });
    });
    let headers = [
        ("lambda-runtime-aws-request-id", "00000000-0000-4000-8000-000000000000"),
        ("lambda-runtime-deadline-ms", "9999999999999"),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:eu-central-1:000000000000:function:bench"),
    ];
    (headers, body).into_response()
}

async fn answered(
    State(lambda): State<Lambda>,
    Segments((name, number, _, what)): Segments<(String, u64, String, String)>,
    body: Bytes,
) -> StatusCode {
    lambda.with(|functions| {
        let function = functions.get_mut(&name).filter(|function| function.number == number);
        let Some(function) = function else { return };
        let Some(running) = function.running.take() else { return };
        let wall = running.begun.elapsed();
        let cpu = process::cpu(function.child.id()).unwrap_or_default().saturating_sub(running.cpu);
        function.invocations.push(Invocation { cpu, wall, in_aws: running.in_aws });
        if let Taping::Recording(tape) = &mut function.taping {
            tape.answer = body.clone();
        }
        let failed = || format!("{name} has failed: {}", String::from_utf8_lossy(&body));
        let _ = running.answer.send(if what == "error" { Err(failed()) } else { Ok(body) });
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
    let played = lambda.with(|functions| {
        let function = functions.get_mut(&name)?;
        if let Some(running) = &mut function.running {
            if running.open == 0 {
                running.since = Instant::now();
            }
            running.open += 1;
        }
        match &mut function.taping {
            // Another request than was taken down: then it is another invocation, and not to be measured as this one.
            Taping::Playing(replies) => Some(replies.pop().unwrap_or_else(Reply::missing)),
            Taping::Off | Taping::Recording(_) => None,
        }
    });
    let reply = match played {
        Some(reply) => reply,
        None => ask(router, parts, &path, body).await,
    };
    lambda.with(|functions| {
        let Some(function) = functions.get_mut(&name) else { return };
        let Some(running) = &mut function.running else { return };
        running.open = running.open.saturating_sub(1);
        if running.open == 0 {
            running.in_aws += running.since.elapsed();
        }
        if let Taping::Recording(tape) = &mut function.taping {
            tape.requests.push(request);
            tape.replies.push(reply.clone());
        }
    });
    (reply.status, reply.headers, reply.body).into_response()
}

/// Asks what stands for AWS.
async fn ask(router: &Router, mut parts: Parts, path: &str, body: Bytes) -> Reply {
    // What this router knows of the request is not for the next one.
    parts.extensions.clear();
    let query = parts.uri.query().map_or_else(String::new, |query| format!("?{query}"));
    parts.uri = format!("/_aws/{path}{query}").parse().unwrap_or_else(|_| Uri::from_static("/"));
    let answer = router.clone().oneshot(Request::from_parts(parts, Body::from(body))).await;
    let answer = answer.unwrap_or_else(|never| match never {});
    let (parts, body) = answer.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    Reply { status: parts.status, headers: parts.headers, body }
}
