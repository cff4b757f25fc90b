//! The workload: users who make random calls, sometimes all at the same time on the same records.

use std::sync::Arc;
use std::time::Duration;

use domain::{EmailAddress, Invitation, InvitationId, OrganizationId, Role, Status, Token, UserId};
use reference::Operation;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::lambda::{Event, InvocationError};
use crate::responses::{CallLog, CompletedCall};
use crate::simulation::{Simulation, address, caller};

/// The users who call; the first two are the founders.
pub const USERS: [&str; 6] = ["ada", "bob", "cyd", "dan", "eve", "fay"];

/// Users who make no calls until they are invited.
const INVITEES: [&str; 6] = ["gil", "hal", "ida", "jon", "kim", "lea"];

/// A call, as API Gateway passes it to a function.
#[derive(Debug, Clone)]
pub struct Call {
    function: &'static str,
    /// The name of the calling user.
    pub by: String,
    /// The caller's verified address. A user can have two.
    email: EmailAddress,
    /// The organization in the path, if there is one.
    pub organization: Option<OrganizationId>,
    /// Name and value of the other path parameter.
    parameter: Option<(&'static str, String)>,
    /// The body; null if there is none.
    pub body: Value,
    /// The operation that the rules of the reference model check.
    pub operation: Operation,
    /// The idempotency key, if the caller sends one.
    pub key: Option<u32>,
}

/// The number of different calls of each user, and the number of rounds.
const CALLS: u32 = 14;
/// How long users contend for the same records after a round begins.
const CONTENTION: Duration = Duration::from_millis(150);

/// The records that all users write in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Contention {
    /// The owners: users promote, demote and remove each other.
    Owners,
    /// The last seats.
    Seats,
    /// One pending invitation.
    Invitation,
}

impl Simulation {
    /// Makes the calls of one user until they are done or the faults end.
    pub async fn run_user(self: Arc<Self>, organizations: Vec<OrganizationId>, log: CallLog) {
        for _ in 0..CALLS {
            sleep(self.pause()).await;
            if self.faults_are_over() {
                return;
            }
            let Some(call) = self.next_call(&organizations) else { continue };
            // Users sometimes retry a call that failed. With an idempotency key they also repeat one that succeeded.
            for _ in 0..3 {
                let completed = self.make_call(&call).await;
                let has_result = completed.response.as_ref().is_some_and(|(status, _)| *status < 500);
                log.lock().expect("no panic while the log is locked").push(completed);
                let stop_rate = if call.key.is_some() { 0.2 } else { 0.5 };
                if (has_result && call.key.is_none()) || self.chance(stop_rate) {
                    break;
                }
            }
        }
    }

    /// Draws the pause before the next call: mostly milliseconds or seconds.
    ///
    /// In three of ten cases the user waits for the beginning of the next round. All users who wait begin together, so
    /// that their calls compete.
    fn pause(&self) -> Duration {
        let short = Duration::from_millis(u64::from(self.random_up_to(12)));
        match self.random_up_to(10) {
            1..=5 => short,
            6..=7 => short * 300,
            _ => {
                let next = self.round_duration() * (self.round() + self.random_up_to(2)) + short;
                next.saturating_sub(self.elapsed())
            }
        }
    }

    fn round_duration(&self) -> Duration {
        self.faults.end / CALLS
    }

    /// The current round, counted from 0.
    fn round(&self) -> u32 {
        u32::try_from(self.elapsed().as_millis() / self.round_duration().as_millis().max(1)).unwrap_or(0)
    }

    /// Returns the organization and the records for which users contend now; `None` for an ordinary call.
    ///
    /// Contention lasts for [`CONTENTION`] after each round begins. One of five calls ignores it.
    fn contention(&self, organizations: &[OrganizationId]) -> Option<(OrganizationId, Contention)> {
        let round = self.round();
        let began = self.round_duration() * round;
        if round == 0 || self.elapsed() > began + CONTENTION || self.chance(0.2) {
            return None;
        }
        let round = usize::try_from(round).ok()?;
        let contention = [Contention::Owners, Contention::Seats, Contention::Invitation][round % 3];
        Some((organizations[round / 3 % organizations.len()].clone(), contention))
    }

    /// Draws the next call from the current table. The table may change before the function reads it.
    fn next_call(&self, organizations: &[OrganizationId]) -> Option<Call> {
        let table = self.latest_table();
        let contention = self.contention(organizations);
        let contended = contention.as_ref().map(|(_, contended)| *contended);
        let organization = match contention {
            Some((organization, _)) => organization,
            None => self.pick(organizations)?.clone(),
        };
        let names: Vec<_> = USERS.iter().map(|name| (*name).to_owned()).collect();
        let members: Vec<_> = table.members(&organization).map(|it| it.user.to_string()).collect();
        let mut invitations: Vec<_> = table.invitations(&organization).cloned().collect();
        if contended == Some(Contention::Invitation) {
            invitations.retain(|it| it.status() == Status::Pending);
            invitations.truncate(1);
        }
        let owners: Vec<_> = table.members(&organization).filter(|it| it.role == Role::Owner).collect();
        let by = if self.chance(0.9) { self.pick(&members)? } else { self.pick(&names)? };
        let user = || caller(by).user;
        let role = || if self.chance(0.4) { Role::Owner } else { Role::Member };
        let call = |function, parameter, body, operation| Call {
            function,
            by: by.clone(),
            email: address(by, "example.com"),
            organization: Some(organization.clone()),
            parameter,
            body,
            operation,
            key: None,
        };
        let maybe_with_key =
            |call| Call { key: self.chance(0.4).then(|| self.next_idempotency_key()), ..call };
        let invitation_call = |function, operation: fn(UserId, InvitationId) -> Operation| {
            let Invitation { id, .. } = self.pick(&invitations)?.clone();
            let operation = operation(user(), id.clone());
            Some(call(function, Some(("invitation_id", id.to_string())), Value::Null, operation))
        };
        let number = match contended {
            None => self.random_up_to(20),
            Some(Contention::Seats) => *self.pick(&[1, 1, 1, 9])?,
            Some(Contention::Invitation) => *self.pick(&[7, 9, 14, 15, 15])?,
            Some(Contention::Owners) => *self.pick(&[10, 12])?,
        };
        match number {
            1..=6 => {
                let (invitees, max) = if contended.is_some() { (INVITEES, 1) } else { (USERS, 3) };
                // Members, too, are sometimes invited to their second address.
                let emails: Vec<_> = (0..self.random_up_to(max))
                    .filter_map(|_| {
                        let domain = if self.chance(0.15) { "home.example" } else { "example.com" };
                        Some(address(self.pick(&invitees)?, domain))
                    })
                    .collect();
                let role = role();
                let body = json!({ "emails": emails, "role": role });
                let operation = Operation::Invite { by: user(), role };
                Some(maybe_with_key(call("invite", None, body, operation)))
            }
            7..=8 => {
                let resend = invitation_call("resend", |by, invitation| Operation::Resend { by, invitation });
                resend.map(maybe_with_key)
            }
            9 => invitation_call("revoke", |by, invitation| Operation::Revoke { by, invitation }),
            10..=11 => {
                let (member, role) = match contended {
                    Some(_) if owners.len() < 2 => (self.pick(&members)?.clone(), Role::Owner),
                    Some(_) => (self.pick(&owners)?.user.to_string(), Role::Member),
                    None => (self.pick(&members)?.clone(), role()),
                };
                let operation = Operation::RoleEdit { by: user(), member: caller(&member).user };
                let parameter = Some(("user_id", member));
                Some(call("role-edit", parameter, json!({ "role": role }), operation))
            }
            12..=13 => {
                let member = if self.chance(0.5) { by.clone() } else { self.pick(&members)?.clone() };
                let operation = Operation::Remove { by: user(), member: caller(&member).user };
                Some(call("remove", Some(("user_id", member)), Value::Null, operation))
            }
            20 => {
                let body = json!({ "name": format!("Acme {}", self.random_up_to(3)) });
                Some(call("organization-edit", None, body, Operation::OrganizationEdit { by: user() }))
            }
            number => {
                let (token, to) = self.pick_token(contended.and_then(|_| invitations.first()))?;
                let by = to.split('@').next()?.to_owned();
                let (email, link) = (EmailAddress::parse(&to).ok()?, token.link.clone());
                let (function, operation) = if number == 14 {
                    ("decline", Operation::Decline { email: email.clone(), link })
                } else {
                    let user = caller(&by).user;
                    ("accept", Operation::Accept { by: user, email: email.clone(), link })
                };
                let body = json!({ "token": token.reveal() });
                let (organization, parameter, key) = (None, None, None);
                Some(Call { function, by, email, organization, parameter, body, operation, key })
            }
        }
    }

    /// Draws a mailed token and its recipient, in four of five cases one of the four newest.
    ///
    /// If `invitation` is given, only its tokens are drawn.
    fn pick_token(&self, invitation: Option<&Invitation>) -> Option<(Token, String)> {
        let mut tokens = self.mailbox().tokens.clone();
        tokens.retain(|(token, _)| invitation.is_none_or(|it| token.link.invitation == it.id));
        let newest = tokens.len().saturating_sub(4);
        if self.chance(0.8) { self.pick(&tokens[newest..]).cloned() } else { self.pick(&tokens).cloned() }
    }

    async fn make_call(self: &Arc<Self>, call: &Call) -> CompletedCall {
        self.log(format_args!("{} calls {}", call.by, call.function));
        let event = Event { operation: call.operation.clone(), ..Event::new(call.function, call.event()) };
        let from = self.elapsed();
        let (invocation, result) = self.invoke(event).await;
        let until = self.elapsed();
        let response = match result {
            Ok(response) => {
                let status = response["statusCode"].as_u64().and_then(|status| u16::try_from(status).ok());
                let body = response["body"].as_str().and_then(|body| serde_json::from_str(body).ok());
                let body: Value = body.unwrap_or_default();
                let status = status.expect("a response has a status");
                let code = body["code"].as_str();
                let is_second = call.function == "accept" && body["email"] != json!(call.email);
                let code = code.unwrap_or(if is_second { "a member already" } else { "done" });
                self.count(format!("{}: {status} {code}", call.function));
                Some((status, body))
            }
            Err(InvocationError::Killed | InvocationError::Failed(_)) => None,
        };
        CompletedCall { call: call.clone(), invocation, from, until, response }
    }
}

impl Call {
    /// Creates the event in API Gateway's payload format 2.0.
    fn event(&self) -> Value {
        let claims = json!({
            "sub": caller(&self.by).user.as_str(),
            "email": self.email,
            "email_verified": "true",
        });
        let mut path = serde_json::Map::new();
        if let Some(organization) = &self.organization {
            path.insert("organization_id".to_owned(), json!(organization.as_str()));
        }
        if let Some((name, value)) = &self.parameter {
            path.insert((*name).to_owned(), json!(value));
        }
        let mut headers = json!({ "content-type": "application/json" });
        if let Some(key) = self.key {
            headers["idempotency-key"] = json!(key.to_string());
        }
        let body = if self.body.is_null() { Value::Null } else { json!(self.body.to_string()) };
        json!({
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": "/",
            "rawQueryString": "",
            "headers": headers,
            "pathParameters": path,
            "body": body,
            "isBase64Encoded": false,
            "requestContext": {
                "accountId": "000000000000",
                "apiId": "simulator",
                "domainName": "api.example",
                "domainPrefix": "api",
                "requestId": "request",
                "routeKey": "$default",
                "stage": "$default",
                "time": "24/Nov/2026:12:00:00 +0000",
                "timeEpoch": 1_795_521_600_000_u64,
                "http": {
                    "method": "POST",
                    "path": "/",
                    "protocol": "HTTP/1.1",
                    "sourceIp": "127.0.0.1",
                    "userAgent": "simulator",
                },
                "authorizer": { "jwt": { "claims": claims, "scopes": null } },
            },
        })
    }
}
