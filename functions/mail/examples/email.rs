//! Writes a sample email in every language to a folder, as text and as HTML:
//!
//! ```text
//! cargo run -p mail --example email -- target/emails
//! ```

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;
use std::{env, fs};

use domain::{
    Delivery, EmailAddress, Generation, Invitation, InvitationId, KeyId, Language, Mac, Mail, OrganizationId,
    OrganizationName, Revision, Role, Sender, State, Timestamp, Token, UserId,
};
use mail::email::EmailTemplate;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(env::args_os().nth(1).ok_or("usage: email FOLDER")?);
    fs::create_dir_all(&folder)?;
    let template = EmailTemplate::new("Example", "https://app.example/accept", Language::default())?;
    let name = OrganizationName::parse("Acme Ltd.")?;
    for language in Language::ALL {
        let invitation = invitation(language)?;
        let now = invitation.created_at;
        let token = Token { key: KeyId::parse("k1")?, link: invitation.link(), mac: Mac([7; 32]) };
        let email = template.write(&name, &invitation, &token, now)?;
        fs::write(folder.join(format!("{language}.html")), email.html)?;
        fs::write(folder.join(format!("{language}.txt")), email.text)?;
    }
    Ok(())
}

/// Creates a sample invitation.
fn invitation(language: Language) -> Result<Invitation, Box<dyn Error>> {
    let organization = OrganizationId::from_random([1; 16]);
    let email = EmailAddress::parse("ivy@acme.example")?;
    let sender = Sender { user: UserId::parse("olga")?, email: EmailAddress::parse("olga@acme.example")? };
    let created_at: Timestamp = "2026-11-24T14:05:00Z".parse()?;
    let expires_at = created_at + Duration::from_hours(48);
    Ok(Invitation {
        id: InvitationId::of(&organization, &email),
        organization,
        email,
        role: Role::Member,
        language: Some(language),
        generation: Generation(1),
        revision: Revision::FIRST,
        sender,
        created_at,
        expires_at,
        state: State::Pending { due_at: expires_at },
        mail: Some(Mail { delivery: Delivery::Queued, detail: None, sent_at: None }),
    })
}
