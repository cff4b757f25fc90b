//! The demo organization: the data that the laptop starts with.
//!
//! The real actions create it on a [`ReferenceTable`], at times in the past, so that it satisfies all rules. The laptop
//! then writes the resulting records into its table.

use std::time::Duration;

use domain::delivery::{DeliveryUpdate, UpdateDelivery};
use domain::{
    Accept, Action, Caller, Create, Decline, EmailAddress, Expire, Invite, Link, OrganizationId,
    OrganizationName, Policy, Record, Revoke, Role, Sender, Timestamp, UserId,
};
use reference::ReferenceTable;

/// The organization's name.
pub const NAME: &str = "Acme";
/// The founder and first owner, as (user id, address).
pub const OWNER: (&str, &str) = ("ada", "ada@acme.example");
/// A member.
pub const MEMBER: (&str, &str) = ("grace", "grace@acme.example");
/// A user with a pending invitation. The mail of the invitation is in the mailbox.
pub const INVITEE: (&str, &str) = ("ivy", "ivy@partner.example");

/// The other owner.
const OTHER_OWNER: (&str, &str) = ("linus", "linus@acme.example");
/// The number of seats that members and pending invitations hold.
const SEATS_TAKEN: usize = 312;
/// Addresses with a pending invitation. The laptop sends these mails when it starts.
const QUEUED: [&str; 5] = [
    INVITEE.1,
    "omar@partner.example",
    "paula@partner.example",
    "quentin@partner.example",
    "rosa@partner.example",
];
/// Addresses with a pending invitation that was sent 47 hours ago and expires in an hour.
const EXPIRES_SOON: [&str; 3] = ["sven@partner.example", "tara@partner.example", "uma@partner.example"];
/// Addresses with an expired invitation.
const EXPIRED: [&str; 4] =
    ["viktor@gone.example", "wanda@gone.example", "xaver@gone.example", "yves@gone.example"];
/// Addresses with a closed invitation: the first one was revoked, the second one declined.
const CLOSED: [&str; 2] = ["zoe@gone.example", "abel@gone.example"];

/// The suffix of the addresses of the organization's members.
const MEMBER_SUFFIX: &str = "@acme.example";

const FIRST_NAMES: [&str; 20] = [
    "anna", "bela", "carla", "dan", "elif", "finn", "gita", "hugo", "ines", "jan", "kim", "lea", "milo",
    "nora", "otis", "pia", "ravi", "sara", "tom", "vera",
];
const LAST_NAMES: [&str; 16] = [
    "abt", "berg", "cruz", "diaz", "ek", "fox", "gray", "hahn", "ito", "juric", "kaya", "lund", "mora",
    "nagy", "ono", "pratt",
];

/// The demo organization could not be created, because one of its actions failed.
#[derive(Debug, thiserror::Error)]
#[error("the demo organization cannot be created: {0}")]
pub struct DemoError(String);

#[expect(clippy::needless_pass_by_value, reason = "`map_err` passes the error by value")]
fn failed(error: impl ToString) -> DemoError {
    DemoError(error.to_string())
}

/// Returns the id of the demo organization. It is always the same, so that documentation can show it.
#[must_use]
pub fn organization() -> OrganizationId {
    OrganizationId::from_random(*b"roster-demo-acme")
}

/// Returns the user id that the laptop's issuer gives to the user with this address.
///
/// Users of the demo organization have short ids. The id of any other user is the address.
#[must_use]
pub fn user_id(email: &EmailAddress) -> String {
    let email = email.as_str();
    let mut demo_users = [OWNER, OTHER_OWNER, MEMBER, INVITEE].into_iter();
    if let Some((id, _)) = demo_users.find(|(_, address)| *address == email) {
        return id.to_owned();
    }
    // Only names from the two lists get a short id. Otherwise two addresses could have the same id.
    let name = email.strip_suffix(MEMBER_SUFFIX).and_then(|name| name.split_once('.'));
    let name = name.filter(|(first, last)| FIRST_NAMES.contains(first) && LAST_NAMES.contains(last));
    name.map_or_else(|| email.to_owned(), |(first, last)| format!("{first}-{last}"))
}

/// Returns all records of the demo organization at `now`.
pub fn records(policy: &Policy, now: Timestamp) -> Result<Vec<Record>, DemoError> {
    let mut history =
        History { table: ReferenceTable::default(), policy: policy.clone(), id: organization() };
    let days_ago = |days: i64| Timestamp::from_unix(now.unix() - days * 24 * 60 * 60);
    let hours_ago = |hours: i64| Timestamp::from_unix(now.unix() - hours * 60 * 60);

    history.create_organization(days_ago(90))?;
    history.add_member(OTHER_OWNER, Role::Owner, days_ago(89))?;
    history.add_member(MEMBER, Role::Member, days_ago(88))?;
    let names = LAST_NAMES.iter().flat_map(|last| FIRST_NAMES.iter().map(move |first| (first, last)));
    let other_members = SEATS_TAKEN - 3 - QUEUED.len() - EXPIRES_SOON.len();
    for (number, (first, last)) in names.take(other_members).enumerate() {
        let day = 87 - i64::try_from(number / 4).map_err(failed)?;
        history.add_member(
            (&format!("{first}-{last}"), &format!("{first}.{last}{MEMBER_SUFFIX}")),
            Role::Member,
            days_ago(day),
        )?;
    }
    for email in EXPIRED {
        history.invite(&[email], Role::Member, days_ago(6))?;
        history.update_delivery(email, &DeliveryUpdate::Sent, days_ago(6))?;
        history.expire(email, days_ago(3))?;
    }
    history.invite(&CLOSED, Role::Member, days_ago(2))?;
    history.revoke(CLOSED[0], days_ago(2))?;
    history.decline(CLOSED[1], days_ago(1))?;
    history.invite(&EXPIRES_SOON, Role::Member, hours_ago(47))?;
    for email in EXPIRES_SOON {
        history.update_delivery(email, &DeliveryUpdate::Delivered, hours_ago(46))?;
    }
    history.update_delivery(
        EXPIRES_SOON[2],
        &DeliveryUpdate::Bounced("550 5.1.1 no such user".to_owned()),
        hours_ago(46),
    )?;
    history.invite(&QUEUED, Role::Member, now)?;
    Ok(history.table.records().cloned().collect())
}

struct History {
    table: ReferenceTable,
    policy: Policy,
    id: OrganizationId,
}

impl History {
    fn create_organization(&mut self, at: Timestamp) -> Result<(), DemoError> {
        let name = OrganizationName::parse(NAME).map_err(failed)?;
        self.run(&Create { founder: owner()?, id: self.id.clone(), name }, at)
    }

    fn invite(&mut self, emails: &[&str], role: Role, at: Timestamp) -> Result<(), DemoError> {
        let emails = emails.iter().map(|email| EmailAddress::parse(email)).collect::<Result<Vec<_>, _>>();
        let invitees = emails.map_err(failed)?.into_iter().collect();
        let organization = self.id.clone();
        self.run(&Invite { sender: owner()?, organization, invitees, role, language: None }, at)
    }

    /// Invites the user, marks the mail as delivered, and accepts the invitation an hour later.
    fn add_member(&mut self, person: (&str, &str), role: Role, at: Timestamp) -> Result<(), DemoError> {
        self.invite(&[person.1], role, at)?;
        self.update_delivery(person.1, &DeliveryUpdate::Sent, at)?;
        self.update_delivery(person.1, &DeliveryUpdate::Delivered, at)?;
        let accept = Accept { caller: caller(person)?, link: self.link(person.1)? };
        self.run(&accept, at + Duration::from_hours(1))
    }

    fn decline(&mut self, email: &str, at: Timestamp) -> Result<(), DemoError> {
        self.run(&Decline { caller: caller((email, email))?, link: self.link(email)? }, at)
    }

    fn revoke(&mut self, email: &str, at: Timestamp) -> Result<(), DemoError> {
        let invitation = Some(self.link(email)?.invitation);
        self.run(&Revoke { caller: owner()?.user, organization: self.id.clone(), invitation }, at)
    }

    fn expire(&mut self, email: &str, at: Timestamp) -> Result<(), DemoError> {
        self.run(&Expire { timer: self.link(email)? }, at)
    }

    fn update_delivery(
        &mut self,
        email: &str,
        update: &DeliveryUpdate,
        at: Timestamp,
    ) -> Result<(), DemoError> {
        self.run(&UpdateDelivery { link: self.link(email)?, update: update.clone() }, at)
    }

    /// Returns the newest link of an address.
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
        let result = self.table.run(action, &self.policy, at);
        result.map(drop).map_err(|error| DemoError(format!("{}: {error:?}", A::NAME)))
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
    fn demo_violates_no_rule_and_takes_312_seats() {
        let policy = Policy::default();
        let records = records(&policy, Timestamp::from_unix(1_795_615_500)).unwrap();
        let table: ReferenceTable = records.into_iter().collect();
        let organization = table.organization(&organization()).unwrap();
        assert_eq!((organization.seats.taken(), organization.owners), (312, 2));
        assert_eq!(table.violations(), []);
    }

    #[test]
    fn user_id_matches_the_members_of_the_demo_organization() {
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
        for other in ["ivy@acme.example", "anna-abt@acme.example", "ada@example.com"] {
            assert_eq!(id(other), other);
        }
    }
}
