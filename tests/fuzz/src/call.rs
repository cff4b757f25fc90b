//! Calls of the API, as events of API Gateway. Path, query, headers, claims and body are arbitrary.
//!
//! The first line of an input is the route's key. Each of the next lines sets a path parameter, the query, a claim or a
//! header, as `name: value`; values may be percent-encoded. The body follows after an empty line:
//!
//! ```text
//! PATCH /v1/organizations/{organization_id}/members/{user_id}
//! organization_id: $organization
//! user_id: mia
//! sub: olga
//!
//! {"role": "owner"}
//! ```

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::{EmailAddress, InvitationId, Role, Token, UserId};
use harness::openapi::check_documented;
use http::{HeaderName, HeaderValue};
use local::function_table::{ROUTES, Route};
use percent_encoding::percent_decode_str;
use reference::Operation;
use serde_json::{Value, json};

use crate::site::{HIDDEN, InvocationResult, replace_placeholders, with_site};

/// The claims that the functions read. API Gateway passes all claims of a token.
const CLAIMS: [&str; 3] = ["sub", "email", "email_verified"];
const PARAMETERS: [&str; 3] = ["organization_id", "invitation_id", "user_id"];

/// A call, parsed from an input.
struct Call {
    route: &'static Route,
    path: BTreeMap<String, String>,
    query: String,
    claims: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

/// Makes a call of any route.
///
/// `infra/openapi.yaml` must document the response for the route, a refusal must change nothing, and the call must
/// neither show nor change another organization.
pub fn call(bytes: &[u8]) {
    let _ = route_and_status(bytes);
}

/// Makes a call like [`call`]. Returns its route and the status of the response.
#[must_use]
pub fn route_and_status(bytes: &[u8]) -> (&'static Route, u16) {
    let call = Call::read(bytes);
    let mut status_of_call = 0;
    with_site(async |site| {
        let result = site.invoke(call.route.function, call.event()).await;
        let status = call.check_response(&result);
        status_of_call = status;
        call.check_reach(&result);
        assert!(
            result.sent.commits <= usize::from(status < 300),
            "{status} after {} commits",
            result.sent.commits
        );
        let Some(after) = result.after else { return true };
        assert_ne!(call.route.method, http::Method::GET, "a GET changed the table");
        let operation = call.operation();
        for organization in site.before.organizations() {
            let violation = site.before.broken_rule(&organization.id, &after, &operation);
            let untouched = site.before.members(&organization.id).eq(after.members(&organization.id))
                && site.before.invitations(&organization.id).eq(after.invitations(&organization.id));
            assert!(untouched || violation.is_none(), "{violation:?}");
            assert!(
                untouched || call.concerns(organization.id.as_str()),
                "the call changed another organization"
            );
        }
        false
    });
    (call.route, status_of_call)
}

impl Call {
    fn read(bytes: &[u8]) -> Self {
        let split = bytes.windows(2).position(|pair| pair == b"\n\n");
        let (head, body) = split.map_or((bytes, &[][..]), |at| (&bytes[..at], &bytes[at + 2..]));
        let head = replace_placeholders(&String::from_utf8_lossy(head));
        let body = match std::str::from_utf8(body) {
            Ok(text) => replace_placeholders(text).into_bytes(),
            Err(_) => body.to_vec(),
        };
        let mut lines = head.lines();
        let first = lines.next().unwrap_or_default();
        let route = ROUTES.iter().find(|route| route.key() == first).unwrap_or_else(|| {
            // Any other first line selects a route as well.
            let sum: usize = first.bytes().map(usize::from).sum();
            &ROUTES[sum % ROUTES.len()]
        });
        let mut call = Self {
            route,
            path: BTreeMap::new(),
            query: String::new(),
            claims: BTreeMap::new(),
            headers: BTreeMap::new(),
            body,
        };
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            let decoded = || percent_decode_str(value).decode_utf8_lossy().into_owned();
            if name == "query" {
                value.clone_into(&mut call.query);
            } else if PARAMETERS.contains(&name) {
                // The gateway matches no route if a parameter is empty.
                if !decoded().is_empty() && route.pattern.contains(&format!("{{{name}}}")) {
                    call.path.insert(name.to_owned(), decoded());
                }
            } else if CLAIMS.contains(&name) {
                call.claims.insert(name.to_owned(), decoded());
            } else if HeaderName::try_from(name).is_ok() && HeaderValue::try_from(value).is_ok() {
                call.headers.insert(name.to_ascii_lowercase(), value.to_owned());
            }
        }
        for name in PARAMETERS.iter().filter(|name| route.pattern.contains(&format!("{{{name}}}"))) {
            call.path.entry((*name).to_owned()).or_insert_with(|| "-".to_owned());
        }
        call
    }

    /// Returns the decoded path, as API Gateway passes it.
    fn raw_path(&self) -> String {
        let pattern = self.route.pattern.to_owned();
        self.path.iter().fold(pattern, |path, (name, value)| path.replace(&format!("{{{name}}}"), value))
    }

    /// Returns the event, in API Gateway's payload format 2.0.
    fn event(&self) -> Value {
        let path = self.raw_path();
        let mut context = json!({
            "accountId": "000000000000",
            "apiId": "fuzz",
            "domainName": "api.example",
            "domainPrefix": "api",
            "http": {
                "method": self.route.method.as_str(),
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": self.headers.get("user-agent").map_or("", String::as_str),
            },
            "requestId": "request",
            "routeKey": self.route.key(),
            "stage": "$default",
            "time": "24/Nov/2026:12:00:00 +0000",
            "timeEpoch": 1_795_521_600_000_u64,
        });
        if self.route.authorized {
            context["authorizer"] = json!({ "jwt": { "claims": self.claims, "scopes": null } });
        }
        let mut event = json!({
            "version": "2.0",
            "routeKey": self.route.key(),
            "rawPath": path,
            "rawQueryString": self.query,
            "headers": self.headers,
            "requestContext": context,
            "isBase64Encoded": false,
        });
        let mut query = BTreeMap::<String, String>::new();
        for pair in self.query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let form =
                |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
            let joined = query.entry(form(name)).or_default();
            *joined = if joined.is_empty() { form(value) } else { format!("{joined},{}", form(value)) };
        }
        if !query.is_empty() {
            event["queryStringParameters"] = json!(query);
        }
        if !self.path.is_empty() {
            event["pathParameters"] = json!(self.path);
        }
        match std::str::from_utf8(&self.body) {
            Ok("") => {}
            Ok(text) => event["body"] = json!(text),
            Err(_) => {
                event["isBase64Encoded"] = json!(true);
                event["body"] = json!(STANDARD.encode(&self.body));
            }
        }
        event
    }

    /// Asserts that the response is as the contract requires. Returns its status.
    fn check_response(&self, result: &InvocationResult) -> u16 {
        let response = result.response.as_ref().expect("every call gets a response");
        let status = response["statusCode"].as_u64().and_then(|status| u16::try_from(status).ok());
        let status = status.expect("a response has a status");
        assert!(status < 500, "{response}");
        let headers = &response["headers"];
        assert_eq!(
            (&headers["cache-control"], &headers["x-content-type-options"]),
            (&json!("no-store"), &json!("nosniff"))
        );
        let text = response["body"].as_str().unwrap_or_default();
        let shows = |text: &str| text.to_lowercase().contains(HIDDEN);
        // The response may repeat the call.
        assert!(!shows(text) || shows(&self.event().to_string()), "shows another organization: {response}");
        if status == 401 {
            let user = self.claims.get("sub").is_some_and(|sub| UserId::parse(sub).is_ok());
            assert!(self.route.authorized && !user, "{response}");
            return status;
        }
        if status == 204 {
            assert_eq!(text, "");
        }
        let body: Value =
            if text.is_empty() { Value::Null } else { serde_json::from_str(text).expect("JSON") };
        let code = (status >= 400).then(|| body["code"].as_str().expect("a problem has a code"));
        if let Some(code) = code {
            assert_eq!(headers["content-type"], "application/problem+json");
            assert_eq!(
                (&body["status"], &body["type"]),
                (&json!(status), &json!(format!("urn:roster:problem:{code}")))
            );
            for error in body["errors"].as_array().into_iter().flatten() {
                let pointer = error["pointer"].as_str().expect("an error has a pointer");
                assert!(pointer.is_empty() || pointer.starts_with('/'), "{pointer}");
            }
        }
        if let Err(undocumented) = check_documented(&self.route.method, self.route.pattern, status, &body) {
            panic!("{undocumented}: {response}");
        }
        status
    }

    /// Asserts that the function read only the organization that the call names.
    ///
    /// Some routes name no organization, but list the caller's own. Their reads are not checked.
    fn check_reach(&self, result: &InvocationResult) {
        if !self.route.pattern.contains('{') && self.route.function != "preview" && self.token().is_none() {
            return;
        }
        for partition in &result.sent.partitions {
            assert!(self.concerns(partition), "{} read {partition}", self.route.key());
        }
    }

    /// Whether the call names this organization, in its path or by its token.
    fn concerns(&self, organization: &str) -> bool {
        let in_path = self.path.get("organization_id").is_some_and(|id| id == organization);
        in_path || self.token().is_some_and(|token| token.link.organization.as_str() == organization)
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    fn token(&self) -> Option<Token> {
        Token::parse(self.json()["token"].as_str()?).ok()
    }

    fn operation(&self) -> Operation {
        let by = || UserId::parse(&self.claims["sub"]).expect("the caller of a change has a `sub`");
        let invitation = || InvitationId::parse(&self.path["invitation_id"]).expect("an invitation");
        let member = || UserId::parse(&self.path["user_id"]).expect("a member");
        let email = || {
            EmailAddress::parse(&self.claims["email"])
                .expect("the caller of an accept or decline has an address")
        };
        let link = || self.token().expect("a token").link;
        match self.route.function {
            "invite" => {
                let role: Role = self.json()["role"].as_str().expect("a role").parse().expect("a role");
                Operation::Invite { by: by(), role }
            }
            "resend" => Operation::Resend { by: by(), invitation: invitation() },
            "revoke" => Operation::Revoke { by: by(), invitation: invitation() },
            "organization-edit" => Operation::OrganizationEdit { by: by() },
            "role-edit" => Operation::RoleEdit { by: by(), member: member() },
            "remove" => Operation::Remove { by: by(), member: member() },
            "decline" => Operation::Decline { email: email(), link: link() },
            "accept" => Operation::Accept { by: by(), email: email(), link: link() },
            _ => Operation::Other,
        }
    }
}
