//! Each change of a plan as one guarded item of a transaction: one exhaustive match.

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Delete, Put, TransactWriteItem, Update};
use domain::{
    AnswerChange, Change, Counting, Day, InvitationChange, Lapse, LapseChange, MemberChange,
    OrganizationChange, RecipientChange, Role, Standing, Status,
};

use crate::error::Error;
use crate::expr::{Action, Attr, Condition, Placeholders, number, text, texts};
use crate::key::Key;
use crate::record::{Attributes, answer_item, invitation_item, lapse_item, member_item, organization_item};

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
        Change::Lapse(organization, sender, lane, change) => match change {
            LapseChange::Absent => Lowered { guard: Condition::Absent, effect: Effect::Check },
            LapseChange::Mark { purge_at } => {
                let (organization, sender) = (organization.clone(), sender.clone());
                let lapse = Lapse { organization, sender, lane: *lane, purge_at: *purge_at };
                Lowered { guard: Condition::Nothing, effect: Effect::Put(lapse_item(&lapse)) }
            }
        },
        Change::Recipient(_, day, change) => recipient(*day, change),
        Change::Answer(_, change) => answer(change)?,
    };
    assemble(table, &key, guard, effect).map_err(|error| Error::Refused(error.into()))
}

fn organization(change: &OrganizationChange) -> Result<Lowered, Error> {
    Ok(match change {
        OrganizationChange::Found(organization) => {
            Lowered { guard: Condition::Absent, effect: Effect::Put(organization_item(organization)?) }
        }
        OrganizationChange::Count { seats_free, owners, invited } => {
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
            if let Some(counting) = invited {
                let (guard, counted) = count(*counting, Attr::Invited, Attr::InvitedSince);
                guards.push(guard);
                actions.extend(counted);
            }
            // Counts that cancel out: DynamoDB takes no update that does nothing.
            let effect = if actions.is_empty() { Effect::Check } else { Effect::Update(actions) };
            Lowered { guard: Condition::All(guards), effect }
        }
    })
}

/// A tally's guard and what becomes of it.
fn count(counting: Counting, counted: Attr, since: Attr) -> (Condition, Vec<Action>) {
    match counting {
        Counting::On { since: begun, more, limit } => (
            Condition::All(vec![
                Condition::Equals(since, number(begun.unix())),
                Condition::AtMost(counted, number(i64::from(limit) - i64::from(more))),
            ]),
            vec![Action::Add(counted, number(more))],
        ),
        Counting::Anew { over, since: begun, more } => (
            match over {
                None => Condition::Lacks(since),
                Some(over) => Condition::Equals(since, number(over.unix())),
            },
            vec![Action::Set(since, number(begun.unix())), Action::Set(counted, number(more))],
        ),
    }
}

fn member(change: &MemberChange) -> Result<Lowered, Error> {
    let has = |role: Role| Condition::Equals(Attr::Role, text(role.as_str()));
    let may_grant = |granted: Role| {
        let able = Role::ALL.into_iter().filter(|role| role.may_grant(granted)).map(has);
        Condition::Any(able.collect())
    };
    let if_unsent = |unsent: bool, mut guards: Vec<Condition>| {
        guards.extend(unsent.then_some(Condition::Lacks(Attr::Sent)));
        Condition::All(guards)
    };
    Ok(match change {
        MemberChange::Join(member) => {
            Lowered { guard: Condition::Absent, effect: Effect::Put(member_item(member)?) }
        }
        MemberChange::MayGrant(role) => Lowered { guard: may_grant(*role), effect: Effect::Check },
        MemberChange::Mail(role, counting) => {
            let (mut guards, mut actions) = (vec![may_grant(*role)], Vec::new());
            if let Some(counting) = counting {
                let (guard, counted) = count(*counting, Attr::Mailed, Attr::MailedSince);
                guards.push(guard);
                actions.extend(counted);
            }
            actions.push(Action::Set(Attr::Sent, AttributeValue::Bool(true)));
            Lowered { guard: Condition::All(guards), effect: Effect::Update(actions) }
        }
        MemberChange::SetRole { from, to, unsent } => Lowered {
            guard: if_unsent(*unsent, vec![has(*from)]),
            effect: Effect::Update(vec![Action::Set(Attr::Role, text(to.as_str()))]),
        },
        MemberChange::Leave { role, invitation, unsent } => Lowered {
            guard: if_unsent(
                *unsent,
                vec![has(*role), Condition::Equals(Attr::Invitation, text(invitation.as_str()))],
            ),
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

fn recipient(day: Day, change: &RecipientChange) -> Lowered {
    match change {
        RecipientChange::Mail { mail, limit } => Lowered {
            guard: Condition::Any(vec![
                Condition::Absent,
                Condition::Contains(Attr::Mails, text(mail.as_str())),
                Condition::Fewer(Attr::Mails, number(*limit)),
            ]),
            effect: Effect::Update(vec![
                Action::Add(Attr::Mails, texts(mail.as_str())),
                Action::Set(Attr::Ttl, number(day.purge_at().unix())),
            ]),
        },
    }
}

fn answer(change: &AnswerChange) -> Result<Lowered, Error> {
    Ok(match change {
        AnswerChange::Keep { answer, now } => Lowered {
            // Time to live deletes late.
            guard: Condition::Any(vec![Condition::Absent, Condition::AtMost(Attr::Ttl, number(now.unix()))]),
            effect: Effect::Put(answer_item(answer)?),
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
                .set_condition_expression((!guard.is_empty()).then_some(guard))
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
