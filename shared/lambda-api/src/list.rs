//! Query parameters and answers that lists share.

use lambda_http::Request;
use serde::Serialize;

use crate::problem::Problem;
use crate::request::parameter;

/// `limit` if it is left out.
const LIMIT_DEFAULT: usize = 50;
/// The largest `limit`.
const LIMIT_MAX: usize = 1_000;

/// A page of a list.
#[derive(Debug, Serialize)]
pub struct PageView<View> {
    /// The items.
    pub items: Vec<View>,
    /// Where it goes on; null: nowhere.
    pub next_cursor: Option<String>,
}

/// How many items at most.
pub fn limit(request: &Request) -> Result<usize, Problem> {
    let expected = "it must be a whole number from 1 to 1000";
    match parameter::<usize>(request, "limit", expected)? {
        None => Ok(LIMIT_DEFAULT),
        Some(limit) if (1..=LIMIT_MAX).contains(&limit) => Ok(limit),
        Some(_) => Err(Problem::malformed("/limit", expected)),
    }
}
