//! A program that serves people as a process of its own, and many calls of it at once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Body;
use harness::{Organization, Person};
use http::{Method, Request, header};
use serde_json::{Value, json};

use crate::process::{self, Memory, ms, percentile};

/// Callers at once.
pub const AT_ONCE: [usize; 3] = [1, 8, 64];
/// Calls of each kind, at each of those.
pub const CALLS: usize = 300;
/// Of lists of all members there are fewer.
pub const LONG_LISTS: usize = 60;

/// How long it may take to be ready, with a large table too.
const READY_MAX: Duration = Duration::from_mins(2);
/// Between two looks whether it is.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A process that serves; it ends with this.
pub struct Server {
    child: Child,
    url: String,
}

impl Server {
    /// What serves on this port.
    pub fn new(child: Child, port: u16) -> Self {
        Self { child, url: format!("http://127.0.0.1:{port}") }
    }

    /// Somebody who is not signed in.
    pub fn visitor(&self) -> Person {
        Person::at(&self.url)
    }

    /// Processor time so far, in hundredths of a second: of all threads that there have been.
    fn cpu(&self) -> Result<Duration, String> {
        process::cpu_ever(self.child.id())
    }

    /// Its memory.
    pub fn memory(&self) -> Result<Memory, String> {
        process::memory(self.child.id())
    }

    /// Makes the calls, `at_once` of them at any time; every one has to be answered well. `idle` resolves once nothing is left to
    /// do after them.
    pub async fn load(&self, calls: Vec<Call>, at_once: usize, idle: impl AsyncFn()) -> Result<Load, String> {
        idle().await;
        let (cpu, own_cpu, begun) = (self.cpu()?, process::cpu_ever(std::process::id())?, Instant::now());
        let count = calls.len();
        let calls = Arc::new(Mutex::new(calls));
        let mut callers = tokio::task::JoinSet::new();
        for _ in 0..at_once {
            let calls = Arc::clone(&calls);
            callers.spawn(async move {
                let mut latencies = Vec::new();
                loop {
                    let call = calls.lock().unwrap_or_else(PoisonError::into_inner).pop();
                    let Some(call) = call else { return Ok::<_, String>(latencies) };
                    let sent = Instant::now();
                    call.goes_well().await?;
                    latencies.push(sent.elapsed());
                }
            });
        }
        let mut latencies = Vec::with_capacity(count);
        while let Some(done) = callers.join_next().await {
            latencies.extend(done.map_err(|error| error.to_string())??);
        }
        let answered = begun.elapsed();
        idle().await;
        let done = begun.elapsed();
        latencies.sort_unstable();
        Ok(Load {
            count,
            answered,
            done,
            p50: percentile(&latencies, 500).unwrap_or_default(),
            p99: percentile(&latencies, 990).unwrap_or_default(),
            cpu: self.cpu()?.saturating_sub(cpu),
            own_cpu: process::cpu_ever(std::process::id())?.saturating_sub(own_cpu),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A laptop; it ends with this.
pub struct Laptop(Server);

impl Laptop {
    /// Starts the laptop `roster` of the release binaries, with its state in `db`, and without limits.
    pub async fn start(binaries: &Path, db: &Path) -> Result<Self, String> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|free| free.local_addr());
        let port = port.map_err(|error| error.to_string())?.port();
        let binary = binaries.join("roster");
        let mut command = Command::new(&binary);
        command
            .args(["--no-demo", "--no-limits", "--no-console", "--port", &port.to_string(), "--db"])
            .arg(db);
        let log = File::create(db.with_extension("log")).map_err(|error| error.to_string())?;
        let child = command.stdin(Stdio::null()).stderr(Stdio::null()).stdout(log).spawn();
        let child = child.map_err(|error| format!("{} does not start: {error}", binary.display()))?;
        let laptop = Self(Server::new(child, port));
        let deadline = Instant::now() + READY_MAX;
        while std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if Instant::now() > deadline {
                return Err(format!("{} does not listen", binary.display()));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(laptop)
    }

    /// Somebody who is not signed in.
    pub fn visitor(&self) -> Person {
        self.0.visitor()
    }

    /// Resolves once nothing is left to do.
    pub async fn idle(&self) {
        self.visitor().gets("/_dev/idle").await.is(200);
    }

    /// Its memory.
    pub fn memory(&self) -> Result<Memory, String> {
        self.0.memory()
    }

    /// Whether the table breaks no rule.
    pub async fn check(&self) -> Result<(), String> {
        let check = self.visitor().gets("/_dev/check").await.is(200);
        let violations = check["violations"].as_array().map_or(usize::MAX, Vec::len);
        if violations == 0 { Ok(()) } else { Err(format!("the rules are broken: {check}")) }
    }

    /// Everybody of these names, signed in.
    pub async fn people(&self, names: &[String]) -> Vec<Person> {
        let visitor = self.visitor();
        let mut people = Vec::with_capacity(names.len());
        for name in names {
            people.push(visitor.signs_in_as(name).await);
        }
        people
    }

    /// An organization of `owner`'s, where all of these are invited; their tokens, in the order of their names.
    pub async fn invites(&self, owner: &Person, names: &[String]) -> (Organization, Vec<Value>) {
        let created = owner.creates("Acme").await.is(201);
        let organization = Organization::new(created["id"].as_str().unwrap_or_default());
        let mut invitations = Vec::with_capacity(names.len());
        for fifty in names.chunks(50) {
            let emails: Vec<_> = fifty.iter().map(|name| format!("{name}@example.com")).collect();
            let emails: Vec<_> = emails.iter().map(String::as_str).collect();
            let answer = owner.invites(&organization, &emails, "member").await.is(200);
            let results = answer["results"].as_array().into_iter().flatten();
            invitations.extend(results.map(|result| result["invitation"].clone()));
        }
        self.idle().await;
        (organization, invitations)
    }

    /// The newest token of each of these names.
    pub async fn tokens(&self, names: &[String]) -> Vec<String> {
        let visitor = self.visitor();
        let mut tokens = Vec::with_capacity(names.len());
        for name in names {
            let mails = visitor.gets(&format!("/_dev/mail?to={name}@example.com")).await.is(200);
            // The newest is the first.
            tokens.push(mails["items"][0]["token"].as_str().unwrap_or_default().to_owned());
        }
        tokens
    }

    /// An organization of `owner`'s with all of these as members.
    pub async fn joins(&self, owner: &Person, names: &[String]) -> Result<Organization, String> {
        let (organization, _) = self.invites(owner, names).await;
        let accepts = accepting(&self.people(names).await, &self.tokens(names).await);
        self.load(accepts, 8).await?;
        Ok(organization)
    }

    /// Makes the calls, `at_once` of them at any time; every one has to be answered well, and what follows is waited for.
    pub async fn load(&self, calls: Vec<Call>, at_once: usize) -> Result<Load, String> {
        self.0.load(calls, at_once, async || self.idle().await).await
    }
}

/// One call.
pub struct Call {
    person: Person,
    method: Method,
    path: String,
    body: Option<String>,
    /// Which page of a browser calls, with which cookie.
    browser: Option<(String, String)>,
}

impl Call {
    /// By this person.
    pub fn new(person: &Person, method: Method, path: String, body: Option<&Value>) -> Self {
        Self { person: person.clone(), method, path, body: body.map(Value::to_string), browser: None }
    }

    /// The same from a page of `origin` that the browser has this cookie for.
    pub fn in_browser(mut self, origin: &str, cookie: &str) -> Self {
        self.browser = Some((origin.to_owned(), cookie.to_owned()));
        self
    }

    /// Makes it; what is answered, well.
    pub async fn goes_well(self) -> Result<Value, String> {
        let mut request = Request::builder().method(self.method).uri(&self.path);
        if self.body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some((origin, cookie)) = self.browser {
            request = request.header(header::ORIGIN, origin).header(header::COOKIE, cookie);
        }
        let request = request.body(Body::from(self.body.unwrap_or_default()));
        let answer = self.person.sends(request.map_err(|error| error.to_string())?).await;
        if answer.status.is_success() {
            return Ok(answer.body);
        }
        Err(format!("{} is answered {}: {}", self.path, answer.status, answer.text))
    }
}

/// What many calls took.
pub struct Load {
    count: usize,
    /// Until the last answer.
    pub answered: Duration,
    /// Until everything that follows was done, too.
    pub done: Duration,
    /// Half of the answers took at most that long.
    pub p50: Duration,
    /// All but one in a hundred took at most that long.
    pub p99: Duration,
    /// The laptop's processor time, with what follows.
    cpu: Duration,
    /// The caller's.
    own_cpu: Duration,
}

impl Load {
    /// Answers a second.
    pub fn rate(&self) -> f64 {
        f64::from(u32::try_from(self.count).unwrap_or(u32::MAX)) / self.answered.as_secs_f64()
    }

    /// What is done a second: calls, with all that follows their answers.
    pub fn done_rate(&self) -> f64 {
        self.rate() * self.answered.as_secs_f64() / self.done.as_secs_f64()
    }

    /// The whole process's time for one call, with all that follows its answer.
    pub fn cpu(&self) -> Duration {
        self.cpu / u32::try_from(self.count).unwrap_or(u32::MAX)
    }

    /// The caller's processor time for one call.
    pub fn own_cpu(&self) -> Duration {
        self.own_cpu / u32::try_from(self.count).unwrap_or(u32::MAX)
    }
}

/// Loads of each kind, and of how many callers at once: a table.
pub fn table(rows: &[(&str, usize, Load)]) -> String {
    let mut text = "\
| action | at once | answers a second | p50, ms | p99, ms | CPU each, ms | done, a second | the caller's CPU each, ms |\n\
| --- | --- | --- | --- | --- | --- | --- | --- |\n"
        .to_owned();
    for (what, at_once, load) in rows {
        let (rate, done) = (load.rate(), load.done_rate());
        let _ = writeln!(
            text,
            "| {what} | {at_once} | {rate:.0} | {} | {} | {} | {done:.0} | {} |",
            ms(load.p50),
            ms(load.p99),
            ms(load.cpu()),
            ms(load.own_cpu()),
        );
    }
    text
}

/// The best of what was measured of one kind, at whatever number of callers.
#[derive(Debug, Clone, Copy)]
pub struct Best {
    /// What is done a second, with all that follows the answers.
    pub done_rate: f64,
    /// The whole server's processor time for one call.
    pub cpu: Duration,
}

/// The best of each kind.
pub fn best(rows: &[(&'static str, usize, Load)]) -> BTreeMap<&'static str, Best> {
    let mut all: BTreeMap<_, Best> = BTreeMap::new();
    for (what, _, load) in rows {
        let (done_rate, cpu) = (load.done_rate(), load.cpu());
        let best = all.entry(*what).or_insert(Best { done_rate, cpu });
        *best = Best { done_rate: best.done_rate.max(done_rate), cpu: best.cpu.min(cpu) };
    }
    all
}

/// `count` names that nobody else has.
pub fn names(what: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{what}-{number:03}")).collect()
}

/// Everybody accepts by their token.
pub fn accepting(people: &[Person], tokens: &[String]) -> Vec<Call> {
    let calls = people.iter().zip(tokens).map(|(person, token)| {
        let path = "/v1/invitations/accept".to_owned();
        Call::new(person, Method::POST, path, Some(&json!({ "token": token })))
    });
    calls.collect()
}

/// `owner` invites each of these names by a call of its own.
pub fn inviting(owner: &Person, organization: &Organization, names: &[String]) -> Vec<Call> {
    let calls = names.iter().map(|name| {
        let body = json!({ "emails": [format!("{name}@example.com")], "role": "member" });
        Call::new(owner, Method::POST, organization.path("/invitations"), Some(&body))
    });
    calls.collect()
}

/// `owner` makes each of these members an owner.
pub fn editing(owner: &Person, organization: &Organization, names: &[String]) -> Vec<Call> {
    let body = json!({ "role": "owner" });
    let path = |name| organization.path(&format!("/members/{name}"));
    names.iter().map(|name| Call::new(owner, Method::PATCH, path(name), Some(&body))).collect()
}

/// `owner` removes each of these members.
pub fn removing(owner: &Person, organization: &Organization, names: &[String]) -> Vec<Call> {
    let path = |name| organization.path(&format!("/members/{name}"));
    names.iter().map(|name| Call::new(owner, Method::DELETE, path(name), None)).collect()
}

/// The list of members, again and again.
pub fn listing(member: &Person, organization: &Organization, limit: usize, count: usize) -> Vec<Call> {
    let path = organization.path(&format!("/members?limit={limit}"));
    (0..count).map(|_| Call::new(member, Method::GET, path.clone(), None)).collect()
}
