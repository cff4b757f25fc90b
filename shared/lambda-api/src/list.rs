//! Query parameters and responses that all lists share.

use lambda_http::Request;
use serde::Serialize;

use crate::problem::Problem;
use crate::request::parameter;

/// The page size without the parameter `limit`.
const LIMIT_DEFAULT: usize = 50;
/// The largest value of `limit`.
const LIMIT_MAX: usize = 1_000;

/// The response with one page of a list.
#[derive(Debug, Serialize)]
pub struct PageView<View> {
    /// The items.
    pub items: Vec<View>,
    /// The cursor of the next page; null on the last page.
    pub next_cursor: Option<String>,
}

/// Reads the query parameter `limit`: the maximum number of items on a page.
pub fn limit(request: &Request) -> Result<usize, Problem> {
    let expected = "it must be a whole number from 1 to 1000";
    match parameter::<usize>(request, "limit", expected)? {
        None => Ok(LIMIT_DEFAULT),
        Some(limit) if (1..=LIMIT_MAX).contains(&limit) => Ok(limit),
        Some(_) => Err(Problem::malformed("/limit", expected)),
    }
}
