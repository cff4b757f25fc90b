//! Checks that `COSTS.md` contains the measured cost of each action.

use harness::costs::{measure, measure_growth, table};

const INTRODUCTION: &str = "\
# Cost of each action\n\n\
Measured by `tests/harness/costs.rs`, without concurrent requests for the same items. The test\n\
`tests/scenarios/costs.rs` checks this page, and writes it with `ROSTER_COSTS=write`. The units are DynamoDB's:\n\
a transaction counts twice, and a condition check is a write. On AWS, `preview`, `accept` and `decline` also call\n\
KMS to verify the link, and `mail` to create it.\n";

#[tokio::test]
async fn the_page_of_costs_is_up_to_date() {
    let (costs, growth) = tokio::join!(measure(), measure_growth());
    let page = format!(
        "{INTRODUCTION}\n{}\n## In organizations of 1, 100 and 990 members\n\n{}",
        table(&costs),
        table(&growth)
    );
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/COSTS.md");
    if std::env::var_os("ROSTER_COSTS").is_some_and(|value| value == "write") {
        std::fs::write(path, &page).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    if harness::uses_external_dynamodb() {
        // Another emulator receives the same requests but reports other units.
        assert_eq!(requests(&page), requests(&committed));
        return;
    }
    assert!(committed == page, "the costs have changed; update COSTS.md with ROSTER_COSTS=write:\n{page}");
}

/// Returns the first two cells of each row: action and requests.
fn requests(page: &str) -> Vec<Vec<&str>> {
    let rows = page.lines().filter(|line| line.starts_with("| "));
    rows.map(|row| row.split(" | ").take(2).collect()).collect()
}
