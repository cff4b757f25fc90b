//! Links that look like Roster's to a letter, and that it never made.

use local::issuer::Person as Claims;
use serde_json::json;

use crate::{Organization, Person, TWO_DAYS, World, id};

/// A well-formed token whose MAC is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forgery {
    /// What is wrong with it, or what it was made from.
    pub cause: &'static str,
    /// The token.
    pub token: String,
}

/// Where the parts of a token stand.
const KEY: usize = 1;
const ORGANIZATION: usize = 2;
const INVITATION: usize = 3;
const GENERATION: usize = 4;
const EXPIRES_AT: usize = 5;
const MAC: usize = 6;

fn part(token: &str, place: usize) -> &str {
    token.split('.').nth(place).expect("a token has seven parts")
}

fn with(token: &str, place: usize, part: &str) -> String {
    let mut parts: Vec<_> = token.split('.').collect();
    parts[place] = part;
    parts.join(".")
}

/// The token with another first letter in its MAC.
fn forged(token: &str) -> String {
    let mac = part(token, MAC);
    with(token, MAC, &format!("{}{}", if mac.starts_with('A') { 'B' } else { 'A' }, &mac[1..]))
}

impl World {
    /// Forgeries of every cause, in an organization that has a record of every status; `bob` is invited there.
    pub async fn forgeries(&self) -> (Vec<Forgery>, Organization) {
        let ada = self.person("ada");
        let acme = self.founded_by(&ada).await;
        self.invited(&acme, &ada, "expired@example.com", "member").await;
        self.passes(TWO_DAYS).await;
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
            ("of a pending one", "bob@example.com"),
            ("of an expired one", "expired@example.com"),
            ("of a revoked one", "revoked@example.com"),
            ("of a declined one", "declined@example.com"),
            ("of an accepted one", "accepted@example.com"),
            ("of one whose member is gone", "removed@example.com"),
        ] {
            // A revoked one's mail may never have been sent; its link is the others' with its own id.
            let token = match self.mails_to(email).await.first() {
                Some(mail) => mail["token"].as_str().expect("a mail has a token").to_owned(),
                None => with(&declined, INVITATION, id(&revoked)),
            };
            forgeries.push(Forgery { cause, token: forged(&token) });
        }
        let token = self.token_for("bob@example.com").await;
        let other = self.founded_by(&self.person("eve")).await;
        let later: i64 = part(&token, EXPIRES_AT).parse().expect("a token has an expiry");
        let foreign = with(&token, ORGANIZATION, "org_4zzzzzzzzzzzzzzzzzzzzzzzzw");
        for (cause, token) in [
            ("another key's", with(&token, KEY, "other")),
            ("another generation", with(&token, GENERATION, "2")),
            ("another expiry", with(&token, EXPIRES_AT, &(later + 1).to_string())),
            ("another link's MAC", with(&token, MAC, part(&declined, MAC))),
            ("no such invitation", with(&token, INVITATION, "inv_00000000000000000000000000")),
            ("another organization", with(&token, ORGANIZATION, &other.id)),
            ("no such organization", with(&token, ORGANIZATION, "org_00000000000000000000000000")),
            ("another Roster's", with(&foreign, INVITATION, "inv_4zzzzzzzzzzzzzzzzzzzzzzzzw")),
        ] {
            forgeries.push(Forgery { cause, token });
        }
        (forgeries, acme)
    }

    /// The same person with one bearer token for the hour to come.
    pub async fn with_one_token(&self, name: &str) -> Person {
        let claims = json!({ "sub": name, "email": format!("{name}@example.com"), "email_verified": true });
        let claims: Claims = serde_json::from_value(claims).expect("these are a person's claims");
        let token = self.laptop().issuer().token(&claims).await.expect("the issuer signs");
        self.person(name).with_token(&token)
    }
}
