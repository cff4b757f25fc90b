//! `COSTS.md` says what each action costs, and it does.

use harness::costs::{measure, measure_growth, table};

const INTRODUCTION: &str = "\
# What each action costs\n\n\
Counted on the wire by `tests/harness/costs.rs`, with nobody else at the same items; held by `tests/scenarios/costs.rs`, which\n\
`ROSTER_COSTS=write` has write this page. Units are DynamoDB's: a transaction counts double, a condition check is a write.\n\
`preview`, `accept` and `decline` have KMS verify the link, `mail` has it made.\n";

#[tokio::test]
async fn the_page_of_costs_says_what_each_action_costs() {
    let (costs, growth) = tokio::join!(measure(), measure_growth());
    let page = format!(
        "{INTRODUCTION}\n{}\n## In organizations of 1, 100 and 990 members\n\n{}",
        table(&costs),
        table(&growth)
    );
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/COSTS.md");
    if std::env::var_os("ROSTER_COSTS").is_some_and(|what| what == "write") {
        std::fs::write(path, &page).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    if harness::is_elsewhere() {
        // Emulators agree about the requests, and not about what they cost.
        assert_eq!(requests(&page), requests(&committed));
        return;
    }
    assert!(committed == page, "what it costs has changed; ROSTER_COSTS=write writes it down:\n{page}");
}

/// Each row's first two cells.
fn requests(page: &str) -> Vec<Vec<&str>> {
    let rows = page.lines().filter(|line| line.starts_with("| "));
    rows.map(|row| row.split(" | ").take(2).collect()).collect()
}
