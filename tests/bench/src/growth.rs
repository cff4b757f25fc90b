//! Throughput of the laptop (the local server started by `cargo run`) with larger organizations and tables, and with
//! simultaneous accepts.

use std::fmt::Write as _;
use std::path::Path;

use domain::Record;
use domain::{Policy, Role};
use harness::Fixtures;
use local::laptop::{Laptop as LocalLaptop, Options};

use crate::load::{
    Laptop, Load, accept_calls, invite_calls, list_calls, remove_calls, role_edit_calls, unique_names,
};
use crate::process::{mib, ms};

/// The numbers of members of the measured organization.
const MEMBERS: [usize; 3] = [1, 100, 790];
/// The numbers of other organizations in the table.
const ORGANIZATIONS: [usize; 3] = [1, 1_000, 100_000];
/// The number of calls of each kind.
const CALLS: usize = 200;
/// The number of concurrent callers.
const CONCURRENCY: usize = 8;
/// The number of simultaneous accepts.
const SIMULTANEOUS_ACCEPTS: usize = 999;

/// Measures the section. Returns it as Markdown.
pub async fn measure(binaries: &Path) -> Result<String, String> {
    let mut text = format!(
        "Responses per second of the laptop as above, with {CONCURRENCY} callers and {CALLS} calls of each kind.\n\n\
         | members | other organizations | invite | accept | role-edit | list of 50 | remove | peak memory, MiB |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- |\n"
    );
    let by_members = MEMBERS.map(|members| (members, 1));
    let by_organizations = ORGANIZATIONS[1..].iter().map(|organizations| (1, *organizations));
    for (members, organizations) in by_members.into_iter().chain(by_organizations) {
        println!("members: {members}, other organizations: {organizations}");
        let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
        let db = directory.path().join("roster.db");
        fill(&db, organizations).await?;
        let laptop = Laptop::start(binaries, &db).await?;
        let loads = measure_loads(&laptop, members).await?;
        let rates: Vec<_> = loads.iter().map(|load| format!("{:.0}", load.response_rate())).collect();
        let (rates, peak) = (rates.join(" | "), mib(laptop.memory()?.peak));
        writeln!(text, "| {members} | {organizations} | {rates} | {peak} |")
            .map_err(|error| error.to_string())?;
    }
    text.push_str(&simultaneous_accepts(binaries).await?);
    Ok(text)
}

/// Measures calls of each kind in an organization with this number of members.
async fn measure_loads(laptop: &Laptop, members: usize) -> Result<[Load; 5], String> {
    let ada = laptop.anonymous().signs_in_as("ada").await;
    let organization = laptop.create_with_members(&ada, &unique_names("member", members - 1)).await?;
    let guests = unique_names("guest", CALLS);
    let invite = laptop.load(invite_calls(&ada, &organization, &guests), CONCURRENCY).await?;
    let (people, tokens) = (laptop.sign_in_all(&guests).await, laptop.newest_tokens(&guests).await);
    Ok([
        invite,
        laptop.load(accept_calls(&people, &tokens), CONCURRENCY).await?,
        laptop.load(role_edit_calls(&ada, &organization, &guests), CONCURRENCY).await?,
        laptop.load(list_calls(&ada, &organization, 50, CALLS), CONCURRENCY).await?,
        laptop.load(remove_calls(&ada, &organization, &guests), CONCURRENCY).await?,
    ])
}

/// Writes this number of organizations, each with a founder and a member, to a database file of the laptop.
async fn fill(db: &Path, organizations: usize) -> Result<(), String> {
    /// The number of organizations that are created in memory at a time.
    const BATCH: usize = 1_000;
    let options = Options { db: Some(db.to_owned()), ..Options::default() };
    let laptop = LocalLaptop::start(options, |_| {}).await.map_err(|error| error.to_string())?;
    for first in (0..organizations).step_by(BATCH) {
        let mut fixtures = Fixtures::new(Policy::default(), domain::Clock::now(laptop.clock()));
        for number in first..organizations.min(first + BATCH) {
            let organization = fixtures.founds(&format!("founder-{number}"));
            fixtures.joins(
                &organization,
                &format!("founder-{number}"),
                &format!("member-{number}"),
                Role::Member,
            );
        }
        let records: Vec<Record> = fixtures.records();
        laptop.table().fill(&records).await.map_err(|error| error.to_string())?;
    }
    laptop.idle().await.map_err(|error| error.to_string())
}

/// Measures simultaneous accepts, each with its own connection.
async fn simultaneous_accepts(binaries: &Path) -> Result<String, String> {
    println!("{SIMULTANEOUS_ACCEPTS} simultaneous accepts");
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let laptop = Laptop::start(binaries, &directory.path().join("roster.db")).await?;
    let ada = laptop.anonymous().signs_in_as("ada").await;
    let guests = unique_names("guest", SIMULTANEOUS_ACCEPTS);
    let (organization, _) = laptop.create_with_invitations(&ada, &guests).await;
    let (people, tokens) = (laptop.sign_in_all(&guests).await, laptop.newest_tokens(&guests).await);
    let load = laptop.load(accept_calls(&people, &tokens), SIMULTANEOUS_ACCEPTS).await?;
    let (taken, free) = ada.counts_seats(&organization).await;
    laptop.check().await?;
    Ok(format!(
        "\n{SIMULTANEOUS_ACCEPTS} simultaneous accepts of one sender's invitations all succeed within {:.1} \
         s (p50 {} ms, p99 {} ms). Afterwards {taken} seats are taken and {free} are free. The embedded \
         engine executes transactions one after another, so no accept is retried. For DynamoDB see \
         *Contention*.\n",
        load.answered.as_secs_f64(),
        ms(load.p50),
        ms(load.p99),
    ))
}
