//! Responses of the API.

use http::{HeaderMap, StatusCode};
use serde_json::Value;

/// A response of the API.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiResponse {
    /// The HTTP status.
    pub status: StatusCode,
    /// The HTTP headers.
    pub headers: HeaderMap,
    /// The body: null if it is empty, a string if it is not JSON.
    pub body: Value,
    /// The body as text.
    pub text: String,
}

impl ApiResponse {
    /// Checks the status and returns the body.
    #[track_caller]
    pub fn is(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// Checks that this is a complete problem with this status and code, and returns the problem.
    ///
    /// `Retry-After` must be present for 429, 503 and `conflict`, and absent for all other problems.
    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Value {
        assert_eq!((self.status.as_u16(), self.code()), (status, code), "{}", self.body);
        let content_type = self.headers.get("content-type").and_then(|value| value.to_str().ok());
        assert_eq!(content_type, Some("application/problem+json"));
        assert_eq!(self.body["type"], format!("urn:roster:problem:{code}"));
        assert_eq!(self.body["status"], status);
        for field in ["title", "detail"] {
            assert!(self.body[field].as_str().is_some_and(|text| text.len() > 5), "{field}: {}", self.body);
        }
        let extra = match code {
            "malformed_request" | "invalid_email" | "invalid_name" => Some("errors"),
            "resend_too_soon" if !self.body["errors"].is_null() => Some("errors"),
            "seats_exhausted" => Some("seats"),
            "invitation_not_pending" => Some("invitation_status"),
            _ => None,
        };
        let fields = ["type", "title", "status", "detail", "code"].into_iter().chain(extra);
        crate::assert_fields(&self.body, &fields.collect::<Vec<_>>());
        for error in self.body["errors"].as_array().into_iter().flatten() {
            crate::assert_fields(error, &["pointer", "detail"]);
        }
        let retry_after = self.headers.get("retry-after").map(|after| after.to_str().unwrap_or_default());
        let is_number = retry_after.is_some_and(|after| after.parse::<u32>().is_ok());
        let is_retryable = code == "conflict" || matches!(status, 429 | 503);
        assert_eq!(is_number, is_retryable, "Retry-After: {retry_after:?}");
        self.body
    }

    /// Checks that this is a page of a list, and returns its items.
    #[track_caller]
    pub fn items(self) -> Vec<Value> {
        let page = self.is(200);
        crate::assert_fields(&page, &["items", "next_cursor"]);
        page["items"].as_array().cloned().unwrap_or_else(|| panic!("a page has items: {page}"))
    }

    /// Returns the JSON pointers to the errors in the request.
    #[must_use]
    pub fn pointers(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        errors.iter().filter_map(|error| error["pointer"].as_str()).collect()
    }

    /// Returns the seconds in `Retry-After`.
    #[track_caller]
    pub fn retry_after(&self) -> u64 {
        let after = self.headers.get("retry-after").and_then(|after| after.to_str().ok());
        after.and_then(|after| after.parse().ok()).expect("the response has Retry-After")
    }

    /// Returns the problem's code, or an empty string if this is not a problem.
    #[must_use]
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// Returns status, headers and body without the headers that the gateway sets for each request.
    #[must_use]
    pub fn without_request_ids(&self) -> (StatusCode, HeaderMap, &str) {
        let mut headers = self.headers.clone();
        headers.remove("apigw-requestid");
        headers.remove("date");
        (self.status, headers, &self.text)
    }

    /// Returns the status and the problem's code, such as `409 conflict`.
    #[must_use]
    pub fn status_and_code(&self) -> String {
        format!("{} {}", self.status.as_u16(), self.code()).trim_end().to_owned()
    }
}
