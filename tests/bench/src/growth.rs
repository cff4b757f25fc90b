//! The laptop in ever larger organizations and tables, and when everybody accepts at once.

use std::fmt::Write as _;
use std::path::Path;

use domain::Record;
use domain::{Policy, Role};
use harness::Fixtures;
use local::laptop::{Laptop as Filling, Options};

use crate::load::{Laptop, Load, accepting, editing, inviting, listing, names, removing};
use crate::process::{mib, ms};

/// Members of the organization that is looked at.
const MEMBERS: [usize; 3] = [1, 100, 790];
/// Other organizations in the table.
const ORGANIZATIONS: [usize; 3] = [1, 1_000, 100_000];
/// Calls of each kind, and callers at once.
const CALLS: usize = 200;
const AT_ONCE: usize = 8;
/// Who accept at once.
const STAMPEDE: usize = 999;

/// Measures.
pub async fn measure(binaries: &Path) -> Result<String, String> {
    let mut text = format!(
        "The laptop as above, {AT_ONCE} callers at once, {CALLS} calls of each kind: answers a second.\n\n\
         | members | other organizations | invite | accept | role-edit | list of 50 | remove | peak memory, MiB |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- |\n"
    );
    let by_members = MEMBERS.map(|members| (members, 1));
    let by_organizations = ORGANIZATIONS[1..].iter().map(|organizations| (1, *organizations));
    for (members, organizations) in by_members.into_iter().chain(by_organizations) {
        println!("{members} members, {organizations} organizations");
        let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
        let db = directory.path().join("roster.db");
        fill(&db, organizations).await?;
        let laptop = Laptop::start(binaries, &db).await?;
        let loads = loads(&laptop, members).await?;
        let rates: Vec<_> = loads.iter().map(|load| format!("{:.0}", load.rate())).collect();
        let (rates, peak) = (rates.join(" | "), mib(laptop.memory()?.peak));
        writeln!(text, "| {members} | {organizations} | {rates} | {peak} |")
            .map_err(|error| error.to_string())?;
    }
    text.push_str(&stampede(binaries).await?);
    Ok(text)
}

/// The calls of each kind, with so many members besides.
async fn loads(laptop: &Laptop, members: usize) -> Result<[Load; 5], String> {
    let ada = laptop.visitor().signs_in_as("ada").await;
    let organization = laptop.joins(&ada, &names("member", members - 1)).await?;
    let guests = names("guest", CALLS);
    let invite = laptop.load(inviting(&ada, &organization, &guests), AT_ONCE).await?;
    let (people, tokens) = (laptop.people(&guests).await, laptop.tokens(&guests).await);
    Ok([
        invite,
        laptop.load(accepting(&people, &tokens), AT_ONCE).await?,
        laptop.load(editing(&ada, &organization, &guests), AT_ONCE).await?,
        laptop.load(listing(&ada, &organization, 50, CALLS), AT_ONCE).await?,
        laptop.load(removing(&ada, &organization, &guests), AT_ONCE).await?,
    ])
}

/// Puts so many organizations, each with its founder and a member, into a laptop's file.
async fn fill(db: &Path, organizations: usize) -> Result<(), String> {
    /// So many are made on paper at a time.
    const BATCH: usize = 1_000;
    let options = Options { db: Some(db.to_owned()), ..Options::default() };
    let laptop = Filling::start(options, |_| {}).await.map_err(|error| error.to_string())?;
    for begun in (0..organizations).step_by(BATCH) {
        let mut fixtures = Fixtures::new(Policy::default(), domain::Clock::now(laptop.clock()));
        for number in begun..organizations.min(begun + BATCH) {
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

/// Everybody accepts at once, each by a connection of their own.
async fn stampede(binaries: &Path) -> Result<String, String> {
    println!("{STAMPEDE} accepts at once");
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let laptop = Laptop::start(binaries, &directory.path().join("roster.db")).await?;
    let ada = laptop.visitor().signs_in_as("ada").await;
    let guests = names("guest", STAMPEDE);
    let (organization, _) = laptop.invites(&ada, &guests).await;
    let (people, tokens) = (laptop.people(&guests).await, laptop.tokens(&guests).await);
    let load = laptop.load(accepting(&people, &tokens), STAMPEDE).await?;
    let (taken, free) = ada.counts_seats(&organization).await;
    laptop.check().await?;
    Ok(format!(
        "\n{STAMPEDE} accepts of one sender's invitations, all sent at once, are all answered well within {:.1} s (half of them within {} ms, \
         the last but ten within {} ms); {taken} seats are taken then, {free} free. The embedded engine does one transaction after the \
         other, so that nobody tries twice; what DynamoDB makes of it is below *Contention*.\n",
        load.answered.as_secs_f64(),
        ms(load.p50),
        ms(load.p99),
    ))
}
