//! Throughput and latency of the whole laptop, over HTTP and with its state in a file.

use std::fmt::Write as _;
use std::path::Path;

use http::Method;
use serde_json::Value;

use crate::load::{Call, Laptop, Load, accepting, editing, inviting, listing, names, removing};
use crate::process::{mib, ms};

/// Callers at once.
const AT_ONCE: [usize; 3] = [1, 8, 64];
/// Calls of each kind, at each of those.
const CALLS: usize = 300;
/// Of lists of all members there are fewer.
const LONG_LISTS: usize = 60;

/// What a peer's server does in a second at best: Better Auth 1.7 on `SQLite`, measured on a machine like the one that this
/// page was first made on.
const PEER_RATE: f64 = 170.0;
/// The same of its list of 1,000 members, which takes it 51 ms of a processor, had it two of them to itself.
const PEER_LONG_RATE: f64 = 2.0 / 0.051;
/// Roster's laptop, at least so many times as many.
const PEER_TIMES_MIN: f64 = 2.0;
const PEAK_MAX: u64 = 60 * 1024 * 1024;

/// Measures.
pub async fn measure(binaries: &Path) -> Result<String, String> {
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
    page(&rows, laptop.memory()?.peak)
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

fn page(rows: &[(&str, usize, Load)], peak: u64) -> Result<String, String> {
    let mut text = format!(
        "The release build of `roster --no-demo --no-limits --no-console --db FILE`: gateway, functions, engine, stream, mailbox and \
         scheduler in one process; {CALLS} calls of each kind ({LONG_LISTS} of the long list), every one answered well. The callers are \
         on the same processors, and take what the last column says. Processor time is the whole laptop's, with all that follows the \
         answer: mails, schedules.\n\n\
         | action | at once | answers a second | p50, ms | p99, ms | CPU each, ms | done, a second | the caller's CPU each, ms |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- |\n"
    );
    for (what, at_once, load) in rows {
        let rate = load.rate();
        let done = rate * load.answered.as_secs_f64() / load.done.as_secs_f64();
        writeln!(
            text,
            "| {what} | {at_once} | {rate:.0} | {} | {} | {} | {done:.0} | {} |",
            ms(load.p50),
            ms(load.p99),
            ms(load.cpu()),
            ms(load.own_cpu()),
        )
        .map_err(|error| error.to_string())?;
    }
    text.push_str("\n| bound | measured | kept |\n| --- | --- | --- |\n");
    let mut bound = |what: &str, measured: String, kept: bool| {
        let kept = if kept { "yes" } else { "**no**" };
        let _ = writeln!(text, "| {what} | {measured} | {kept} |");
    };
    let mut actions: Vec<_> = rows.iter().map(|(what, ..)| *what).collect();
    actions.dedup();
    actions.truncate(rows.len() / AT_ONCE.len());
    for action in actions {
        let of_action = rows.iter().filter(|(what, ..)| *what == action);
        let best = of_action.map(|(_, _, load)| load.rate()).fold(0.0, f64::max);
        let what = format!("{action}: at least twice a peer's {PEER_RATE} answers a second");
        bound(&what, format!("{best:.0}, {:.1} times", best / PEER_RATE), best >= PEER_TIMES_MIN * PEER_RATE);
    }
    let long = rows.iter().filter(|(what, ..)| *what == "list of all 1,000").map(|(_, _, load)| load.rate());
    let long = long.fold(0.0, f64::max);
    let what = "list of all 1,000: at least twice what a peer can do at 51 ms each, on two processors";
    bound(
        what,
        format!("{long:.0}, {:.1} times", long / PEER_LONG_RATE),
        long >= PEER_TIMES_MIN * PEER_LONG_RATE,
    );
    bound("at most 60 MiB resident at any time", format!("{} MiB", mib(peak)), peak <= PEAK_MAX);
    Ok(text)
}
