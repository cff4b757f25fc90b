//! The laptop's own state: mailbox, schedules, stream positions, dead letters, clock and keys.
//!
//! Values are stored as JSON in a second table of the embedded engine. So the state uses the same code in memory and
//! with `--db FILE`. With a file, a killed process loses no acknowledged write.

use std::collections::HashMap;

use dynoxide::{
    AttributeValue, Database, DynoxideError,
    actions::{
        create_table::CreateTableRequest, delete_item::DeleteItemRequest, get_item::GetItemRequest,
        put_item::PutItemRequest, query::QueryRequest,
    },
    types::{AttributeDefinition, KeySchemaElement, KeyType, ScalarAttributeType},
};
use serde::{Serialize, de::DeserializeOwned};

const TABLE: &str = "laptop";
const KIND: &str = "kind";
const ID: &str = "id";
const BODY: &str = "body";

/// A key-value store, with kind and id as the key. Clones share the engine.
///
/// Calls are synchronous, because the engine takes at most a millisecond, also with a file.
#[derive(Clone)]
pub struct State {
    db: Database,
}

/// Why a value could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The engine returned an error.
    #[error("the laptop's own table cannot be used")]
    Engine(#[from] DynoxideError),
    /// The stored value does not have the expected form.
    #[error("{kind} {id} in the laptop's own table cannot be read")]
    Unreadable {
        /// The kind of the value.
        kind: String,
        /// The id of the value.
        id: String,
        /// The JSON error.
        #[source]
        source: serde_json::Error,
    },
    /// The value cannot be serialized.
    #[error("{kind} {id} cannot be written as JSON")]
    Unwritable {
        /// The kind of the value.
        kind: String,
        /// The id of the value.
        id: String,
        /// The JSON error.
        #[source]
        source: serde_json::Error,
    },
}

impl State {
    /// Opens the state. Creates its table if it does not exist.
    pub fn open(db: Database) -> Result<Self, StateError> {
        let key = |name: &str, key_type| KeySchemaElement { attribute_name: name.to_owned(), key_type };
        let text = |name: &str| AttributeDefinition {
            attribute_name: name.to_owned(),
            attribute_type: ScalarAttributeType::S,
        };
        let created = db.create_table(CreateTableRequest {
            table_name: TABLE.to_owned(),
            key_schema: vec![key(KIND, KeyType::HASH), key(ID, KeyType::RANGE)],
            attribute_definitions: vec![text(KIND), text(ID)],
            billing_mode: Some("PAY_PER_REQUEST".to_owned()),
            ..CreateTableRequest::default()
        });
        match created {
            Ok(_) | Err(DynoxideError::ResourceInUseException(_)) => Ok(Self { db }),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the value with this kind and id, if it exists.
    pub fn get<T: DeserializeOwned>(&self, kind: &str, id: &str) -> Result<Option<T>, StateError> {
        let response = self.db.get_item(GetItemRequest {
            table_name: TABLE.to_owned(),
            key: key(kind, id),
            consistent_read: Some(true),
            ..GetItemRequest::default()
        })?;
        response.item.map(|item| read(kind, id, &item)).transpose()
    }

    /// Stores the value and replaces an existing one.
    pub fn put<T: Serialize + ?Sized>(&self, kind: &str, id: &str, value: &T) -> Result<(), StateError> {
        let body = serde_json::to_string(value).map_err(|source| StateError::Unwritable {
            kind: kind.to_owned(),
            id: id.to_owned(),
            source,
        })?;
        let mut item = key(kind, id);
        item.insert(BODY.to_owned(), AttributeValue::S(body));
        self.db.put_item(PutItemRequest {
            table_name: TABLE.to_owned(),
            item,
            ..PutItemRequest::default()
        })?;
        Ok(())
    }

    /// Deletes the value. Succeeds if it does not exist.
    pub fn delete(&self, kind: &str, id: &str) -> Result<(), StateError> {
        self.db.delete_item(DeleteItemRequest {
            table_name: TABLE.to_owned(),
            key: key(kind, id),
            ..DeleteItemRequest::default()
        })?;
        Ok(())
    }

    /// Returns all values of a kind with their ids, in the order of the ids.
    pub fn list<T: DeserializeOwned>(&self, kind: &str) -> Result<Vec<(String, T)>, StateError> {
        let mut values = Vec::new();
        let mut start = None;
        loop {
            let page = self.db.query(QueryRequest {
                table_name: TABLE.to_owned(),
                key_condition_expression: Some("#kind = :kind".to_owned()),
                expression_attribute_names: Some([("#kind".to_owned(), KIND.to_owned())].into()),
                expression_attribute_values: Some(
                    [(":kind".to_owned(), AttributeValue::S(kind.to_owned()))].into(),
                ),
                // The engine's default is `false`, unlike DynamoDB's.
                scan_index_forward: true,
                consistent_read: Some(true),
                exclusive_start_key: start,
                ..QueryRequest::default()
            })?;
            for item in page.items.unwrap_or_default() {
                let id = text(&item, ID).to_owned();
                let value = read(kind, &id, &item)?;
                values.push((id, value));
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(values);
            }
        }
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

fn key(kind: &str, id: &str) -> HashMap<String, AttributeValue> {
    [(KIND.to_owned(), AttributeValue::S(kind.to_owned())), (ID.to_owned(), AttributeValue::S(id.to_owned()))]
        .into()
}

fn text<'a>(item: &'a HashMap<String, AttributeValue>, name: &str) -> &'a str {
    match item.get(name) {
        Some(AttributeValue::S(text)) => text,
        _ => "",
    }
}

fn read<T: DeserializeOwned>(
    kind: &str,
    id: &str,
    item: &HashMap<String, AttributeValue>,
) -> Result<T, StateError> {
    serde_json::from_str(text(item, BODY)).map_err(|source| StateError::Unreadable {
        kind: kind.to_owned(),
        id: id.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_memory() -> State {
        State::open(Database::memory().unwrap()).unwrap()
    }

    #[test]
    fn puts_replaces_and_deletes_a_value() {
        let state = in_memory();
        assert_eq!(state.get::<String>("mail", "a").unwrap(), None);
        state.put("mail", "a", "one").unwrap();
        state.put("mail", "a", "two").unwrap();
        assert_eq!(state.get("mail", "a").unwrap(), Some("two".to_owned()));
        assert_eq!(state.get::<String>("schedule", "a").unwrap(), None);
        state.delete("mail", "a").unwrap();
        state.delete("mail", "a").unwrap();
        assert_eq!(state.get::<String>("mail", "a").unwrap(), None);
    }

    #[test]
    fn lists_the_values_of_one_kind_in_the_order_of_ids() {
        let state = in_memory();
        for id in ["b", "c", "a"] {
            state.put("mail", id, id).unwrap();
        }
        state.put("schedule", "d", "d").unwrap();
        let ids: Vec<_> = state.list::<String>("mail").unwrap().into_iter().map(|(id, _)| id).collect();
        assert_eq!(ids, ["a", "b", "c"]);
    }

    #[test]
    fn lists_more_values_than_fit_on_one_page() {
        let state = in_memory();
        let large = "x".repeat(300_000);
        for n in 0..10 {
            state.put("mail", &format!("{n}"), &large).unwrap();
        }
        assert_eq!(state.list::<String>("mail").unwrap().len(), 10);
    }

    #[test]
    fn names_an_unreadable_value_in_the_error() {
        let state = in_memory();
        state.put("mail", "a", "text").unwrap();
        let error = state.get::<u64>("mail", "a").unwrap_err();
        assert_eq!(error.to_string(), "mail a in the laptop's own table cannot be read");
    }

    #[test]
    fn a_file_keeps_values_after_it_is_closed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("roster.db");
        let path = path.to_str().unwrap();
        State::open(Database::new(path).unwrap()).unwrap().put("mail", "a", "kept").unwrap();
        let reopened = State::open(Database::new(path).unwrap()).unwrap();
        assert_eq!(reopened.get("mail", "a").unwrap(), Some("kept".to_owned()));
    }
}
