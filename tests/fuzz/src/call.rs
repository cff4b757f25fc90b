//! Calls, as API Gateway hands them over: path, query, headers, claims and body are anybody's.
//!
//! An input is the route's key on the first line, then `name: value` lines (a path parameter, `query`, a claim, or else a
//! header; percent-encoded where need be), then an empty line and the body:
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
use harness::document::knows;
use http::{HeaderName, HeaderValue};
use local::function_table::{ROUTES, Route};
use percent_encoding::percent_decode_str;
use reference::Operation;
use serde_json::{Value, json};

use crate::site::{HIDDEN, Invoked, at_the_site, named};

/// Claims that the functions read; API Gateway hands over whatever else stands in a token, too.
const CLAIMS: [&str; 3] = ["sub", "email", "email_verified"];
const PARAMETERS: [&str; 3] = ["organization_id", "invitation_id", "user_id"];

/// A call.
struct Call {
    route: &'static Route,
    path: BTreeMap<String, String>,
    query: String,
    claims: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

/// A call of any route, with anything in it: the answer is one that `infra/openapi.yaml` knows for that route, a refusal
/// changes nothing, and nobody learns of, or gets at, another organization.
pub fn call(bytes: &[u8]) {
    let _ = answered(bytes);
}

/// As [`call`]; the route that the call is of, and the status of the answer.
#[must_use]
pub fn answered(bytes: &[u8]) -> (&'static Route, u16) {
    let call = Call::read(bytes);
    let mut answered = 0;
    at_the_site(async |site| {
        let invoked = site.invoke(call.route.function, call.event()).await;
        let status = call.check_answer(&invoked);
        answered = status;
        call.check_reach(&invoked);
        assert!(
            invoked.sent.commits <= usize::from(status < 300),
            "{status} after {} commits",
            invoked.sent.commits
        );
        let Some(after) = invoked.after else { return true };
        assert_ne!(call.route.method, http::Method::GET, "looking has changed something");
        let operation = call.operation();
        for organization in site.before.organizations() {
            let violation = site.before.violation_by(&organization.id, &after, &operation);
            let untouched = site.before.members(&organization.id).eq(after.members(&organization.id))
                && site.before.invitations(&organization.id).eq(after.invitations(&organization.id));
            assert!(untouched || violation.is_none(), "{violation:?}");
            assert!(untouched || call.concerns(organization.id.as_str()), "another organization was changed");
        }
        false
    });
    (call.route, answered)
}

impl Call {
    fn read(bytes: &[u8]) -> Self {
        let split = bytes.windows(2).position(|pair| pair == b"\n\n");
        let (head, body) = split.map_or((bytes, &[][..]), |at| (&bytes[..at], &bytes[at + 2..]));
        let head = named(&String::from_utf8_lossy(head));
        let body = match std::str::from_utf8(body) {
            Ok(text) => named(text).into_bytes(),
            Err(_) => body.to_vec(),
        };
        let mut lines = head.lines();
        let first = lines.next().unwrap_or_default();
        let route = ROUTES.iter().find(|route| route.key() == first).unwrap_or_else(|| {
            // Whatever else stands there names one, too.
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
                // The gateway matches no route where a parameter would be empty.
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

    /// The path, decoded, as the gateway hands it over.
    fn raw_path(&self) -> String {
        let pattern = self.route.pattern.to_owned();
        self.path.iter().fold(pattern, |path, (name, value)| path.replace(&format!("{{{name}}}"), value))
    }

    /// The event of payload format 2.0.
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

    /// The status, if it and all that goes with it is what the contract says.
    fn check_answer(&self, invoked: &Invoked) -> u16 {
        let answer = invoked.answer.as_ref().expect("a call is answered, whatever it is");
        let status = answer["statusCode"].as_u64().and_then(|status| u16::try_from(status).ok());
        let status = status.expect("an answer has a status");
        assert!(status < 500, "{answer}");
        let headers = &answer["headers"];
        assert_eq!(
            (&headers["cache-control"], &headers["x-content-type-options"]),
            (&json!("no-store"), &json!("nosniff"))
        );
        let text = answer["body"].as_str().unwrap_or_default();
        let shows = |text: &str| text.to_lowercase().contains(HIDDEN);
        // Whoever says it hears it again.
        assert!(!shows(text) || shows(&self.event().to_string()), "another organization shows: {answer}");
        if status == 401 {
            let user = self.claims.get("sub").is_some_and(|sub| UserId::parse(sub).is_ok());
            assert!(self.route.authorized && !user, "{answer}");
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
        if let Err(unknown) = knows(&self.route.method, self.route.pattern, status, code) {
            panic!("{unknown}: {answer}");
        }
        status
    }

    /// Nothing but what the call names was looked at; the caller's own organizations are whatever they are in.
    fn check_reach(&self, invoked: &Invoked) {
        if !self.route.pattern.contains('{') && self.route.function != "preview" && self.token().is_none() {
            return;
        }
        for partition in &invoked.sent.partitions {
            assert!(self.concerns(partition), "{} looked at {partition}", self.route.key());
        }
    }

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
        let by = || UserId::parse(&self.claims["sub"]).expect("whoever changes something is somebody");
        let invitation = || InvitationId::parse(&self.path["invitation_id"]).expect("an invitation");
        let member = || UserId::parse(&self.path["user_id"]).expect("a member");
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
            "decline" => {
                let email = EmailAddress::parse(&self.claims["email"]).expect("who declines has an address");
                Operation::Decline { email, link: self.token().expect("a token").link }
            }
            "accept" => Operation::Accept(self.token().expect("a token").link),
            _ => Operation::Other,
        }
    }
}
