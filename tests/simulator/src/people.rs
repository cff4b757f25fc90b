//! People: who calls what, by chance, and what they are answered.

use std::sync::Arc;
use std::time::Duration;

use domain::{Caller, Invitation, InvitationId, OrganizationId, Role, Status, Token, UserId};
use reference::Operation;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::answers::{Answered, Answers};
use crate::lambda::{Event, Failed};
use crate::world::{World, caller};

/// Everybody, the founders first.
pub const NAMES: [&str; 6] = ["ada", "bob", "cyd", "dan", "eve", "fay"];

/// People who are invited and seldom come.
const STRANGERS: [&str; 6] = ["gil", "hal", "ida", "jon", "kim", "lea"];

/// A call, as the gateway hands it over.
#[derive(Debug, Clone)]
pub struct Call {
    function: &'static str,
    /// By whom.
    pub by: String,
    /// Where, if it names an organization.
    pub organization: Option<OrganizationId>,
    parameter: Option<(&'static str, String)>,
    /// What it hands over.
    pub body: Value,
    /// What it does, as far as the rules ask.
    pub operation: Operation,
    /// What its caller names it, if they do.
    pub key: Option<u32>,
}

/// How many calls one of the people makes.
const CALLS: u32 = 14;
/// For so long after they have come back, people quarrel.
const QUARREL: Duration = Duration::from_millis(150);

impl World {
    /// Somebody is there for as long as things go wrong, and makes their calls.
    pub async fn lives(self: Arc<Self>, organizations: Vec<OrganizationId>, answers: Answers) {
        for _ in 0..CALLS {
            sleep(self.pause()).await;
            if self.is_calm() {
                return;
            }
            let Some(call) = self.idea(&organizations) else { continue };
            // Whoever gets no answer tries again, now and then; and by a key, even who has one.
            for _ in 0..3 {
                let answered = self.calls(&call).await;
                let worked = answered.answer.as_ref().is_some_and(|(status, _)| *status < 500);
                answers.lock().expect("nobody panics with the answers").push(answered);
                let enough = if call.key.is_some() { 0.2 } else { 0.5 };
                if (worked && call.key.is_none()) || self.by_chance(enough) {
                    break;
                }
            }
        }
    }

    /// Mostly moments; now and then the better part of an invitation's life, and then all come back at the same
    /// moment, so that their calls meet.
    fn pause(&self) -> Duration {
        let moment = Duration::from_millis(u64::from(self.up_to(12)));
        match self.up_to(10) {
            1..=5 => moment,
            6..=7 => moment * 300,
            _ => {
                let next = self.shift() * (self.shifts() + self.up_to(2)) + moment;
                next.saturating_sub(self.elapsed())
            }
        }
    }

    fn shift(&self) -> Duration {
        self.faults.end / CALLS
    }

    /// How many shifts are over.
    fn shifts(&self) -> u32 {
        u32::try_from(self.elapsed().as_millis() / self.shift().as_millis().max(1)).unwrap_or(0)
    }

    /// What everybody is at, right after they have come back: in which organization, over what.
    fn quarrel(&self, organizations: &[OrganizationId]) -> Option<(OrganizationId, Over)> {
        let shifts = self.shifts();
        let began = self.shift() * shifts;
        if shifts == 0 || self.elapsed() > began + QUARREL || self.by_chance(0.2) {
            return None;
        }
        let number = usize::try_from(shifts).ok()?;
        let over = [Over::Owners, Over::Seats, Over::Invitation][number % 3];
        Some((organizations[number / 3 % organizations.len()].clone(), over))
    }

    /// What somebody does next. Nobody knows better than anybody what is still so when they do it.
    fn idea(&self, organizations: &[OrganizationId]) -> Option<Call> {
        let stored = self.records();
        let quarrel = self.quarrel(organizations);
        let over = quarrel.as_ref().map(|(_, over)| *over);
        let organization = match quarrel {
            Some((organization, _)) => organization,
            None => self.one_of(organizations)?.clone(),
        };
        let names: Vec<_> = NAMES.iter().map(|name| (*name).to_owned()).collect();
        let members: Vec<_> = stored.members(&organization).map(|it| it.user.to_string()).collect();
        let mut invitations: Vec<_> = stored.invitations(&organization).cloned().collect();
        if over == Some(Over::Invitation) {
            // All want something of the same one.
            invitations.retain(|it| it.status() == Status::Pending);
            invitations.truncate(1);
        }
        let owners: Vec<_> = stored.members(&organization).filter(|it| it.role == Role::Owner).collect();
        let by = if self.by_chance(0.9) { self.one_of(&members)? } else { self.one_of(&names)? };
        let user = || caller(by).user;
        let role = || if self.by_chance(0.4) { Role::Owner } else { Role::Member };
        let call = |function, parameter, body, operation| Call {
            function,
            by: by.clone(),
            organization: Some(organization.clone()),
            parameter,
            body,
            operation,
            key: None,
        };
        let keyed = |call| Call { key: self.by_chance(0.4).then(|| self.next_key()), ..call };
        let of_invitation = |function, operation: fn(UserId, InvitationId) -> Operation| {
            let Invitation { id, .. } = self.one_of(&invitations)?.clone();
            let operation = operation(user(), id.clone());
            Some(call(function, Some(("invitation_id", id.to_string())), Value::Null, operation))
        };
        let act = match over {
            None => self.up_to(20),
            Some(Over::Seats) => *self.one_of(&[1, 1, 1, 9])?,
            Some(Over::Invitation) => *self.one_of(&[7, 9, 14, 15, 15])?,
            Some(Over::Owners) => *self.one_of(&[10, 12])?,
        };
        match act {
            1..=6 => {
                // Over the last seats, everybody wants somebody else to have one.
                let (whom, most) = if over.is_some() { (STRANGERS, 1) } else { (NAMES, 3) };
                let emails: Vec<_> = (0..self.up_to(most))
                    .filter_map(|_| Some(format!("{}@example.com", self.one_of(&whom)?)))
                    .collect();
                let role = role();
                let body = json!({ "emails": emails, "role": role });
                Some(keyed(call("invite", None, body, Operation::Invite { by: user(), role })))
            }
            7..=8 => {
                of_invitation("resend", |by, invitation| Operation::Resend { by, invitation }).map(keyed)
            }
            9 => of_invitation("revoke", |by, invitation| Operation::Revoke { by, invitation }),
            10..=11 => {
                let (member, role) = match over {
                    Some(_) if owners.len() < 2 => (self.one_of(&members)?.clone(), Role::Owner),
                    Some(_) => (self.one_of(&owners)?.user.to_string(), Role::Member),
                    None => (self.one_of(&members)?.clone(), role()),
                };
                let operation = Operation::RoleEdit { by: user(), member: caller(&member).user };
                let parameter = Some(("user_id", member));
                Some(call("role-edit", parameter, json!({ "role": role }), operation))
            }
            12..=13 => {
                let member = if self.by_chance(0.5) { by.clone() } else { self.one_of(&members)?.clone() };
                let operation = Operation::Remove { by: user(), member: caller(&member).user };
                Some(call("remove", Some(("user_id", member)), Value::Null, operation))
            }
            20 => {
                let body = json!({ "name": format!("Acme {}", self.up_to(3)) });
                Some(call("organization-edit", None, body, Operation::OrganizationEdit { by: user() }))
            }
            number => {
                let (token, to) = self.token(over.and_then(|_| invitations.first()))?;
                let by = to.split('@').next()?.to_owned();
                let (function, operation) = if number == 14 {
                    let email = caller(&by).email?;
                    ("decline", Operation::Decline { email, link: token.link.clone() })
                } else {
                    ("accept", Operation::Accept(token.link.clone()))
                };
                let body = json!({ "token": token.reveal() });
                Some(Call { function, by, organization: None, parameter: None, body, operation, key: None })
            }
        }
    }

    /// One of the newest tokens, mostly; of this invitation, if there is one.
    fn token(&self, of: Option<&Invitation>) -> Option<(Token, String)> {
        let mut tokens = self.mailbox().tokens.clone();
        tokens.retain(|(token, _)| of.is_none_or(|invitation| token.link.invitation == invitation.id));
        let newest = tokens.len().saturating_sub(4);
        if self.by_chance(0.8) {
            self.one_of(&tokens[newest..]).cloned()
        } else {
            self.one_of(&tokens).cloned()
        }
    }

    async fn calls(self: &Arc<Self>, call: &Call) -> Answered {
        self.note(format_args!("{} calls {}", call.by, call.function));
        let event = Event { operation: call.operation.clone(), ..Event::new(call.function, call.event()) };
        let from = self.elapsed();
        let (invocation, answer) = self.invoke(event).await;
        let until = self.elapsed();
        let answer = match answer {
            Ok(answer) => {
                let status = answer["statusCode"].as_u64().and_then(|status| u16::try_from(status).ok());
                let body = answer["body"].as_str().and_then(|body| serde_json::from_str(body).ok());
                let body: Value = body.unwrap_or_default();
                let status = status.expect("an answer has a status");
                let code = body["code"].as_str().unwrap_or("done");
                self.count(format!("{}: {status} {code}", call.function));
                Some((status, body))
            }
            Err(Failed::Killed | Failed::Error(_)) => None,
        };
        Answered { call: call.clone(), invocation, from, until, answer }
    }
}

/// What people quarrel over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    /// Who is an owner.
    Owners,
    /// The last seats.
    Seats,
    /// One invitation.
    Invitation,
}

impl Call {
    /// The event of API Gateway's payload format 2.0.
    fn event(&self) -> Value {
        let Caller { user, email } = caller(&self.by);
        let claims = json!({
            "sub": user.as_str(),
            "email": email.map(String::from),
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
