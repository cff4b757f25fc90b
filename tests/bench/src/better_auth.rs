//! The same calls of Better Auth's organization plugin on `SQLite`, over HTTP, by the same callers as of the laptop.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;

use harness::Person;
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::load::{self, AT_ONCE, Best, CALLS, Call, LONG_LISTS, Load, Server};
use crate::peers;
use crate::process::mib;

/// Everybody that there is: an owner, and a thousand members with them.
const PEOPLE: usize = 1_000;
/// So many of them are at it at once when it is only to have them there.
const FILLING: usize = 8;
const ORIGIN: &str = "http://127.0.0.1";
const CALLED: &str = "/api/auth/organization";

/// What was measured of it.
pub struct Figures {
    what: String,
    rows: Vec<(&'static str, usize, Load)>,
    best: BTreeMap<&'static str, Best>,
    /// Bytes that it had resident at most.
    peak: u64,
}

impl Figures {
    /// The best that it did at calls of this kind.
    pub fn of(&self, action: &str) -> Result<Best, String> {
        self.best.get(action).copied().ok_or_else(|| format!("{} knows no {action}", self.what))
    }
}

/// Its figures: measured once in a run, since all sections compare with the same.
pub async fn figures() -> Result<&'static Figures, String> {
    static FIGURES: OnceCell<Figures> = OnceCell::const_new();
    FIGURES.get_or_try_init(measured).await
}

/// Measures.
pub async fn measure() -> Result<String, String> {
    let Figures { what, rows, peak, .. } = figures().await?;
    Ok(format!(
        "{what}, with its organization plugin on `SQLite` in a file (better-sqlite3, write-ahead log, `synchronous` NORMAL, as Roster's \
         laptop has it), in production mode, behind Node's HTTP server; with its cache of sessions in cookies, without its rate limits, and without sending any mail or setting any timer. {CALLS} \
         calls of each kind ({LONG_LISTS} of the long list), every one answered well, by the same callers as of Roster's laptop below. \
         What is compared with it takes its best figure, at whatever number of callers.\n\n{}\n\
         It had {} MiB resident at most.\n",
        load::table(rows),
        mib(*peak),
    ))
}

/// Who is there, as the server says in its first line.
#[derive(Deserialize)]
struct Stage {
    port: u16,
    organization: String,
    /// The owner's first.
    cookies: Vec<String>,
}

/// Better Auth, serving.
struct Peer {
    server: Server,
    visitor: Person,
    organization: String,
    cookies: Vec<String>,
}

impl Peer {
    fn start(mut command: std::process::Command, db: &Path) -> Result<Self, String> {
        command.arg(db).arg(PEOPLE.to_string());
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = child.map_err(|error| format!("Better Auth does not start: {error}"))?;
        let mut line = String::new();
        let read = child.stdout.take().map(|stdout| BufReader::new(stdout).read_line(&mut line));
        let stage = read.ok_or("it says nothing")?.map_err(|error| error.to_string());
        let stage =
            stage.and_then(|_| serde_json::from_str::<Stage>(&line).map_err(|error| error.to_string()));
        // Whoever drops the server ends the process.
        let server = Server::new(child, stage.as_ref().map_or(0, |stage| stage.port));
        let Stage { organization, cookies, .. } =
            stage.map_err(|why| format!("Better Auth does not serve: {why}"))?;
        Ok(Self { visitor: server.visitor(), server, organization, cookies })
    }

    /// A call of the person with this number.
    fn call(&self, number: usize, method: Method, path: &str, body: Option<&Value>) -> Call {
        Call::new(&self.visitor, method, format!("{CALLED}{path}"), body)
            .in_browser(ORIGIN, &self.cookies[number])
    }

    /// The owner's call for each of the first `count` guests, about them.
    fn each(&self, path: &str, count: usize, body: impl Fn(usize) -> Value) -> Vec<Call> {
        (1..=count).map(|guest| self.call(0, Method::POST, path, Some(&body(guest)))).collect()
    }

    fn invites(&self, count: usize, resend: bool) -> Vec<Call> {
        self.each("/invite-member", count, |guest| {
            let mut body =
                json!({ "email": email(guest), "role": "member", "organizationId": self.organization });
            if resend {
                body["resend"] = true.into();
            }
            body
        })
    }

    fn lists(&self, limit: usize, count: usize) -> Vec<Call> {
        let path = format!("/list-members?organizationId={}&limit={limit}", self.organization);
        (0..count).map(|_| self.call(0, Method::GET, &path, None)).collect()
    }

    fn accepts(&self, count: usize, invitations: &BTreeMap<String, String>) -> Vec<Call> {
        let accept = |guest| {
            let body = json!({ "invitationId": invitations.get(&email(guest)) });
            self.call(guest, Method::POST, "/accept-invitation", Some(&body))
        };
        (1..=count).map(accept).collect()
    }

    /// The ids of pending invitations, by whom they are for.
    async fn pending(&self) -> Result<BTreeMap<String, String>, String> {
        let path = format!("/list-invitations?organizationId={}", self.organization);
        let all = self.call(0, Method::GET, &path, None).goes_well().await?;
        let pending = all.as_array().into_iter().flatten().filter(|one| one["status"] == "pending");
        Ok(pending.map(|one| (said(&one["email"]), said(&one["id"]))).collect())
    }

    /// The ids of memberships, by whose they are.
    async fn members(&self) -> Result<BTreeMap<String, String>, String> {
        let list = self.lists(PEOPLE, 1).pop().ok_or("nothing is called")?;
        let list = list.goes_well().await?;
        let members = list["members"].as_array().into_iter().flatten();
        Ok(members.map(|one| (said(&one["user"]["email"]), said(&one["id"]))).collect())
    }

    async fn load(&self, calls: Vec<Call>, at_once: usize) -> Result<Load, String> {
        self.server.load(calls, at_once, async || ()).await
    }

    /// Calls of each kind; when they are done, nobody but the owner is a member.
    async fn loads(&self, at_once: usize) -> Result<Vec<(&'static str, Load)>, String> {
        let mut loads = Vec::new();
        loads.push(("invite", self.load(self.invites(CALLS, false), at_once).await?));
        loads.push(("resend", self.load(self.invites(CALLS, true), at_once).await?));
        let pending = self.pending().await?;
        let cancels = self.each(
            "/cancel-invitation",
            CALLS,
            |guest| json!({ "invitationId": pending.get(&email(guest)) }),
        );
        loads.push(("revoke", self.load(cancels, at_once).await?));
        self.load(self.invites(CALLS, false), at_once).await?;
        let accepts = self.accepts(CALLS, &self.pending().await?);
        loads.push(("accept", self.load(accepts, at_once).await?));
        let members = self.members().await?;
        let edits = self.each("/update-member-role", CALLS, |guest| {
            json!({ "memberId": members.get(&email(guest)), "role": "owner", "organizationId": self.organization })
        });
        loads.push(("role-edit", self.load(edits, at_once).await?));
        loads.push(("list of 50", self.load(self.lists(50, CALLS), at_once).await?));
        let removes = self.each("/remove-member", CALLS, |guest| {
            json!({ "memberIdOrEmail": members.get(&email(guest)), "organizationId": self.organization })
        });
        loads.push(("remove", self.load(removes, at_once).await?));
        Ok(loads)
    }
}

async fn measured() -> Result<Figures, String> {
    let (what, command) = peers::better_auth()?;
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    println!("{what}");
    let peer = Peer::start(command, &directory.path().join("better-auth.db"))?;
    let mut rows = Vec::new();
    for at_once in AT_ONCE {
        println!("{at_once} at once");
        rows.extend(peer.loads(at_once).await?.into_iter().map(|(action, load)| (action, at_once, load)));
    }
    peer.load(peer.invites(PEOPLE - 1, false), FILLING).await?;
    peer.load(peer.accepts(PEOPLE - 1, &peer.pending().await?), FILLING).await?;
    if peer.members().await?.len() != PEOPLE {
        return Err(format!("Better Auth does not list {PEOPLE} members"));
    }
    for at_once in AT_ONCE {
        let load = peer.load(peer.lists(PEOPLE, LONG_LISTS), at_once).await?;
        rows.push(("list of all 1,000", at_once, load));
    }
    let peak = peer.server.memory()?.peak;
    Ok(Figures { what, best: load::best(&rows), rows, peak })
}

fn email(person: usize) -> String {
    format!("person-{person:04}@example.com")
}

fn said(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
