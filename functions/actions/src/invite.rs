//! `POST /v1/organizations/{organization_id}/invitations`: invites up to 50 addresses, all with the same role and in
//! the same language.

use std::sync::Arc;

use domain::idempotency::WithIdempotencyKey;
use domain::invite::{ADDRESSES_MAX, InviteOutcome, Invitees};
use domain::{EmailAddress, Invite, Language, Role, Timestamp};
use lambda_api::http::{HandlerError, json_response, to_json};
use lambda_api::input::Input;
use lambda_api::request::{caller, idempotency_key, json, organization};
use lambda_api::view::InvitationView;
use lambda_api::{App, Problem};
use lambda_http::http::StatusCode;
use lambda_http::{Body, Request, Response};
use serde::{Deserialize, Serialize};

/// The requests have a body and no query parameters.
pub const INPUT: Input = Input::Body;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InviteBody {
    emails: Vec<String>,
    #[serde(deserialize_with = "lambda_api::request::role")]
    role: Role,
    #[serde(default, deserialize_with = "lambda_api::request::language")]
    language: Option<Language>,
}

#[derive(Serialize)]
struct InviteView {
    results: Vec<ResultView>,
}

#[derive(Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum ResultView {
    Invited { email: String, invitation: Box<InvitationView> },
    AlreadyInvited { email: String, role: Role, detail: String },
    AlreadyMember { email: String, detail: &'static str },
}

impl ResultView {
    /// Converts the outcome of one address that was invited with the role `role`.
    fn at(now: Timestamp, role: Role, outcome: InviteOutcome) -> Self {
        match outcome {
            InviteOutcome::Invited(invitation) => Self::Invited {
                email: invitation.email.to_string(),
                invitation: Box::new(InvitationView::at(now, &invitation)),
            },
            InviteOutcome::AlreadyInvited { email, role: pending } => Self::AlreadyInvited {
                email: email.into(),
                role: pending,
                detail: if pending == role {
                    "This address has a pending invitation; resend it for another mail.".to_owned()
                } else {
                    format!(
                        "This address has a pending invitation with the role {pending}. To change the role, an owner \
                         must revoke it and invite the address again."
                    )
                },
            },
            InviteOutcome::AlreadyMember(email) => {
                Self::AlreadyMember { email: email.into(), detail: "This address belongs to a member." }
            }
        }
    }
}

/// Returns 200 with one result for each distinct address, in the order of the request.
pub async fn handle(app: Arc<App>, request: Request) -> Result<Response<Body>, HandlerError> {
    let caller = caller(&request)?;
    let key = idempotency_key(&request)?;
    let InviteBody { emails, role, language } = json(&request)?;
    let invitees = invitees(&emails)?;
    let sender = caller.verified()?;
    let invite = Invite { sender, organization: organization(&request)?, invitees, role, language };
    let render = |outcomes: Vec<InviteOutcome>, now| {
        let results = outcomes.into_iter().map(|outcome| ResultView::at(now, role, outcome)).collect();
        to_json(&InviteView { results })
    };
    let invited = app.run(&WithIdempotencyKey::new(invite, key.as_ref(), render)).await?;
    Ok(json_response(StatusCode::OK, invited.body))
}

/// Parses `emails`. The problem names every invalid address.
fn invitees(emails: &[String]) -> Result<Invitees, Problem> {
    if !(1..=ADDRESSES_MAX).contains(&emails.len()) {
        let detail = format!("a request invites from 1 to {ADDRESSES_MAX} addresses, not {}", emails.len());
        return Err(Problem::malformed("/emails", detail));
    }
    let mut valid = Vec::with_capacity(emails.len());
    let mut invalid = Vec::new();
    for (index, email) in emails.iter().enumerate() {
        match EmailAddress::parse(email) {
            Ok(email) => valid.push(email),
            Err(error) => invalid.push((format!("/emails/{index}"), error)),
        }
    }
    if invalid.is_empty() { Ok(valid.into_iter().collect()) } else { Err(Problem::invalid_emails(invalid)) }
}
