//! Conversion between domain records and the items of the table.

use std::collections::BTreeSet;
use std::fmt::Display;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::idempotency::{Fingerprint, StoredResponse};
use domain::{
    CloseReason, Delivery, EmailAddress, Generation, Invitation, InvitationId, ItemKey, Language, Mail,
    MailId, Member, Organization, OrganizationId, OrganizationName, RecipientDay, Record, Revision, Role,
    Seats, Sender, State, Status, Timestamp, UserId, WindowCounter,
};
use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::{from_item, to_item};

use crate::error::{CorruptItem, Error};
use crate::expr::{Attr, text};
use crate::key::{self, Key, organization_partition, user_partition};

pub use crate::expr::Attributes;

/// The number of shards of the index `by_due`. Each shard is one partition of it, with limited write throughput.
pub const DUE_SHARDS: u8 = 8;

#[derive(Serialize, Deserialize)]
struct OrganizationRecord {
    name: OrganizationName,
    seats_total: u32,
    seats_free: u32,
    owners: u32,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    invited: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    invited_since: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
struct MemberRecord {
    role: Role,
    email: EmailAddress,
    invitation: InvitationId,
    joined_at: Timestamp,
    person: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mailed: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mailed_since: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
struct SenderRecord {
    user_id: UserId,
    email: EmailAddress,
}

#[derive(Serialize, Deserialize)]
struct InvitationRecord {
    email: EmailAddress,
    role: Role,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<Language>,
    status: Status,
    generation: Generation,
    revision: Revision,
    sender: SenderRecord,
    created_at: Timestamp,
    expires_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery: Option<Delivery>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery_detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted_by: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    closed_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    due_shard: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    due_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
struct RecipientRecord {
    #[serde(with = "serde_dynamo::string_set")]
    mails: BTreeSet<String>,
    ttl: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct ResponseRecord {
    request: String,
    body: String,
    ttl: Timestamp,
}

/// Converts `record` to an item with the primary key `key`.
fn item_with_key(key: &Key, record: impl Serialize) -> Result<Attributes, Error> {
    let mut item: Attributes = to_item(record).map_err(|error| corrupt(key, error))?;
    item.insert(Attr::Pk.as_str().to_owned(), text(&key.pk));
    item.insert(Attr::Sk.as_str().to_owned(), text(&key.sk));
    Ok(item)
}

fn corrupt(key: &Key, what: impl Display) -> CorruptItem {
    CorruptItem { key: key.to_string(), what: what.to_string() }
}

fn organization_item(organization: &Organization) -> Result<Attributes, Error> {
    item_with_key(
        &Key::organization(&organization.id),
        OrganizationRecord {
            name: organization.name.clone(),
            seats_total: organization.seats.total,
            seats_free: organization.seats.free,
            owners: organization.owners,
            created_at: organization.created_at,
            invited: organization.invited.map(|it| it.count),
            invited_since: organization.invited.map(|it| it.since),
        },
    )
}

fn member_item(member: &Member) -> Result<Attributes, Error> {
    item_with_key(
        &Key::member(&member.organization, &member.user),
        MemberRecord {
            role: member.role,
            email: member.email.clone(),
            invitation: member.invitation.clone(),
            joined_at: member.joined_at,
            person: user_partition(&member.user),
            mailed: member.mailed.map(|it| it.count),
            mailed_since: member.mailed.map(|it| it.since),
        },
    )
}

fn invitation_item(invitation: &Invitation) -> Result<Attributes, Error> {
    let (mut accepted_by, mut accepted_at) = (None, None);
    let (mut closed_at, mut ttl) = (None, None);
    let (mut due_shard, mut due_at) = (None, None);
    match &invitation.state {
        State::Pending { due_at: due } => {
            due_shard = Some(shard(&invitation.id));
            due_at = Some(*due);
        }
        State::Accepted { by, at } => {
            accepted_by = Some(by.clone());
            accepted_at = Some(*at);
        }
        State::Closed { at, purge_at, .. } => {
            closed_at = Some(*at);
            ttl = Some(*purge_at);
        }
    }
    let mail = invitation.mail.as_ref();
    item_with_key(
        &Key::invitation(&invitation.organization, &invitation.id),
        InvitationRecord {
            email: invitation.email.clone(),
            role: invitation.role,
            language: invitation.language,
            status: invitation.status(),
            generation: invitation.generation,
            revision: invitation.revision,
            sender: SenderRecord {
                user_id: invitation.sender.user.clone(),
                email: invitation.sender.email.clone(),
            },
            created_at: invitation.created_at,
            expires_at: invitation.expires_at,
            delivery: mail.map(|mail| mail.delivery),
            delivery_detail: mail.and_then(|mail| mail.detail.clone()),
            sent_at: mail.and_then(|mail| mail.sent_at),
            accepted_by,
            accepted_at,
            closed_at,
            due_shard,
            due_at,
            ttl,
        },
    )
}

/// Returns an invitation's shard. The ids are hashes, so their last characters are evenly distributed.
fn shard(invitation: &InvitationId) -> u8 {
    let last = invitation.as_str().bytes().rev().take(4);
    last.fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte)) % DUE_SHARDS
}

/// Reads the primary key of an item.
pub(crate) fn key_of(item: &Attributes) -> Result<Key, CorruptItem> {
    let part = |attribute: Attr| item.get(attribute.as_str()).and_then(|value| value.as_s().ok()).cloned();
    match (part(Attr::Pk), part(Attr::Sk)) {
        (Some(pk), Some(sk)) => Ok(Key { pk, sk }),
        (pk, sk) => {
            Err(CorruptItem { key: format!("{pk:?}/{sk:?}"), what: "pk or sk is not a string".to_owned() })
        }
    }
}

fn organization(id: &OrganizationId, record: OrganizationRecord) -> Organization {
    Organization {
        id: id.clone(),
        name: record.name,
        seats: Seats { total: record.seats_total, free: record.seats_free },
        owners: record.owners,
        created_at: record.created_at,
        invited: window_counter(record.invited, record.invited_since),
    }
}

fn member(organization: &OrganizationId, user: &UserId, record: MemberRecord) -> Member {
    Member {
        organization: organization.clone(),
        user: user.clone(),
        role: record.role,
        email: record.email,
        invitation: record.invitation,
        joined_at: record.joined_at,
        mailed: window_counter(record.mailed, record.mailed_since),
    }
}

/// The part of a member's record that a list shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberSummary {
    /// The member's user id.
    pub user: UserId,
    /// The address that was invited.
    pub email: EmailAddress,
    /// The member's role.
    pub role: Role,
    /// When the user became a member.
    pub joined_at: Timestamp,
}

/// The attributes that [`member_summary`] reads.
pub(crate) const MEMBER_SUMMARY_ATTRIBUTES: [Attr; 4] = [Attr::Sk, Attr::Role, Attr::Email, Attr::JoinedAt];

/// Reads a member of `organization` from an item that has at least [`MEMBER_SUMMARY_ATTRIBUTES`].
///
/// Reads each attribute directly, because `from_item` would take a large part of the CPU time of a list of 1,000
/// members.
pub(crate) fn member_summary(
    organization: &OrganizationId,
    mut item: Attributes,
) -> Result<MemberSummary, CorruptItem> {
    let user = member_user(organization, &item)?;
    let invalid = |attribute: Attr| {
        corrupt(&Key::member(organization, &user), format!("missing or invalid {}", attribute.as_str()))
    };
    let mut take = |attribute: Attr| item.remove(attribute.as_str()).ok_or_else(|| invalid(attribute));
    let (email, role, joined_at) = (take(Attr::Email)?, take(Attr::Role)?, take(Attr::JoinedAt)?);
    let email = match email {
        AttributeValue::S(email) => EmailAddress::stored(email),
        _ => None,
    };
    let role = role.as_s().ok().and_then(|role| role.parse().ok());
    let joined_at = joined_at.as_n().ok().and_then(|seconds| seconds.parse().ok());
    Ok(MemberSummary {
        email: email.ok_or_else(|| invalid(Attr::Email))?,
        role: role.ok_or_else(|| invalid(Attr::Role))?,
        joined_at: Timestamp::from_unix(joined_at.ok_or_else(|| invalid(Attr::JoinedAt))?),
        user,
    })
}

/// Reads the user id from the sort key of a member's item in `organization`.
pub(crate) fn member_user(organization: &OrganizationId, item: &Attributes) -> Result<UserId, CorruptItem> {
    let sk = item.get(Attr::Sk.as_str()).and_then(|value| value.as_s().ok());
    let user = sk.and_then(|sk| key::parse_member(sk));
    let invalid = || CorruptItem {
        key: format!("{}/{sk:?}", organization_partition(organization)),
        what: "not a member's key".to_owned(),
    };
    user.ok_or_else(invalid)
}

/// Combines the two attributes of a window counter, which are always written together.
fn window_counter(count: Option<u32>, since: Option<Timestamp>) -> Option<WindowCounter> {
    let (count, since) = count.zip(since)?;
    Some(WindowCounter { since, count })
}

fn recipient_day_item(day: &RecipientDay) -> Result<Attributes, Error> {
    let mails = day.mails.iter().map(|mail| mail.as_str().to_owned()).collect();
    let record = RecipientRecord { mails, ttl: day.day.purge_at() };
    item_with_key(&Key::recipient_day(&day.recipient, day.day), record)
}

fn response_item(response: &StoredResponse) -> Result<Attributes, Error> {
    let request = response.request.as_str().to_owned();
    let record = ResponseRecord { request, body: response.body.clone(), ttl: response.until };
    item_with_key(&Key::response(&response.id), record)
}

/// Reads the organization and the role from an item of the index `by_user`.
pub(crate) fn membership(item: Attributes) -> Result<(OrganizationId, Role), CorruptItem> {
    #[derive(Deserialize)]
    struct IndexRecord {
        role: Role,
    }
    let key = key_of(&item)?;
    let Some(ItemKey::Member(organization, _)) = key.item() else {
        return Err(corrupt(&key, "not a member's key"));
    };
    let IndexRecord { role } = from_item(item).map_err(|error| corrupt(&key, error))?;
    Ok((organization, role))
}

/// Returns the value of a required attribute, or an error if it is missing.
fn required<T>(key: &Key, attribute: &str, value: Option<T>) -> Result<T, CorruptItem> {
    value.ok_or_else(|| corrupt(key, format_args!("{attribute} is missing")))
}

fn invitation(
    organization: &OrganizationId,
    id: &InvitationId,
    record: InvitationRecord,
) -> Result<Invitation, CorruptItem> {
    let key = Key::invitation(organization, id);
    let closed = |how| {
        Ok::<_, CorruptItem>(State::Closed {
            how,
            at: required(&key, "closed_at", record.closed_at)?,
            purge_at: required(&key, "ttl", record.ttl)?,
        })
    };
    let state = match record.status {
        Status::Pending => State::Pending { due_at: required(&key, "due_at", record.due_at)? },
        Status::Accepted => State::Accepted {
            by: required(&key, "accepted_by", record.accepted_by)?,
            at: required(&key, "accepted_at", record.accepted_at)?,
        },
        Status::Revoked => closed(CloseReason::Revoked)?,
        Status::Expired => closed(CloseReason::Expired)?,
        Status::Declined => closed(CloseReason::Declined)?,
        Status::Removed => closed(CloseReason::Removed)?,
    };
    Ok(Invitation {
        id: id.clone(),
        organization: organization.clone(),
        email: record.email,
        role: record.role,
        language: record.language,
        generation: record.generation,
        revision: record.revision,
        sender: Sender { user: record.sender.user_id, email: record.sender.email },
        created_at: record.created_at,
        expires_at: record.expires_at,
        state,
        mail: record.delivery.map(|delivery| Mail {
            delivery,
            detail: record.delivery_detail,
            sent_at: record.sent_at,
        }),
    })
}

/// Parses `item`, which was read with the key `key`.
pub(crate) fn parse(key: &ItemKey, item: Attributes) -> Result<Record, CorruptItem> {
    fn read<T: for<'de> Deserialize<'de>>(key: &ItemKey, item: Attributes) -> Result<T, CorruptItem> {
        from_item(item).map_err(|error| corrupt(&Key::from(key), error))
    }
    Ok(match key {
        ItemKey::Organization(id) => Record::Organization(organization(id, read(key, item)?)),
        ItemKey::Member(organization, user) => Record::Member(member(organization, user, read(key, item)?)),
        ItemKey::Invitation(organization, id) => {
            Record::Invitation(invitation(organization, id, read(key, item)?)?)
        }
        ItemKey::Recipient(recipient, day) => {
            let RecipientRecord { mails, .. } = read(key, item)?;
            let mails = mails.into_iter().map(MailId::stored).collect();
            Record::Recipient(RecipientDay { recipient: recipient.clone(), day: *day, mails })
        }
        ItemKey::Response(id) => {
            let ResponseRecord { request, body, ttl } = read(key, item)?;
            let request = Fingerprint::stored(request);
            Record::Response(StoredResponse { id: id.clone(), request, body, until: ttl })
        }
    })
}

/// Parses an item of any kind. The item's own primary key determines the kind.
pub fn read(item: Attributes) -> Result<Record, CorruptItem> {
    let key = key_of(&item)?;
    let item_key = key.item().ok_or_else(|| corrupt(&key, "not a key that Roster writes"))?;
    parse(&item_key, item)
}

/// Converts a record to an item.
pub fn write(record: &Record) -> Result<Attributes, Error> {
    match record {
        Record::Organization(organization) => organization_item(organization),
        Record::Member(member) => member_item(member),
        Record::Invitation(invitation) => invitation_item(invitation),
        Record::Recipient(day) => recipient_day_item(day),
        Record::Response(response) => response_item(response),
    }
}

/// The attributes of an invitation's stream image that show whether the invitation must be processed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct InvitationImage {
    /// The stored status. A pending invitation past its expiry is still pending here.
    pub status: Status,
    /// The delivery state of the newest mail.
    #[serde(default)]
    pub delivery: Option<Delivery>,
    /// The generation of the newest mail.
    pub generation: Generation,
    /// The invitation can be accepted strictly before this time.
    pub expires_at: Timestamp,
}

/// Reads an invitation's ids from the keys of a stream record; `None` for another kind of item.
pub fn invitation_key(
    keys: &serde_dynamo::Item,
) -> Result<Option<(OrganizationId, InvitationId)>, CorruptItem> {
    let part = |attribute: Attr| match keys.get(attribute.as_str()) {
        Some(serde_dynamo::AttributeValue::S(text)) => Some(text.clone()),
        _ => None,
    };
    let (Some(pk), Some(sk)) = (part(Attr::Pk), part(Attr::Sk)) else {
        return Err(CorruptItem {
            key: "stream record".to_owned(),
            what: "pk or sk is not a string".to_owned(),
        });
    };
    let key = Key { pk, sk };
    match key.item() {
        Some(ItemKey::Invitation(organization, invitation)) => Ok(Some((organization, invitation))),
        None if key.is_invitation() => Err(corrupt(&key, "not an invitation's key")),
        _ => Ok(None),
    }
}

/// Parses an invitation's image of a stream record; `None` if the record has no such image.
pub fn invitation_image(image: &serde_dynamo::Item) -> Result<Option<InvitationImage>, CorruptItem> {
    if image.is_empty() {
        return Ok(None);
    }
    serde_dynamo::from_item(image.clone())
        .map(Some)
        .map_err(|error| CorruptItem { key: "stream image".to_owned(), what: error.to_string() })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::expr::number;

    fn sample(state: State, mail: Option<Mail>) -> Invitation {
        let organization = OrganizationId::from_random([1; 16]);
        let email = EmailAddress::parse("ada@example.com").unwrap();
        let now = Timestamp::from_unix(1_795_615_500);
        Invitation {
            id: InvitationId::of(&organization, &email),
            organization,
            email: email.clone(),
            role: Role::Member,
            language: None,
            generation: Generation(2),
            revision: Revision(5),
            sender: Sender { user: UserId::parse("auth0|1").unwrap(), email },
            created_at: now,
            expires_at: now + Duration::from_mins(1),
            state,
            mail,
        }
    }

    #[test]
    fn round_trips_an_invitation_in_every_state() {
        let at = Timestamp::from_unix(1_795_615_501);
        let by = UserId::parse("auth0|2").unwrap();
        let bounced =
            Mail { delivery: Delivery::Bounced, detail: Some("gone".to_owned()), sent_at: Some(at) };
        for (state, mail) in [
            (State::Pending { due_at: at }, Some(bounced)),
            (State::Accepted { by, at }, None),
            (State::Closed { how: CloseReason::Removed, at, purge_at: at }, None),
        ] {
            let stored = sample(state, mail);
            let item = invitation_item(&stored).unwrap();
            assert_eq!(item.contains_key("due_shard"), stored.status() == Status::Pending);
            assert_eq!(item.contains_key("ttl"), !stored.holds_seat());
            assert_eq!(read(item).unwrap(), Record::Invitation(stored));
        }
    }

    #[test]
    fn reads_an_invitation_whose_address_cannot_be_invited() {
        let mut item = invitation_item(&sample(State::Pending { due_at: Timestamp::MAX }, None)).unwrap();
        item.insert("email".to_owned(), text("bob@127.0.0.1"));
        let Record::Invitation(stored) = read(item.clone()).unwrap() else { panic!("not an invitation") };
        assert_eq!(stored.email.as_str(), "bob@127.0.0.1");
        item.insert("email".to_owned(), text("Bob@example.com"));
        assert!(read(item).is_err(), "no address is stored in upper case");
    }

    #[test]
    fn round_trips_an_invitation_in_every_language_and_without_one() {
        let pending = || sample(State::Pending { due_at: Timestamp::MAX }, None);
        for language in Language::ALL {
            let stored = Invitation { language: Some(language), ..pending() };
            let item = invitation_item(&stored).unwrap();
            assert_eq!(item["language"], text(language.as_str()));
            assert_eq!(read(item).unwrap(), Record::Invitation(stored));
        }
        let item = invitation_item(&pending()).unwrap();
        assert!(!item.contains_key("language"));
        assert_eq!(read(item).unwrap(), Record::Invitation(pending()));
    }

    #[test]
    fn reads_a_member_summary_from_four_attributes_and_names_an_invalid_one() {
        let organization = OrganizationId::from_random([1; 16]);
        let email = EmailAddress::parse("ada@example.com").unwrap();
        let member = Member {
            organization: organization.clone(),
            user: UserId::parse("auth0|1").unwrap(),
            role: Role::Owner,
            email: email.clone(),
            invitation: InvitationId::of(&organization, &email),
            joined_at: Timestamp::from_unix(1_795_615_500),
            mailed: None,
        };
        let mut item = member_item(&member).unwrap();
        item.retain(|name, _| MEMBER_SUMMARY_ATTRIBUTES.iter().any(|attribute| attribute.as_str() == name));
        let Member { user, role, joined_at, .. } = member;
        assert_eq!(
            member_summary(&organization, item.clone()).unwrap(),
            MemberSummary { user, email, role, joined_at }
        );

        for attribute in MEMBER_SUMMARY_ATTRIBUTES {
            let invalid = [None, Some(AttributeValue::Bool(true)), Some(text("no such")), Some(number(1))];
            // The last value, a number, is valid for `joined_at`.
            for value in invalid.into_iter().take(if attribute == Attr::JoinedAt { 3 } else { 4 }) {
                let mut item = item.clone();
                item.remove(attribute.as_str());
                item.extend(value.map(|value| (attribute.as_str().to_owned(), value)));
                let error = member_summary(&organization, item).unwrap_err();
                let what = if attribute == Attr::Sk { "not a member's key" } else { attribute.as_str() };
                assert!(error.what.ends_with(what), "{attribute:?}: {error:?}");
            }
        }
    }

    #[test]
    fn the_error_of_a_corrupt_item_shows_its_key_and_no_value() {
        let mut item = invitation_item(&sample(State::Pending { due_at: Timestamp::MAX }, None)).unwrap();
        item.insert("email".to_owned(), text("not-an-address-but-private"));
        let error = read(item.clone()).unwrap_err().to_string();
        assert!(error.contains("INVITATION#inv_") && !error.contains("private"), "{error}");
        item.insert("email".to_owned(), text("ada@example.com"));
        item.remove("due_at");
        let error = read(item).unwrap_err().to_string();
        assert!(error.contains("due_at is missing"), "{error}");
    }

    #[test]
    fn uses_every_shard() {
        let organization = OrganizationId::from_random([1; 16]);
        let mut used = [false; DUE_SHARDS as usize];
        for number in 0..200 {
            let email = EmailAddress::parse(&format!("p{number}@example.com")).unwrap();
            used[usize::from(shard(&InvitationId::of(&organization, &email)))] = true;
        }
        assert_eq!(used, [true; DUE_SHARDS as usize]);
    }
}
