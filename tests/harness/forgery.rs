//! Well-formed tokens that Roster never created.

use local::issuer::Person as Claims;
use serde_json::json;

use crate::{Organization, Person, TWO_DAYS, World, id};

/// A well-formed token with a wrong MAC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forgery {
    /// The part of the token that was changed, or the status of its invitation.
    pub cause: &'static str,
    /// The token.
    pub token: String,
}

/// Indexes of a token's parts.
const KEY: usize = 1;
const ORGANIZATION: usize = 2;
const INVITATION: usize = 3;
const GENERATION: usize = 4;
const EXPIRES_AT: usize = 5;
const MAC: usize = 6;

fn part(token: &str, index: usize) -> &str {
    token.split('.').nth(index).expect("a token has seven parts")
}

fn with_part(token: &str, index: usize, part: &str) -> String {
    let mut parts: Vec<_> = token.split('.').collect();
    parts[index] = part;
    parts.join(".")
}

/// Changes the first letter of the token's MAC.
fn with_wrong_mac(token: &str) -> String {
    let mac = part(token, MAC);
    with_part(token, MAC, &format!("{}{}", if mac.starts_with('A') { 'B' } else { 'A' }, &mac[1..]))
}

impl World {
    /// Creates one forgery of every cause. Also returns their organization, which has invitations of every status.
    /// The invitation of `bob` is pending.
    pub async fn forgeries(&self) -> (Vec<Forgery>, Organization) {
        let ada = self.person("ada");
        let acme = self.founded_by(&ada).await;
        self.invited(&acme, &ada, "expired@example.com", "member").await;
        self.advance(TWO_DAYS).await;
        let revoked = self.invited(&acme, &ada, "revoked@example.com", "member").await;
        ada.revokes(&acme, id(&revoked)).await.is(204);
        self.invited(&acme, &ada, "declined@example.com", "member").await;
        let declined = self.token_for("declined@example.com").await;
        self.person("declined").declines(&declined).await.is(204);
        self.joined(&acme, &ada, "accepted", "owner").await;
        self.joined(&acme, &ada, "removed", "member").await.leaves(&acme).await.is(204);
        self.invited(&acme, &ada, "bob@example.com", "member").await;
        let mut forgeries = Vec::new();
        for (cause, email) in [
            ("wrong MAC, pending invitation", "bob@example.com"),
            ("wrong MAC, expired invitation", "expired@example.com"),
            ("wrong MAC, revoked invitation", "revoked@example.com"),
            ("wrong MAC, declined invitation", "declined@example.com"),
            ("wrong MAC, accepted invitation", "accepted@example.com"),
            ("wrong MAC, invitation of a removed member", "removed@example.com"),
        ] {
            // If the mail of the revoked invitation was not sent, another token with its id is used.
            let token = match self.mails_to(email).await.first() {
                Some(mail) => mail["token"].as_str().expect("a mail has a token").to_owned(),
                None => with_part(&declined, INVITATION, id(&revoked)),
            };
            forgeries.push(Forgery { cause, token: with_wrong_mac(&token) });
        }
        let token = self.token_for("bob@example.com").await;
        let other_organization = self.founded_by(&self.person("eve")).await;
        let expiry: i64 = part(&token, EXPIRES_AT).parse().expect("a token has an expiry");
        let unknown = with_part(&token, ORGANIZATION, "org_4zzzzzzzzzzzzzzzzzzzzzzzzw");
        for (cause, token) in [
            ("another key", with_part(&token, KEY, "other")),
            ("another generation", with_part(&token, GENERATION, "2")),
            ("another expiry", with_part(&token, EXPIRES_AT, &(expiry + 1).to_string())),
            ("MAC of another link", with_part(&token, MAC, part(&declined, MAC))),
            ("unknown invitation", with_part(&token, INVITATION, "inv_00000000000000000000000000")),
            ("another organization", with_part(&token, ORGANIZATION, &other_organization.id)),
            ("unknown organization", with_part(&token, ORGANIZATION, "org_00000000000000000000000000")),
            (
                "unknown organization and invitation",
                with_part(&unknown, INVITATION, "inv_4zzzzzzzzzzzzzzzzzzzzzzzzw"),
            ),
        ] {
            forgeries.push(Forgery { cause, token });
        }
        (forgeries, acme)
    }

    /// Returns a person who uses the same bearer token for every call. The token is valid for one hour.
    pub async fn with_one_token(&self, name: &str) -> Person {
        let claims = json!({ "sub": name, "email": format!("{name}@example.com"), "email_verified": true });
        let claims: Claims = serde_json::from_value(claims).expect("these are valid claims");
        let token = self.laptop().issuer().token(&claims).await.expect("the issuer signs");
        self.person(name).with_token(&token)
    }
}
