//! Throughput and latency of the whole laptop, over HTTP and with its state in a file.

use std::fmt::Write as _;
use std::path::Path;

use http::Method;
use serde_json::Value;

use crate::better_auth::{self, Figures};
use crate::load::{
    self, AT_ONCE, CALLS, Call, LONG_LISTS, Laptop, Load, accepting, editing, inviting, listing, names,
    removing,
};
use crate::page::Bounds;
use crate::process::{mib, ms};

/// Roster's laptop, at least so many times as many.
const PEER_TIMES_MIN: f64 = 2.0;
const PEAK_MAX: u64 = 60 * 1024 * 1024;

/// Measures.
pub async fn measure(binaries: &Path) -> Result<String, String> {
    let peer = better_auth::figures().await?;
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let laptop = Laptop::start(binaries, &directory.path().join("roster.db")).await?;
    let mut rows = Vec::new();
    for at_once in AT_ONCE {
        println!("{at_once} at once");
        for (what, load) in loads(&laptop, at_once).await? {
            rows.push((what, at_once, load));
        }
    }
    laptop.check().await?;
    page(&rows, laptop.memory()?.peak, peer)
}

async fn loads(laptop: &Laptop, at_once: usize) -> Result<Vec<(&'static str, Load)>, String> {
    let ada = laptop.visitor().signs_in_as("ada").await;
    let of = |what: &str, count| names(&format!("{what}-{at_once}"), count);
    let mut loads = Vec::new();

    let (invited, accepting_names) = (of("invited", CALLS), of("accepting", CALLS));
    let (organization, _) = laptop.invites(&ada, &[]).await;
    loads.push(("invite", laptop.load(inviting(&ada, &organization, &invited), at_once).await?));
    let found = ada.reads_all(&organization.path("/invitations?status=pending"), 1000).await;
    let each = |method: Method, below: &str| {
        let ids = found.iter().filter_map(|invitation: &Value| invitation["id"].as_str());
        let path = |id| organization.path(&format!("/invitations/{id}{below}"));
        ids.map(|id| Call::new(&ada, method.clone(), path(id), None)).collect::<Vec<_>>()
    };
    loads.push(("resend", laptop.load(each(Method::POST, "/resend"), at_once).await?));
    loads.push(("revoke", laptop.load(each(Method::DELETE, ""), at_once).await?));

    let (organization, _) = laptop.invites(&ada, &accepting_names).await;
    let people = laptop.people(&accepting_names).await;
    let tokens = laptop.tokens(&accepting_names).await;
    loads.push(("accept", laptop.load(accepting(&people, &tokens), at_once).await?));
    loads.push(("role-edit", laptop.load(editing(&ada, &organization, &accepting_names), at_once).await?));
    loads.push(("list of 50", laptop.load(listing(&ada, &organization, 50, CALLS), at_once).await?));
    loads.push(("remove", laptop.load(removing(&ada, &organization, &accepting_names), at_once).await?));

    let organization = laptop.joins(&ada, &of("member", 999)).await?;
    let lists = listing(&ada, &organization, 1000, LONG_LISTS);
    loads.push(("list of all 1,000", laptop.load(lists, at_once).await?));
    Ok(loads)
}

fn page(rows: &[(&'static str, usize, Load)], peak: u64, peer: &Figures) -> Result<String, String> {
    let mut text = format!(
        "The release build of `roster --no-demo --no-limits --no-console --db FILE`: gateway, functions, engine, stream, mailbox and \
         scheduler in one process; {CALLS} calls of each kind ({LONG_LISTS} of the long list), every one answered well. The callers are \
         on the same processors, and take what the last column says. Processor time is the whole laptop's, with all that follows the \
         answer. Compared is finished work: what is *done* a second, and the processor time of one whole process and of the other. \
         Roster's has rendered and sent each mail and has set, moved or deleted a schedule by then; the peer sends no mail, and sets no \
         timer.\n\n{}",
        load::table(rows),
    );
    let mut bounds = Bounds::new();
    for (action, best) in load::best(rows) {
        let theirs = peer.of(action)?;
        let times = best.done_rate / theirs.done_rate;
        bounds.add(
            format!("{action}: at least twice the peer's {:.0} done a second", theirs.done_rate),
            format!("{:.0}, {times:.1} times", best.done_rate),
            times >= PEER_TIMES_MIN,
        );
        bounds.add(
            format!("{action}: no more than the peer's {} ms CPU of the whole process", ms(theirs.cpu)),
            format!("{} ms", ms(best.cpu)),
            best.cpu <= theirs.cpu,
        );
    }
    bounds.add("at most 60 MiB resident at any time", format!("{} MiB", mib(peak)), peak <= PEAK_MAX);
    write!(text, "{bounds}").map_err(|error| error.to_string())?;
    Ok(text)
}
