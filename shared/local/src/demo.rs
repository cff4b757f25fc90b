//! What the laptop starts with: one organization that has been in use for a while.
//!
//! It is made by the real decisions on a [`ReferenceTable`], at moments in the past, so that it holds whatever the
//! rules ask of it; then it is put into the table as a whole.

use std::time::Duration;

use domain::delivery::{DeliveryUpdate, UpdateDelivery};
use domain::{
    Accept, Action, Caller, Create, Decline, EmailAddress, Expire, Invite, Link, OrganizationId,
    OrganizationName, Policy, Record, Revoke, Role, Sender, Timestamp, UserId,
};
use reference::ReferenceTable;

/// The organization's name.
pub const NAME: &str = "Acme";
/// Its founder and first owner, as (user id, address).
pub const OWNER: (&str, &str) = ("ada", "ada@acme.example");
/// A member.
pub const MEMBER: (&str, &str) = ("grace", "grace@acme.example");
/// Somebody whose invitation is pending, and whose mail is in the mailbox.
pub const INVITEE: (&str, &str) = ("ivy", "ivy@partner.example");

/// The other owner.
const OTHER_OWNER: (&str, &str) = ("linus", "linus@acme.example");
/// Seats that members and pending invitations hold.
const SEATS_TAKEN: usize = 312;
/// Pending invitations whose mail goes out when the laptop starts.
const QUEUED: [&str; 5] = [
    INVITEE.1,
    "omar@partner.example",
    "paula@partner.example",
    "quentin@partner.example",
    "rosa@partner.example",
];
/// Pending invitations that were sent 47 hours ago.
const ALMOST_OVER: [&str; 3] = ["sven@partner.example", "tara@partner.example", "uma@partner.example"];
/// Invitations that nobody accepted in time.
const EXPIRED: [&str; 4] =
    ["viktor@gone.example", "wanda@gone.example", "xaver@gone.example", "yves@gone.example"];
/// An invitation that was withdrawn, and one that was turned down.
const CLOSED: [&str; 2] = ["zoe@gone.example", "abel@gone.example"];

/// What the addresses of the organization's people end in.
const COLLEAGUES: &str = "@acme.example";

const FIRST_NAMES: [&str; 20] = [
    "anna", "bela", "carla", "dan", "elif", "finn", "gita", "hugo", "ines", "jan", "kim", "lea", "milo",
    "nora", "otis", "pia", "ravi", "sara", "tom", "vera",
];
const LAST_NAMES: [&str; 16] = [
    "abt", "berg", "cruz", "diaz", "ek", "fox", "gray", "hahn", "ito", "juric", "kaya", "lund", "mora",
    "nagy", "ono", "pratt",
];

/// The demo could not be made: one of its own decisions was refused.
#[derive(Debug, thiserror::Error)]
#[error("the demo organization cannot be made: {0}")]
pub struct DemoError(String);

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
fn failed(error: impl ToString) -> DemoError {
    DemoError(error.to_string())
}

/// The id of the demo organization: always the same, so that documentation can show it.
#[must_use]
pub fn organization() -> OrganizationId {
    OrganizationId::from_random(*b"roster-demo-acme")
}

/// The id that the dev issuer knows somebody by whose address is `email`: the demo's people have short ones, and
/// whoever else signs in is known by the address.
#[must_use]
pub fn user_id(email: &EmailAddress) -> String {
    let email = email.as_str();
    let mut named = [OWNER, OTHER_OWNER, MEMBER, INVITEE].into_iter();
    if let Some((id, _)) = named.find(|(_, address)| *address == email) {
        return id.to_owned();
    }
    // No more than are there, or two addresses would be one person.
    let name = email.strip_suffix(COLLEAGUES).and_then(|name| name.split_once('.'));
    let name = name.filter(|(first, last)| FIRST_NAMES.contains(first) && LAST_NAMES.contains(last));
    name.map_or_else(|| email.to_owned(), |(first, last)| format!("{first}-{last}"))
}

/// Everything in the demo organization at `now`.
pub fn records(policy: &Policy, now: Timestamp) -> Result<Vec<Record>, DemoError> {
    let mut history =
        History { table: ReferenceTable::default(), policy: policy.clone(), id: organization() };
    let days_ago = |days: i64| Timestamp::from_unix(now.unix() - days * 24 * 60 * 60);
    let hours_ago = |hours: i64| Timestamp::from_unix(now.unix() - hours * 60 * 60);

    history.found(days_ago(90))?;
    history.joins(OTHER_OWNER, Role::Owner, days_ago(89))?;
    history.joins(MEMBER, Role::Member, days_ago(88))?;
    let people = LAST_NAMES.iter().flat_map(|last| FIRST_NAMES.iter().map(move |first| (first, last)));
    let others = SEATS_TAKEN - 3 - QUEUED.len() - ALMOST_OVER.len();
    for (number, (first, last)) in people.take(others).enumerate() {
        let day = 87 - i64::try_from(number / 4).map_err(failed)?;
        history.joins(
            (&format!("{first}-{last}"), &format!("{first}.{last}{COLLEAGUES}")),
            Role::Member,
            days_ago(day),
        )?;
    }
    for email in EXPIRED {
        history.invites(&[email], Role::Member, days_ago(6))?;
        history.mark(email, &DeliveryUpdate::Sent, days_ago(6))?;
        history.expires(email, days_ago(3))?;
    }
    history.invites(&CLOSED, Role::Member, days_ago(2))?;
    history.revokes(CLOSED[0], days_ago(2))?;
    history.declines(CLOSED[1], days_ago(1))?;
    history.invites(&ALMOST_OVER, Role::Member, hours_ago(47))?;
    for email in ALMOST_OVER {
        history.mark(email, &DeliveryUpdate::Delivered, hours_ago(46))?;
    }
    history.mark(
        ALMOST_OVER[2],
        &DeliveryUpdate::Bounced("550 5.1.1 no such user".to_owned()),
        hours_ago(46),
    )?;
    history.invites(&QUEUED, Role::Member, now)?;
    Ok(history.table.records().cloned().collect())
}

struct History {
    table: ReferenceTable,
    policy: Policy,
    id: OrganizationId,
}

impl History {
    fn found(&mut self, at: Timestamp) -> Result<(), DemoError> {
        let name = OrganizationName::parse(NAME).map_err(failed)?;
        self.run(&Create { founder: owner()?, id: self.id.clone(), name }, at)
    }

    fn invites(&mut self, emails: &[&str], role: Role, at: Timestamp) -> Result<(), DemoError> {
        let emails = emails.iter().map(|email| EmailAddress::parse(email)).collect::<Result<Vec<_>, _>>();
        let invitees = emails.map_err(failed)?.into_iter().collect();
        let organization = self.id.clone();
        self.run(&Invite { sender: owner()?, organization, invitees, role, language: None }, at)
    }

    /// Is invited, gets the mail, and accepts.
    fn joins(&mut self, person: (&str, &str), role: Role, at: Timestamp) -> Result<(), DemoError> {
        self.invites(&[person.1], role, at)?;
        self.mark(person.1, &DeliveryUpdate::Sent, at)?;
        self.mark(person.1, &DeliveryUpdate::Delivered, at)?;
        let accept = Accept { caller: caller(person)?, link: self.link(person.1)? };
        self.run(&accept, at + Duration::from_hours(1))
    }

    fn declines(&mut self, email: &str, at: Timestamp) -> Result<(), DemoError> {
        self.run(&Decline { caller: caller((email, email))?, link: self.link(email)? }, at)
    }

    fn revokes(&mut self, email: &str, at: Timestamp) -> Result<(), DemoError> {
        let invitation = Some(self.link(email)?.invitation);
        self.run(&Revoke { caller: owner()?.user, organization: self.id.clone(), invitation }, at)
    }

    fn expires(&mut self, email: &str, at: Timestamp) -> Result<(), DemoError> {
        self.run(&Expire { timer: self.link(email)? }, at)
    }

    fn mark(&mut self, email: &str, mark: &DeliveryUpdate, at: Timestamp) -> Result<(), DemoError> {
        self.run(&UpdateDelivery { link: self.link(email)?, mark: mark.clone() }, at)
    }

    /// The newest link of an address.
    fn link(&self, email: &str) -> Result<Link, DemoError> {
        let email = EmailAddress::parse(email).map_err(failed)?;
        let invitation = self.table.invitation_of(&self.id, &email);
        Ok(invitation.ok_or_else(|| failed("an invitation is missing"))?.link())
    }

    fn run<A: Action<Refusal: std::fmt::Debug>>(
        &mut self,
        action: &A,
        at: Timestamp,
    ) -> Result<(), DemoError> {
        let run = self.table.run(action, &self.policy, at);
        run.map(drop).map_err(|error| DemoError(format!("{}: {error:?}", A::NAME)))
    }
}

fn owner() -> Result<Sender, DemoError> {
    caller(OWNER)?.verified().map_err(failed)
}

fn caller((user, email): (&str, &str)) -> Result<Caller, DemoError> {
    Ok(Caller {
        user: UserId::parse(user).map_err(failed)?,
        email: Some(EmailAddress::parse(email).map_err(failed)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_keeps_the_rules_and_takes_312_seats() {
        let policy = Policy::default();
        let records = records(&policy, Timestamp::from_unix(1_795_615_500)).unwrap();
        let table: ReferenceTable = records.into_iter().collect();
        let organization = table.organization(&organization()).unwrap();
        assert_eq!((organization.seats.taken(), organization.owners), (312, 2));
        assert_eq!(table.violations(), []);
    }

    #[test]
    fn the_demos_people_sign_in_as_who_they_are_there() {
        let policy = Policy::default();
        let table: ReferenceTable =
            records(&policy, Timestamp::from_unix(1_795_615_500)).unwrap().into_iter().collect();
        let mut members = 0;
        for member in table.members(&organization()) {
            assert_eq!(user_id(&member.email), member.user.as_str(), "{}", member.email.as_str());
            members += 1;
        }
        assert_eq!(members, 304);
        let id = |email| user_id(&EmailAddress::parse(email).unwrap());
        assert_eq!((id(INVITEE.1).as_str(), id("You@Example.com").as_str()), (INVITEE.0, "you@example.com"));
        for stranger in ["ivy@acme.example", "anna-abt@acme.example", "ada@example.com"] {
            assert_eq!(id(stranger), stranger);
        }
    }
}
