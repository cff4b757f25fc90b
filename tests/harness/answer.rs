//! What a call was answered.

use http::{HeaderMap, StatusCode};
use serde_json::Value;

/// An answer of the API.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; null if there is none.
    pub body: Value,
    /// The body word for word.
    pub text: String,
}

impl Answer {
    /// The body, of an answer with this status.
    #[track_caller]
    pub fn is(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// The problem, of an answer with this status and code, which has all that a problem has.
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
        let more = match code {
            "malformed_request" | "invalid_email" | "invalid_name" => Some("errors"),
            "resend_too_soon" if !self.body["errors"].is_null() => Some("errors"),
            "seats_exhausted" => Some("seats"),
            "invitation_not_pending" => Some("invitation_status"),
            _ => None,
        };
        let fields = ["type", "title", "status", "detail", "code"].into_iter().chain(more);
        crate::assert_fields(&self.body, &fields.collect::<Vec<_>>());
        for error in self.body["errors"].as_array().into_iter().flatten() {
            crate::assert_fields(error, &["pointer", "detail"]);
        }
        let again = self.headers.get("retry-after").map(|after| after.to_str().unwrap_or_default());
        let late = code == "conflict" || matches!(status, 429 | 503);
        assert_eq!(again.is_some_and(|after| after.parse::<u32>().is_ok()), late, "Retry-After: {again:?}");
        self.body
    }

    /// The items of a page.
    #[track_caller]
    pub fn items(self) -> Vec<Value> {
        let page = self.is(200);
        crate::assert_fields(&page, &["items", "next_cursor"]);
        page["items"].as_array().cloned().unwrap_or_else(|| panic!("a page has items: {page}"))
    }

    /// The pointers of what is wrong with the request.
    #[must_use]
    pub fn pointers(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        errors.iter().filter_map(|error| error["pointer"].as_str()).collect()
    }

    /// After how many seconds trying again makes sense.
    #[track_caller]
    pub fn retry_after(&self) -> u64 {
        let after = self.headers.get("retry-after").and_then(|after| after.to_str().ok());
        after.and_then(|after| after.parse().ok()).expect("the answer says when to try again")
    }

    /// The problem's code, or nothing.
    #[must_use]
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// All that the function has answered: status, headers and body, without the gateway's own number and moment of the call.
    #[must_use]
    pub fn whole(&self) -> (StatusCode, HeaderMap, &str) {
        let mut headers = self.headers.clone();
        headers.remove("apigw-requestid");
        headers.remove("date");
        (self.status, headers, &self.text)
    }

    /// Status and code, for whoever counts answers.
    #[must_use]
    pub fn short(&self) -> String {
        format!("{} {}", self.status.as_u16(), self.code()).trim_end().to_owned()
    }
}
