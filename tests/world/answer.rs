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
        self.body
    }

    /// The problem's code, or nothing.
    #[must_use]
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// Status and code, for whoever counts answers.
    #[must_use]
    pub fn short(&self) -> String {
        format!("{} {}", self.status.as_u16(), self.code()).trim_end().to_owned()
    }
}
