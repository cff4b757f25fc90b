//! Load tests of a server process: concurrent calls, and their latencies and CPU times.

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

/// The numbers of concurrent callers.
pub const CONCURRENCY: [usize; 3] = [1, 8, 64];
/// The number of calls of each kind, for each number of callers.
pub const CALLS: usize = 300;
/// The number of lists of all members.
pub const LONG_LISTS: usize = 60;

/// The timeout for the start of the server, also with a large table.
const READY_TIMEOUT: Duration = Duration::from_mins(2);
/// The time between two checks whether the server listens.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A server process. It is killed on drop.
pub struct Server {
    child: Child,
    url: String,
}

impl Server {
    /// The server process that listens on this port.
    pub fn new(child: Child, port: u16) -> Self {
        Self { child, url: format!("http://127.0.0.1:{port}") }
    }

    /// An HTTP client that is not signed in.
    pub fn anonymous(&self) -> Person {
        Person::at(&self.url)
    }

    /// The CPU time of all threads so far, with a resolution of 10 ms.
    fn cpu(&self) -> Result<Duration, String> {
        process::total_cpu(self.child.id())
    }

    /// The memory of the process.
    pub fn memory(&self) -> Result<Memory, String> {
        process::memory(self.child.id())
    }

    /// Makes the calls with `concurrency` concurrent callers. Fails if a call does not succeed. `idle` waits until the
    /// server has finished the background work that follows the calls.
    pub async fn load(
        &self,
        calls: Vec<Call>,
        concurrency: usize,
        idle: impl AsyncFn(),
    ) -> Result<Load, String> {
        idle().await;
        let (cpu, caller_cpu, started_at) =
            (self.cpu()?, process::total_cpu(std::process::id())?, Instant::now());
        let count = calls.len();
        let calls = Arc::new(Mutex::new(calls));
        let mut callers = tokio::task::JoinSet::new();
        for _ in 0..concurrency {
            let calls = Arc::clone(&calls);
            callers.spawn(async move {
                let mut latencies = Vec::new();
                loop {
                    let call = calls.lock().unwrap_or_else(PoisonError::into_inner).pop();
                    let Some(call) = call else { return Ok::<_, String>(latencies) };
                    let sent = Instant::now();
                    call.send_expecting_success().await?;
                    latencies.push(sent.elapsed());
                }
            });
        }
        let mut latencies = Vec::with_capacity(count);
        while let Some(done) = callers.join_next().await {
            latencies.extend(done.map_err(|error| error.to_string())??);
        }
        let answered = started_at.elapsed();
        idle().await;
        let done = started_at.elapsed();
        latencies.sort_unstable();
        Ok(Load {
            count,
            answered,
            done,
            p50: percentile(&latencies, 500).unwrap_or_default(),
            p99: percentile(&latencies, 990).unwrap_or_default(),
            cpu: self.cpu()?.saturating_sub(cpu),
            caller_cpu: process::total_cpu(std::process::id())?.saturating_sub(caller_cpu),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A laptop (the local server started by `cargo run`) in its own process, which is killed on drop.
pub struct Laptop(Server);

impl Laptop {
    /// Starts the binary `roster` with the database file `db` and without limits.
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
        let deadline = Instant::now() + READY_TIMEOUT;
        while std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if Instant::now() > deadline {
                return Err(format!("{} does not listen", binary.display()));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        Ok(laptop)
    }

    /// An HTTP client that is not signed in.
    pub fn anonymous(&self) -> Person {
        self.0.anonymous()
    }

    /// Waits until the laptop has no background work left.
    pub async fn idle(&self) {
        self.anonymous().gets("/_dev/idle").await.is(200);
    }

    /// The memory of the process.
    pub fn memory(&self) -> Result<Memory, String> {
        self.0.memory()
    }

    /// Checks that the table breaks no rule.
    pub async fn check(&self) -> Result<(), String> {
        let check = self.anonymous().gets("/_dev/check").await.is(200);
        let violations = check["violations"].as_array().map_or(usize::MAX, Vec::len);
        if violations == 0 { Ok(()) } else { Err(format!("the rules are broken: {check}")) }
    }

    /// Signs in as all of these users.
    pub async fn sign_in_all(&self, names: &[String]) -> Vec<Person> {
        let anonymous = self.anonymous();
        let mut people = Vec::with_capacity(names.len());
        for name in names {
            people.push(anonymous.signs_in_as(name).await);
        }
        people
    }

    /// Creates an organization and invites all of these users. Returns the organization and the invitations in the
    /// order of `names`.
    pub async fn create_with_invitations(
        &self,
        owner: &Person,
        names: &[String],
    ) -> (Organization, Vec<Value>) {
        let created = owner.creates("Acme").await.is(201);
        let organization = Organization::new(created["id"].as_str().unwrap_or_default());
        let mut invitations = Vec::with_capacity(names.len());
        for chunk in names.chunks(50) {
            let emails: Vec<_> = chunk.iter().map(|name| format!("{name}@example.com")).collect();
            let emails: Vec<_> = emails.iter().map(String::as_str).collect();
            let response = owner.invites(&organization, &emails, "member").await.is(200);
            let results = response["results"].as_array().into_iter().flatten();
            invitations.extend(results.map(|result| result["invitation"].clone()));
        }
        self.idle().await;
        (organization, invitations)
    }

    /// The newest token of each of these users.
    pub async fn newest_tokens(&self, names: &[String]) -> Vec<String> {
        let anonymous = self.anonymous();
        let mut tokens = Vec::with_capacity(names.len());
        for name in names {
            let mails = anonymous.gets(&format!("/_dev/mail?to={name}@example.com")).await.is(200);
            // The newest mail is the first.
            tokens.push(mails["items"][0]["token"].as_str().unwrap_or_default().to_owned());
        }
        tokens
    }

    /// Creates an organization with all of these users as members.
    pub async fn create_with_members(
        &self,
        owner: &Person,
        names: &[String],
    ) -> Result<Organization, String> {
        let (organization, _) = self.create_with_invitations(owner, names).await;
        let accepts = accept_calls(&self.sign_in_all(names).await, &self.newest_tokens(names).await);
        self.load(accepts, 8).await?;
        Ok(organization)
    }

    /// Makes the calls with `concurrency` concurrent callers, and waits for the background work that follows them.
    /// Fails if a call does not succeed.
    pub async fn load(&self, calls: Vec<Call>, concurrency: usize) -> Result<Load, String> {
        self.0.load(calls, concurrency, async || self.idle().await).await
    }
}

/// One call.
pub struct Call {
    person: Person,
    method: Method,
    path: String,
    body: Option<String>,
    /// The `origin` and `cookie` headers of a call from a browser.
    browser: Option<(String, String)>,
}

impl Call {
    /// A call as this user.
    pub fn new(person: &Person, method: Method, path: String, body: Option<&Value>) -> Self {
        Self { person: person.clone(), method, path, body: body.map(Value::to_string), browser: None }
    }

    /// Adds the headers of a browser: `origin` and `cookie`.
    pub fn in_browser(mut self, origin: &str, cookie: &str) -> Self {
        self.browser = Some((origin.to_owned(), cookie.to_owned()));
        self
    }

    /// Makes the call. Returns the body of the response, or an error if the status is not 2xx.
    pub async fn send_expecting_success(self) -> Result<Value, String> {
        let mut request = Request::builder().method(self.method).uri(&self.path);
        if self.body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some((origin, cookie)) = self.browser {
            request = request.header(header::ORIGIN, origin).header(header::COOKIE, cookie);
        }
        let request = request.body(Body::from(self.body.unwrap_or_default()));
        let response = self.person.sends(request.map_err(|error| error.to_string())?).await;
        if response.status.is_success() {
            return Ok(response.body);
        }
        Err(format!("{}: {}: {}", self.path, response.status, response.text))
    }
}

/// The measurements of many calls.
pub struct Load {
    count: usize,
    /// The time until the last response.
    pub answered: Duration,
    /// The time until the background work was finished, too.
    pub done: Duration,
    /// The median of the response times.
    pub p50: Duration,
    /// The 99th percentile of the response times.
    pub p99: Duration,
    /// The server's CPU time, including the background work.
    cpu: Duration,
    /// The CPU time of the callers.
    caller_cpu: Duration,
}

impl Load {
    /// Responses per second.
    pub fn response_rate(&self) -> f64 {
        f64::from(u32::try_from(self.count).unwrap_or(u32::MAX)) / self.answered.as_secs_f64()
    }

    /// Calls per second, including the background work that follows the responses.
    pub fn completion_rate(&self) -> f64 {
        self.response_rate() * self.answered.as_secs_f64() / self.done.as_secs_f64()
    }

    /// The server's CPU time per call, including the background work that follows the response.
    pub fn cpu(&self) -> Duration {
        self.cpu / u32::try_from(self.count).unwrap_or(u32::MAX)
    }

    /// The callers' CPU time per call.
    pub fn caller_cpu(&self) -> Duration {
        self.caller_cpu / u32::try_from(self.count).unwrap_or(u32::MAX)
    }
}

/// The measurements as a Markdown table. Each row has a kind of call and a number of concurrent callers.
pub fn table(rows: &[(&str, usize, Load)]) -> String {
    let mut text = "\
| action | callers | responses/s | p50, ms | p99, ms | CPU per call, ms | completed/s | callers' CPU per call, ms |\n\
| --- | --- | --- | --- | --- | --- | --- | --- |\n"
        .to_owned();
    for (name, concurrency, load) in rows {
        let (rate, done) = (load.response_rate(), load.completion_rate());
        let _ = writeln!(
            text,
            "| {name} | {concurrency} | {rate:.0} | {} | {} | {} | {done:.0} | {} |",
            ms(load.p50),
            ms(load.p99),
            ms(load.cpu()),
            ms(load.caller_cpu()),
        );
    }
    text
}

/// The best values of one kind of call over all numbers of callers.
#[derive(Debug, Clone, Copy)]
pub struct Best {
    /// Calls per second, including the background work that follows the responses.
    pub completion_rate: f64,
    /// The server's CPU time per call.
    pub cpu: Duration,
}

/// The best values of each kind of call.
pub fn best(rows: &[(&'static str, usize, Load)]) -> BTreeMap<&'static str, Best> {
    let mut all: BTreeMap<_, Best> = BTreeMap::new();
    for (name, _, load) in rows {
        let (completion_rate, cpu) = (load.completion_rate(), load.cpu());
        let best = all.entry(*name).or_insert(Best { completion_rate, cpu });
        *best = Best { completion_rate: best.completion_rate.max(completion_rate), cpu: best.cpu.min(cpu) };
    }
    all
}

/// `count` user names that begin with `prefix`, which must be unique.
pub fn unique_names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}-{number:03}")).collect()
}

/// Calls by which each person accepts with the token at the same position.
pub fn accept_calls(people: &[Person], tokens: &[String]) -> Vec<Call> {
    let calls = people.iter().zip(tokens).map(|(person, token)| {
        let path = "/v1/invitations/accept".to_owned();
        Call::new(person, Method::POST, path, Some(&json!({ "token": token })))
    });
    calls.collect()
}

/// Calls by which `owner` invites each of these users, one user per call.
pub fn invite_calls(owner: &Person, organization: &Organization, names: &[String]) -> Vec<Call> {
    let calls = names.iter().map(|name| {
        let body = json!({ "emails": [format!("{name}@example.com")], "role": "member" });
        Call::new(owner, Method::POST, organization.path("/invitations"), Some(&body))
    });
    calls.collect()
}

/// Calls by which `owner` makes each of these members an owner.
pub fn role_edit_calls(owner: &Person, organization: &Organization, names: &[String]) -> Vec<Call> {
    let body = json!({ "role": "owner" });
    let path = |name| organization.path(&format!("/members/{name}"));
    names.iter().map(|name| Call::new(owner, Method::PATCH, path(name), Some(&body))).collect()
}

/// Calls by which `owner` removes each of these members.
pub fn remove_calls(owner: &Person, organization: &Organization, names: &[String]) -> Vec<Call> {
    let path = |name| organization.path(&format!("/members/{name}"));
    names.iter().map(|name| Call::new(owner, Method::DELETE, path(name), None)).collect()
}

/// `count` calls by which `member` lists the members.
pub fn list_calls(member: &Person, organization: &Organization, limit: usize, count: usize) -> Vec<Call> {
    let path = organization.path(&format!("/members?limit={limit}"));
    (0..count).map(|_| Call::new(member, Method::GET, path.clone(), None)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(answered: u64, done: u64) -> Load {
        Load {
            count: 100,
            answered: Duration::from_secs(answered),
            done: Duration::from_secs(done),
            p50: Duration::ZERO,
            p99: Duration::ZERO,
            cpu: Duration::from_secs(1),
            caller_cpu: Duration::ZERO,
        }
    }

    fn is_about(rate: f64, expected: f64) -> bool {
        (rate - expected).abs() < 0.001
    }

    #[test]
    fn the_comparison_counts_calls_whose_background_work_is_finished() {
        let quick_answers = load(1, 10);
        assert!(is_about(quick_answers.response_rate(), 100.0));
        assert!(is_about(quick_answers.completion_rate(), 10.0));
        let rows = [("invite", 1, quick_answers), ("invite", 8, load(4, 5))];
        assert!(is_about(best(&rows)["invite"].completion_rate, 20.0));
    }
}
