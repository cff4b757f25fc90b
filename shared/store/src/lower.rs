//! Each change of a plan as one guarded item of a transaction: one exhaustive match.

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{ConditionCheck, Delete, Put, TransactWriteItem, Update};
use domain::{Change, InvitationChange, MemberChange, OrganizationChange, Role, Standing, Status};

use crate::error::Error;
use crate::expr::{Action, Attr, Condition, Placeholders, number, text};
use crate::key::Key;
use crate::record::{Attributes, invitation_item, member_item, organization_item};

/// A change, taken apart into what DynamoDB knows.
struct Lowered {
    guard: Condition,
    effect: Effect,
}

enum Effect {
    Check,
    Put(Attributes),
    Update(Vec<Action>),
    Delete,
}

/// The transaction item for `change`.
pub(crate) fn lower(table: &str, change: &Change) -> Result<TransactWriteItem, Error> {
    let key = Key::from(&change.item());
    let Lowered { guard, effect } = match change {
        Change::Organization(_, change) => organization(change)?,
        Change::Member(_, _, change) => member(change)?,
        Change::Invitation(_, _, change) => invitation(change)?,
    };
    assemble(table, &key, guard, effect).map_err(|error| Error::Refused(error.into()))
}

fn organization(change: &OrganizationChange) -> Result<Lowered, Error> {
    Ok(match change {
        OrganizationChange::Found(organization) => {
            Lowered { guard: Condition::Absent, effect: Effect::Put(organization_item(organization)?) }
        }
        OrganizationChange::Count { seats_free, owners } => {
            let mut guards = vec![Condition::Exists];
            let mut actions = Vec::new();
            if *seats_free != 0 {
                actions.push(Action::Add(Attr::SeatsFree, number(*seats_free)));
            }
            if *owners != 0 {
                actions.push(Action::Add(Attr::Owners, number(*owners)));
            }
            if *seats_free < 0 {
                guards.push(Condition::AtLeast(Attr::SeatsFree, number(-i64::from(*seats_free))));
            }
            if *owners < 0 {
                guards.push(Condition::AtLeast(Attr::Owners, number(1 - i64::from(*owners))));
            }
            // Counts that cancel out: DynamoDB takes no update that does nothing.
            let effect = if actions.is_empty() { Effect::Check } else { Effect::Update(actions) };
            Lowered { guard: Condition::All(guards), effect }
        }
    })
}

fn member(change: &MemberChange) -> Result<Lowered, Error> {
    let has = |role: Role| Condition::Equals(Attr::Role, text(role.as_str()));
    Ok(match change {
        MemberChange::Join(member) => {
            Lowered { guard: Condition::Absent, effect: Effect::Put(member_item(member)?) }
        }
        MemberChange::MayGrant(granted) => {
            let able = Role::ALL.into_iter().filter(|role| role.may_grant(*granted)).map(has);
            Lowered { guard: Condition::Any(able.collect()), effect: Effect::Check }
        }
        MemberChange::SetRole { from, to } => Lowered {
            guard: has(*from),
            effect: Effect::Update(vec![Action::Set(Attr::Role, text(to.as_str()))]),
        },
        MemberChange::Leave { role, invitation } => Lowered {
            guard: Condition::All(vec![
                has(*role),
                Condition::Equals(Attr::Invitation, text(invitation.as_str())),
            ]),
            effect: Effect::Delete,
        },
    })
}

fn invitation(change: &InvitationChange) -> Result<Lowered, Error> {
    let is = |status: Status| Condition::Equals(Attr::Status, text(status.as_str()));
    Ok(match change {
        InvitationChange::Write(invitation) => Lowered {
            guard: match invitation.revision.previous() {
                None => Condition::Absent,
                Some(read) => Condition::Equals(Attr::Revision, number(read.0)),
            },
            effect: Effect::Put(invitation_item(invitation)?),
        },
        InvitationChange::Stands(Standing::Accepted) => {
            Lowered { guard: is(Status::Accepted), effect: Effect::Check }
        }
        InvitationChange::Stands(Standing::PendingUntil(expires_at)) => Lowered {
            guard: Condition::All(vec![
                is(Status::Pending),
                Condition::Equals(Attr::ExpiresAt, number(expires_at.unix())),
            ]),
            effect: Effect::Check,
        },
        InvitationChange::Remove { at, purge_at } => Lowered {
            guard: is(Status::Accepted),
            effect: Effect::Update(vec![
                Action::Set(Attr::Status, text(Status::Removed.as_str())),
                Action::Set(Attr::ClosedAt, number(at.unix())),
                Action::Set(Attr::Ttl, number(purge_at.unix())),
                Action::Add(Attr::Revision, number(1)),
                Action::Remove(Attr::AcceptedBy),
                Action::Remove(Attr::AcceptedAt),
            ]),
        },
    })
}

fn assemble(
    table: &str,
    key: &Key,
    guard: Condition,
    effect: Effect,
) -> Result<TransactWriteItem, BuildError> {
    let mut placeholders = Placeholders::default();
    let guard = placeholders.condition(guard);
    let item = TransactWriteItem::builder();
    let item = match effect {
        Effect::Check => {
            let check = ConditionCheck::builder()
                .table_name(table)
                .set_key(Some(key.attributes()))
                .condition_expression(guard)
                .set_expression_attribute_names(placeholders.names())
                .set_expression_attribute_values(placeholders.values());
            item.condition_check(check.build()?)
        }
        Effect::Put(attributes) => {
            let put = Put::builder()
                .table_name(table)
                .set_item(Some(attributes))
                .condition_expression(guard)
                .set_expression_attribute_names(placeholders.names())
                .set_expression_attribute_values(placeholders.values());
            item.put(put.build()?)
        }
        Effect::Update(actions) => {
            let update = Update::builder()
                .table_name(table)
                .set_key(Some(key.attributes()))
                .condition_expression(guard)
                .update_expression(placeholders.update(actions))
                .set_expression_attribute_names(placeholders.names())
                .set_expression_attribute_values(placeholders.values());
            item.update(update.build()?)
        }
        Effect::Delete => {
            let delete = Delete::builder()
                .table_name(table)
                .set_key(Some(key.attributes()))
                .condition_expression(guard)
                .set_expression_attribute_names(placeholders.names())
                .set_expression_attribute_values(placeholders.values());
            item.delete(delete.build()?)
        }
    };
    Ok(item.build())
}
