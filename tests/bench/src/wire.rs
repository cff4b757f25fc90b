//! The AWS requests and capacity units of each action. `tests/scenarios/COSTS.md`, which a test checks, contains the
//! same counts.

use harness::costs::{measure_growth, table};

/// Counts the requests and units. Returns the section as Markdown.
pub async fn measure() -> Result<String, String> {
    let (costs, growth) = tokio::join!(harness::costs::measure(), measure_growth());
    Ok(format!(
        "The requests and units are counted at the embedded DynamoDB. A test checks the same counts. On AWS, \
         `preview`, `accept` and `decline` also call KMS to verify the link, and `mail` to create it.\n\n{}\n\
         In organizations of 1, 100 and 990 members:\n\n{}",
        table(&costs),
        table(&growth)
    ))
}
