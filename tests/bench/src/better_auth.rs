//! Measures Better Auth's organization plugin on `SQLite` over HTTP, with the same load test as the laptop (the local
//! server started by `cargo run`).

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;

use harness::Person;
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::load::{self, Best, CALLS, CONCURRENCY, Call, LONG_LISTS, Load, Server};
use crate::peers;
use crate::process::mib;

/// The number of users, including the owner.
const USERS: usize = 1_000;
/// The number of concurrent callers for calls that are not measured.
const SETUP_CONCURRENCY: usize = 8;
const ORIGIN: &str = "http://127.0.0.1";
const API_PATH: &str = "/api/auth/organization";

/// The results of Better Auth.
pub struct PeerResults {
    name: String,
    rows: Vec<(&'static str, usize, Load)>,
    best: BTreeMap<&'static str, Best>,
    /// The maximum resident memory in bytes.
    peak: u64,
}

impl PeerResults {
    /// The best values of this kind of call.
    pub fn of(&self, action: &str) -> Result<Best, String> {
        self.best.get(action).copied().ok_or_else(|| format!("{action} of {} was not measured", self.name))
    }
}

/// Returns the results. They are measured once per run, so all sections compare with the same values.
pub async fn results() -> Result<&'static PeerResults, String> {
    static RESULTS: OnceCell<PeerResults> = OnceCell::const_new();
    RESULTS.get_or_try_init(measure_all).await
}

/// Measures the section. Returns it as Markdown.
pub async fn measure() -> Result<String, String> {
    let PeerResults { name, rows, peak, .. } = results().await?;
    Ok(format!(
        "{name} with its organization plugin, in production mode, behind Node's HTTP server. The database is \
         `SQLite` in a file (better-sqlite3, write-ahead log, `synchronous` NORMAL, the same as in Roster's \
         laptop). Its session cache in cookies is on and its rate limits are off. It sends no mail and sets \
         no timer. {CALLS} calls of each kind ({LONG_LISTS} of the long list), made by the same load test as \
         for Roster's laptop below. All calls succeed. Comparisons use the best value of each column, over \
         all numbers of callers.\n\n{}\n\
         Maximum resident memory: {} MiB.\n",
        load::table(rows),
        mib(*peak),
    ))
}

/// The first line of the server's output.
#[derive(Deserialize)]
struct ServerInfo {
    port: u16,
    organization: String,
    /// The session cookies of the users. The first user is the owner.
    cookies: Vec<String>,
}

/// A running Better Auth server.
struct Peer {
    server: Server,
    anonymous: Person,
    organization: String,
    cookies: Vec<String>,
}

impl Peer {
    fn start(mut command: std::process::Command, db: &Path) -> Result<Self, String> {
        command.arg(db).arg(USERS.to_string());
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = child.map_err(|error| format!("Better Auth does not start: {error}"))?;
        let mut line = String::new();
        let read = child.stdout.take().map(|stdout| BufReader::new(stdout).read_line(&mut line));
        let info = read.ok_or("no output")?.map_err(|error| error.to_string());
        let info =
            info.and_then(|_| serde_json::from_str::<ServerInfo>(&line).map_err(|error| error.to_string()));
        // Dropping the server kills the process, also if the first line is invalid.
        let server = Server::new(child, info.as_ref().map_or(0, |info| info.port));
        let ServerInfo { organization, cookies, .. } =
            info.map_err(|error| format!("Better Auth does not serve: {error}"))?;
        Ok(Self { anonymous: server.anonymous(), server, organization, cookies })
    }

    /// A call by the user with this number.
    fn call(&self, number: usize, method: Method, path: &str, body: Option<&Value>) -> Call {
        Call::new(&self.anonymous, method, format!("{API_PATH}{path}"), body)
            .in_browser(ORIGIN, &self.cookies[number])
    }

    /// Calls by the owner, one for each of the first `count` users after the owner.
    fn owner_calls(&self, path: &str, count: usize, body: impl Fn(usize) -> Value) -> Vec<Call> {
        (1..=count).map(|guest| self.call(0, Method::POST, path, Some(&body(guest)))).collect()
    }

    fn invite_calls(&self, count: usize, resend: bool) -> Vec<Call> {
        self.owner_calls("/invite-member", count, |guest| {
            let mut body =
                json!({ "email": email(guest), "role": "member", "organizationId": self.organization });
            if resend {
                body["resend"] = true.into();
            }
            body
        })
    }

    fn list_calls(&self, limit: usize, count: usize) -> Vec<Call> {
        let path = format!("/list-members?organizationId={}&limit={limit}", self.organization);
        (0..count).map(|_| self.call(0, Method::GET, &path, None)).collect()
    }

    fn accept_calls(&self, count: usize, invitations: &BTreeMap<String, String>) -> Vec<Call> {
        let accept = |guest| {
            let body = json!({ "invitationId": invitations.get(&email(guest)) });
            self.call(guest, Method::POST, "/accept-invitation", Some(&body))
        };
        (1..=count).map(accept).collect()
    }

    /// The ids of the pending invitations by address.
    async fn pending_invitation_ids(&self) -> Result<BTreeMap<String, String>, String> {
        let path = format!("/list-invitations?organizationId={}", self.organization);
        let all = self.call(0, Method::GET, &path, None).send_expecting_success().await?;
        let pending = all.as_array().into_iter().flatten().filter(|one| one["status"] == "pending");
        Ok(pending.map(|one| (text(&one["email"]), text(&one["id"]))).collect())
    }

    /// The ids of the memberships by address.
    async fn member_ids(&self) -> Result<BTreeMap<String, String>, String> {
        let list = self.list_calls(USERS, 1).pop().ok_or("no call")?;
        let list = list.send_expecting_success().await?;
        let members = list["members"].as_array().into_iter().flatten();
        Ok(members.map(|one| (text(&one["user"]["email"]), text(&one["id"]))).collect())
    }

    async fn load(&self, calls: Vec<Call>, concurrency: usize) -> Result<Load, String> {
        self.server.load(calls, concurrency, async || ()).await
    }

    /// Measures calls of each kind. Afterwards only the owner is a member.
    async fn measure_loads(&self, concurrency: usize) -> Result<Vec<(&'static str, Load)>, String> {
        let mut loads = Vec::new();
        loads.push(("invite", self.load(self.invite_calls(CALLS, false), concurrency).await?));
        loads.push(("resend", self.load(self.invite_calls(CALLS, true), concurrency).await?));
        let pending = self.pending_invitation_ids().await?;
        let cancels = self.owner_calls(
            "/cancel-invitation",
            CALLS,
            |guest| json!({ "invitationId": pending.get(&email(guest)) }),
        );
        loads.push(("revoke", self.load(cancels, concurrency).await?));
        self.load(self.invite_calls(CALLS, false), concurrency).await?;
        let accepts = self.accept_calls(CALLS, &self.pending_invitation_ids().await?);
        loads.push(("accept", self.load(accepts, concurrency).await?));
        let members = self.member_ids().await?;
        let edits = self.owner_calls("/update-member-role", CALLS, |guest| {
            json!({ "memberId": members.get(&email(guest)), "role": "owner", "organizationId": self.organization })
        });
        loads.push(("role-edit", self.load(edits, concurrency).await?));
        loads.push(("list of 50", self.load(self.list_calls(50, CALLS), concurrency).await?));
        let removes = self.owner_calls("/remove-member", CALLS, |guest| {
            json!({ "memberIdOrEmail": members.get(&email(guest)), "organizationId": self.organization })
        });
        loads.push(("remove", self.load(removes, concurrency).await?));
        Ok(loads)
    }
}

async fn measure_all() -> Result<PeerResults, String> {
    let (name, command) = peers::better_auth()?;
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    println!("{name}");
    let peer = Peer::start(command, &directory.path().join("better-auth.db"))?;
    let mut rows = Vec::new();
    for concurrency in CONCURRENCY {
        println!("callers: {concurrency}");
        rows.extend(
            peer.measure_loads(concurrency)
                .await?
                .into_iter()
                .map(|(action, load)| (action, concurrency, load)),
        );
    }
    peer.load(peer.invite_calls(USERS - 1, false), SETUP_CONCURRENCY).await?;
    peer.load(peer.accept_calls(USERS - 1, &peer.pending_invitation_ids().await?), SETUP_CONCURRENCY).await?;
    if peer.member_ids().await?.len() != USERS {
        return Err(format!("Better Auth does not list {USERS} members"));
    }
    for concurrency in CONCURRENCY {
        let load = peer.load(peer.list_calls(USERS, LONG_LISTS), concurrency).await?;
        rows.push(("list of all 1,000", concurrency, load));
    }
    let peak = peer.server.memory()?.peak;
    Ok(PeerResults { name, best: load::best(&rows), rows, peak })
}

fn email(number: usize) -> String {
    format!("person-{number:04}@example.com")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
