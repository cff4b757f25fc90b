//! DynamoDB expressions as Rust values. Only this file contains DynamoDB's expression syntax.

use std::collections::HashMap;
use std::mem;

use aws_sdk_dynamodb::types::AttributeValue;

/// The attributes that keys, expressions and projections name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attr {
    Pk,
    Sk,
    Role,
    Email,
    JoinedAt,
    Person,
    Invitation,
    Status,
    Revision,
    ExpiresAt,
    SeatsFree,
    Owners,
    Invited,
    InvitedSince,
    Mailed,
    MailedSince,
    Mails,
    AcceptedBy,
    AcceptedAt,
    ClosedAt,
    DueShard,
    DueAt,
    Ttl,
}

impl Attr {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pk => "pk",
            Self::Sk => "sk",
            Self::Role => "role",
            Self::Email => "email",
            Self::JoinedAt => "joined_at",
            Self::Person => "person",
            Self::Invitation => "invitation",
            Self::Status => "status",
            Self::Revision => "revision",
            Self::ExpiresAt => "expires_at",
            Self::SeatsFree => "seats_free",
            Self::Owners => "owners",
            Self::Invited => "invited",
            Self::InvitedSince => "invited_since",
            Self::Mailed => "mailed",
            Self::MailedSince => "mailed_since",
            Self::Mails => "mails",
            Self::AcceptedBy => "accepted_by",
            Self::AcceptedAt => "accepted_at",
            Self::ClosedAt => "closed_at",
            Self::DueShard => "due_shard",
            Self::DueAt => "due_at",
            Self::Ttl => "ttl",
        }
    }
}

/// The attributes of an item, in the SDK's representation.
pub type Attributes = HashMap<String, AttributeValue>;

/// Makes a string value.
pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// Makes a number value.
pub(crate) fn number(value: impl Into<i128>) -> AttributeValue {
    AttributeValue::N(value.into().to_string())
}

/// Makes a string set with one element.
pub(crate) fn text_set(value: impl Into<String>) -> AttributeValue {
    AttributeValue::Ss(vec![value.into()])
}

/// A condition on an item.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub(crate) enum Condition {
    /// The item does not exist.
    Absent,
    /// The item exists.
    Exists,
    /// The item does not have the attribute.
    Lacks(Attr),
    /// The set contains the element.
    Contains(Attr, AttributeValue),
    /// The set has fewer elements than the number.
    Fewer(Attr, AttributeValue),
    Equals(Attr, AttributeValue),
    AtLeast(Attr, AttributeValue),
    AtMost(Attr, AttributeValue),
    Above(Attr, AttributeValue),
    BeginsWith(Attr, AttributeValue),
    All(Vec<Condition>),
    Any(Vec<Condition>),
}

/// One action of an update expression.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub(crate) enum Action {
    Set(Attr, AttributeValue),
    /// Sets an attribute by its name.
    SetNamed(String, AttributeValue),
    Add(Attr, AttributeValue),
    Remove(Attr),
}

/// The placeholders of names and values, which all expressions of one request share.
#[derive(Debug, Default)]
pub(crate) struct Placeholders {
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl Placeholders {
    /// Takes the names; `None` if there are none, because DynamoDB rejects an empty map.
    pub fn names(&mut self) -> Option<HashMap<String, String>> {
        Some(mem::take(&mut self.names)).filter(|names| !names.is_empty())
    }

    /// Takes the values; `None` if there are none.
    pub fn values(&mut self) -> Option<HashMap<String, AttributeValue>> {
        Some(mem::take(&mut self.values)).filter(|values| !values.is_empty())
    }

    fn name(&mut self, attribute: Attr) -> String {
        self.named(attribute.as_str())
    }

    fn named(&mut self, attribute: &str) -> String {
        let name = format!("#{attribute}");
        self.names.insert(name.clone(), attribute.to_owned());
        name
    }

    fn value(&mut self, value: AttributeValue) -> String {
        let name = format!(":v{}", self.values.len());
        self.values.insert(name.clone(), value);
        name
    }

    /// Writes `condition` as a condition expression.
    pub fn condition(&mut self, condition: Condition) -> String {
        match condition {
            Condition::Absent => format!("attribute_not_exists({})", self.name(Attr::Pk)),
            Condition::Exists => format!("attribute_exists({})", self.name(Attr::Pk)),
            Condition::Lacks(attribute) => format!("attribute_not_exists({})", self.name(attribute)),
            Condition::Contains(attribute, value) => {
                format!("contains({}, {})", self.name(attribute), self.value(value))
            }
            Condition::Fewer(attribute, value) => {
                format!("size({}) < {}", self.name(attribute), self.value(value))
            }
            Condition::Equals(attribute, value) => self.compare(attribute, "=", value),
            Condition::AtLeast(attribute, value) => self.compare(attribute, ">=", value),
            Condition::AtMost(attribute, value) => self.compare(attribute, "<=", value),
            Condition::Above(attribute, value) => self.compare(attribute, ">", value),
            Condition::BeginsWith(attribute, value) => {
                format!("begins_with({}, {})", self.name(attribute), self.value(value))
            }
            Condition::All(conditions) => self.join(conditions, " AND "),
            Condition::Any(conditions) => format!("({})", self.join(conditions, " OR ")),
        }
    }

    /// Writes `attributes` as a projection expression; `None` selects all attributes.
    pub fn projection(&mut self, attributes: &[Attr]) -> Option<String> {
        let names: Vec<_> = attributes.iter().map(|attribute| self.name(*attribute)).collect();
        Some(names.join(", ")).filter(|names| !names.is_empty())
    }

    /// Writes `actions` as an update expression.
    pub fn update(&mut self, actions: Vec<Action>) -> String {
        let mut sets = Vec::new();
        let mut adds = Vec::new();
        let mut removes = Vec::new();
        for action in actions {
            match action {
                Action::Set(attribute, value) => {
                    sets.push(format!("{} = {}", self.name(attribute), self.value(value)));
                }
                Action::SetNamed(attribute, value) => {
                    sets.push(format!("{} = {}", self.named(&attribute), self.value(value)));
                }
                Action::Add(attribute, value) => {
                    adds.push(format!("{} {}", self.name(attribute), self.value(value)));
                }
                Action::Remove(attribute) => removes.push(self.name(attribute)),
            }
        }
        [("SET", sets), ("ADD", adds), ("REMOVE", removes)]
            .into_iter()
            .filter(|(_, parts)| !parts.is_empty())
            .map(|(clause, parts)| format!("{clause} {}", parts.join(", ")))
            .collect::<Vec<_>>()
            .join(" ")
    }

    fn compare(&mut self, attribute: Attr, operator: &str, value: AttributeValue) -> String {
        format!("{} {operator} {}", self.name(attribute), self.value(value))
    }

    fn join(&mut self, conditions: Vec<Condition>, operator: &str) -> String {
        let parts: Vec<_> = conditions.into_iter().map(|condition| self.condition(condition)).collect();
        parts.join(operator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_expressions_of_one_request_share_placeholders() {
        let mut placeholders = Placeholders::default();
        let update = placeholders.update(vec![
            Action::Remove(Attr::AcceptedBy),
            Action::Set(Attr::Status, text("removed")),
            Action::Remove(Attr::AcceptedAt),
            Action::Add(Attr::Revision, number(1)),
        ]);
        let condition = placeholders.condition(Condition::All(vec![
            Condition::Exists,
            Condition::Any(vec![
                Condition::Equals(Attr::Status, text("accepted")),
                Condition::AtLeast(Attr::Owners, number(2)),
            ]),
        ]));
        assert_eq!(update, "SET #status = :v0 ADD #revision :v1 REMOVE #accepted_by, #accepted_at");
        assert_eq!(condition, "attribute_exists(#pk) AND (#status = :v2 OR #owners >= :v3)");
        assert_eq!(placeholders.names().map(|names| names.len()), Some(6));
        assert_eq!(placeholders.values().map(|values| values.len()), Some(4));
    }
}
