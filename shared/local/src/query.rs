//! Decoding of percent-encoded paths and query strings.

use percent_encoding::percent_decode_str;

/// Splits a query string into decoded name-value pairs.
pub(crate) fn query_pairs(query: &str) -> Vec<(String, String)> {
    let decode_form = |text: &str| decode(&text.replace('+', " "));
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode_form(name), decode_form(value)))
        .collect()
}

/// Decodes a percent-encoded text. Replaces invalid UTF-8.
pub(crate) fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}
