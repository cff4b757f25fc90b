//! The query parameters and the body that the requests of a function may have.

use lambda_http::{Request, RequestExt};

use crate::problem::{Code, FieldError, Problem};
use crate::request::{pointer_to, route};

/// The parts that a request may have besides its path and its headers.
///
/// Every function declares its input, and [`http`](crate::http) refuses any other part with 400 before the handler
/// runs. If an unknown query parameter were ignored, a misspelled filter would return the whole list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// Neither query parameters nor a body.
    Nothing,
    /// A body, and no query parameters.
    Body,
    /// No body, and the query parameters of the request's route. A route that is not listed has none.
    Query(&'static [(&'static str, &'static [&'static str])]),
    /// Anything. For pages: browsers, identity providers and mail programs add parameters to their addresses.
    Anything,
}

impl Input {
    /// Refuses a request with an unknown query parameter, or with a body that the route does not take.
    pub(crate) fn check(self, request: &Request) -> Result<(), Problem> {
        let known: &[&str] = match self {
            Self::Anything => return Ok(()),
            Self::Nothing | Self::Body => &[],
            Self::Query(routes) => {
                let route = route(request);
                routes.iter().find(|(key, _)| *key == route).map_or(&[], |(_, names)| names)
            }
        };
        let query = request.query_string_parameters_ref();
        let names = query.into_iter().flat_map(|query| query.iter().map(|(name, _)| name));
        let mut unknown: Vec<_> = names.filter(|name| !known.contains(name)).collect();
        unknown.sort_unstable();
        unknown.dedup();
        let unknown = unknown
            .into_iter()
            .map(|name| FieldError { pointer: pointer_to(name), detail: unknown_parameter(known) });
        let body = (self != Self::Body && !request.body().is_empty())
            .then(|| FieldError { pointer: String::new(), detail: "this request takes no body".to_owned() });
        let errors: Vec<_> = unknown.chain(body).collect();
        if errors.is_empty() { Ok(()) } else { Err(Problem::fields(Code::MalformedRequest, errors)) }
    }
}

/// Explains which query parameters the route takes.
fn unknown_parameter(known: &[&str]) -> String {
    let known: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
    match known.as_slice() {
        [] => "unknown query parameter; this request takes none".to_owned(),
        [only] => format!("unknown query parameter; this request takes {only}"),
        [first @ .., last] => {
            format!("unknown query parameter; this request takes {} and {last}", first.join(", "))
        }
    }
}
