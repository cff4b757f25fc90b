//! Throughput and latency of the whole laptop (the local server started by `cargo run`), over HTTP, with a database
//! file.

use std::fmt::Write as _;
use std::path::Path;

use http::Method;
use serde_json::Value;

use crate::better_auth::{self, PeerResults};
use crate::load::{
    self, CALLS, CONCURRENCY, Call, LONG_LISTS, Laptop, Load, accept_calls, invite_calls, list_calls,
    remove_calls, role_edit_calls, unique_names,
};
use crate::page::Bounds;
use crate::process::{mib, ms};

/// The minimum throughput of the laptop as a multiple of the peer's.
const PEER_TIMES_MIN: f64 = 2.0;
const PEAK_MAX: u64 = 60 * 1024 * 1024;

/// Measures the section. Returns it as Markdown.
pub async fn measure(binaries: &Path) -> Result<String, String> {
    let peer = better_auth::results().await?;
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let laptop = Laptop::start(binaries, &directory.path().join("roster.db")).await?;
    let mut rows = Vec::new();
    for concurrency in CONCURRENCY {
        println!("callers: {concurrency}");
        for (action, load) in measure_loads(&laptop, concurrency).await? {
            rows.push((action, concurrency, load));
        }
    }
    laptop.check().await?;
    report(&rows, laptop.memory()?.peak, peer)
}

async fn measure_loads(laptop: &Laptop, concurrency: usize) -> Result<Vec<(&'static str, Load)>, String> {
    let ada = laptop.anonymous().signs_in_as("ada").await;
    let new_names = |action: &str, count| unique_names(&format!("{action}-{concurrency}"), count);
    let mut loads = Vec::new();

    let (invited, accepting_names) = (new_names("invited", CALLS), new_names("accepting", CALLS));
    let (organization, _) = laptop.create_with_invitations(&ada, &[]).await;
    loads.push(("invite", laptop.load(invite_calls(&ada, &organization, &invited), concurrency).await?));
    let pending = ada.reads_all(&organization.path("/invitations?status=pending"), 1000).await;
    let calls_for_pending = |method: Method, below: &str| {
        let ids = pending.iter().filter_map(|invitation: &Value| invitation["id"].as_str());
        let path = |id| organization.path(&format!("/invitations/{id}{below}"));
        ids.map(|id| Call::new(&ada, method.clone(), path(id), None)).collect::<Vec<_>>()
    };
    loads.push(("resend", laptop.load(calls_for_pending(Method::POST, "/resend"), concurrency).await?));
    loads.push(("revoke", laptop.load(calls_for_pending(Method::DELETE, ""), concurrency).await?));

    let (organization, _) = laptop.create_with_invitations(&ada, &accepting_names).await;
    let people = laptop.sign_in_all(&accepting_names).await;
    let tokens = laptop.newest_tokens(&accepting_names).await;
    loads.push(("accept", laptop.load(accept_calls(&people, &tokens), concurrency).await?));
    loads.push((
        "role-edit",
        laptop.load(role_edit_calls(&ada, &organization, &accepting_names), concurrency).await?,
    ));
    loads.push(("list of 50", laptop.load(list_calls(&ada, &organization, 50, CALLS), concurrency).await?));
    loads.push((
        "remove",
        laptop.load(remove_calls(&ada, &organization, &accepting_names), concurrency).await?,
    ));

    let organization = laptop.create_with_members(&ada, &new_names("member", 999)).await?;
    let lists = list_calls(&ada, &organization, 1000, LONG_LISTS);
    loads.push(("list of all 1,000", laptop.load(lists, concurrency).await?));
    Ok(loads)
}

fn report(rows: &[(&'static str, usize, Load)], peak: u64, peer: &PeerResults) -> Result<String, String> {
    let mut text = format!(
        "The release build of `roster --no-demo --no-limits --no-console --db FILE`: gateway, functions, \
         DynamoDB engine, stream, mailbox and scheduler in one process. {CALLS} calls of each kind \
         ({LONG_LISTS} of the long list). All calls succeed. The callers run on the same processors, and the \
         last column is their CPU time. *CPU per call* is the CPU time of the whole laptop, including the \
         background work that follows the response. *Completed/s* includes this background work, too. The \
         comparison with the peer uses these two columns. The background work of Roster renders and sends \
         each mail, and creates, updates or deletes a schedule. The peer sends no mail and sets no \
         timer.\n\n{}",
        load::table(rows),
    );
    let mut bounds = Bounds::new();
    for (action, best) in load::best(rows) {
        let theirs = peer.of(action)?;
        let times = best.completion_rate / theirs.completion_rate;
        bounds.add(
            format!("{action}: at least twice the peer's {:.0} completed/s", theirs.completion_rate),
            format!("{:.0}, {times:.1} times", best.completion_rate),
            times >= PEER_TIMES_MIN,
        );
        bounds.add(
            format!("{action}: at most the peer's {} ms CPU per call", ms(theirs.cpu)),
            format!("{} ms", ms(best.cpu)),
            best.cpu <= theirs.cpu,
        );
    }
    bounds.add("maximum resident memory: at most 60 MiB", format!("{} MiB", mib(peak)), peak <= PEAK_MAX);
    write!(text, "{bounds}").map_err(|error| error.to_string())?;
    Ok(text)
}
