//! Converts each change of a plan to one item of a transaction.
//!
//! One exhaustive match converts the guards, and another one converts the effects.

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{ConditionCheck, Delete, Put, TransactWriteItem, Update};
use domain::{Change, CounterUpdate, Effect, Guard, ItemKey, Role, Status};
use serde_dynamo::aws_sdk_dynamodb_1::to_item;

use crate::error::Error;
use crate::expr::{Action, Attr, Attributes, Condition, Placeholders, number, text, text_set};
use crate::key::Key;
use crate::record;

/// The operation of a transaction on one item.
enum Write {
    Check,
    Put(Attributes),
    Update(Vec<Action>),
    Delete,
}

/// Converts `change` to an item of a transaction on the table `table`.
pub(crate) fn transaction_item(table: &str, change: &Change) -> Result<TransactWriteItem, Error> {
    let mut guards = Vec::with_capacity(change.guards.len());
    for guard in &change.guards {
        let condition = condition(&change.item, guard);
        if !guards.contains(&condition) {
            guards.push(condition);
        }
    }
    let write = write(&change.item, &change.effect)?;
    assemble(table, &Key::from(&change.item), Condition::All(guards), write)
        .map_err(|error| Error::Rejected(error.into()))
}

fn condition(item: &ItemKey, guard: &Guard) -> Condition {
    let has_role = |role: Role| Condition::Equals(Attr::Role, text(role.as_str()));
    match guard {
        Guard::Absent => Condition::Absent,
        Guard::Exists => Condition::Exists,
        Guard::HasPermission(permission) => {
            let permitted: Vec<_> = Role::ALL.into_iter().filter(|role| role.may(*permission)).collect();
            match permitted.as_slice() {
                // Every role has the permission, and every member has a role.
                all if all.len() == Role::ALL.len() => Condition::Exists,
                [role] => has_role(*role),
                roles => Condition::Any(roles.iter().copied().map(has_role).collect()),
            }
        }
        Guard::Role(role) => has_role(*role),
        Guard::JoinedBy(invitation) => Condition::Equals(Attr::Invitation, text(invitation.as_str())),
        Guard::SeatsFree(count) => Condition::AtLeast(Attr::SeatsFree, number(*count)),
        Guard::Owners(count) => Condition::AtLeast(Attr::Owners, number(*count)),
        Guard::Counter(update) => counter_condition(item, *update),
        Guard::Revision(revision) => Condition::Equals(Attr::Revision, number(revision.0)),
        Guard::Status(status) => Condition::Equals(Attr::Status, text(status.as_str())),
        Guard::ExpiresAt(moment) => Condition::Equals(Attr::ExpiresAt, number(moment.unix())),
        Guard::RoomForMail { mail, limit } => Condition::Any(vec![
            Condition::Absent,
            Condition::Contains(Attr::Mails, text(mail.as_str())),
            Condition::Fewer(Attr::Mails, number(*limit)),
        ]),
        // DynamoDB deletes an expired item late, often after days. So the condition compares `ttl`.
        Guard::NoResponseAt(moment) => {
            Condition::Any(vec![Condition::Absent, Condition::AtMost(Attr::Ttl, number(moment.unix()))])
        }
    }
}

fn write(item: &ItemKey, effect: &Effect) -> Result<Write, Error> {
    Ok(match effect {
        Effect::Check => Write::Check,
        Effect::Put(record) => Write::Put(record::write(record)?),
        Effect::Delete => Write::Delete,
        Effect::Set(field) => {
            let fields: Attributes = to_item(field).map_err(|error| Error::Rejected(error.into()))?;
            Write::Update(fields.into_iter().map(|(name, value)| Action::SetNamed(name, value)).collect())
        }
        Effect::Count { seats_free, owners, invited } => {
            let added = [(Attr::SeatsFree, *seats_free), (Attr::Owners, *owners)];
            let added = added.into_iter().filter(|(_, count)| *count != 0);
            let mut actions: Vec<_> =
                added.map(|(attribute, count)| Action::Add(attribute, number(count))).collect();
            actions.extend(invited.iter().flat_map(|update| counter_actions(item, *update)));
            Write::Update(actions)
        }
        Effect::CountMails(update) => Write::Update(counter_actions(item, *update)),
        Effect::CloseAsRemoved { at, purge_at } => Write::Update(vec![
            Action::Set(Attr::Status, text(Status::Removed.as_str())),
            Action::Set(Attr::ClosedAt, number(at.unix())),
            Action::Set(Attr::Ttl, number(purge_at.unix())),
            Action::Add(Attr::Revision, number(1)),
            Action::Remove(Attr::AcceptedBy),
            Action::Remove(Attr::AcceptedAt),
        ]),
        Effect::AddMail { mail, purge_at } => Write::Update(vec![
            Action::Add(Attr::Mails, text_set(mail.as_str())),
            Action::Set(Attr::Ttl, number(purge_at.unix())),
        ]),
    })
}

/// The two attributes of an item's window counter: the count, and the start of the window.
fn counter_attributes(item: &ItemKey) -> (Attr, Attr) {
    match item {
        ItemKey::Organization(_) => (Attr::Invited, Attr::InvitedSince),
        _ => (Attr::Mailed, Attr::MailedSince),
    }
}

fn counter_condition(item: &ItemKey, update: CounterUpdate) -> Condition {
    let (counted, since) = counter_attributes(item);
    match update {
        CounterUpdate::Add { since: start, more, limit } => Condition::All(vec![
            Condition::Equals(since, number(start.unix())),
            Condition::AtMost(counted, number(i64::from(limit) - i64::from(more))),
        ]),
        CounterUpdate::Restart { over: None, .. } => Condition::Lacks(since),
        CounterUpdate::Restart { over: Some(over), .. } => Condition::Equals(since, number(over.unix())),
    }
}

fn counter_actions(item: &ItemKey, update: CounterUpdate) -> Vec<Action> {
    let (counted, since) = counter_attributes(item);
    match update {
        CounterUpdate::Add { more, .. } => vec![Action::Add(counted, number(more))],
        CounterUpdate::Restart { since: start, more, .. } => {
            vec![Action::Set(since, number(start.unix())), Action::Set(counted, number(more))]
        }
    }
}

fn assemble(
    table: &str,
    key: &Key,
    guard: Condition,
    effect: Write,
) -> Result<TransactWriteItem, BuildError> {
    let mut placeholders = Placeholders::default();
    let guard = placeholders.condition(guard);
    let item = TransactWriteItem::builder();
    let item = match effect {
        Write::Check => {
            let check = ConditionCheck::builder()
                .table_name(table)
                .set_key(Some(key.attributes()))
                .condition_expression(guard)
                .set_expression_attribute_names(placeholders.names())
                .set_expression_attribute_values(placeholders.values());
            item.condition_check(check.build()?)
        }
        Write::Put(attributes) => {
            let put = Put::builder()
                .table_name(table)
                .set_item(Some(attributes))
                .condition_expression(guard)
                .set_expression_attribute_names(placeholders.names())
                .set_expression_attribute_values(placeholders.values());
            item.put(put.build()?)
        }
        Write::Update(actions) => {
            let update = Update::builder()
                .table_name(table)
                .set_key(Some(key.attributes()))
                .condition_expression(guard)
                .update_expression(placeholders.update(actions))
                .set_expression_attribute_names(placeholders.names())
                .set_expression_attribute_values(placeholders.values());
            item.update(update.build()?)
        }
        Write::Delete => {
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
