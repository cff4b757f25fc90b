//! Percent-encoded paths and queries.

use percent_encoding::percent_decode_str;

/// The decoded pairs of a query.
pub(crate) fn query_pairs(query: &str) -> Vec<(String, String)> {
    let form = |text: &str| decode(&text.replace('+', " "));
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (form(name), form(value)))
        .collect()
}

/// What an encoded text says.
pub(crate) fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}
