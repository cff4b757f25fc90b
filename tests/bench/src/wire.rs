//! What each action costs at AWS: the page that a test holds, `tests/scenarios/COSTS.md`, is made of the same counts.

use harness::costs::{measure_growth, table};

/// Counts.
pub async fn measure() -> Result<String, String> {
    let (costs, growth) = tokio::join!(harness::costs::measure(), measure_growth());
    Ok(format!(
        "Counted on the wire and held by a test. `preview`, `accept` and `decline` have KMS verify the link besides, \
         `mail` has it made: one call each.\n\n{}\nIn organizations of 1, 100 and 990 members:\n\n{}",
        table(&costs),
        table(&growth)
    ))
}
