//! The whole table at once: made, checked, filled, and swept of what is past its time to live. No function
//! ever does that.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::client::Waiters as _;
use aws_sdk_dynamodb::error::DisplayErrorContext;
use aws_sdk_dynamodb::operation::create_table::CreateTableError;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TimeToLiveSpecification, TransactWriteItem};
use domain::{CHANGES_MAX, Record};
use reference::{ReferenceTable, Violation};
use store::{record, schema};

/// How long a table may take to be there.
const READY_WITHIN: Duration = Duration::from_mins(3);

/// An item, as it is stored.
pub type Attributes = HashMap<String, AttributeValue>;

/// What went wrong with the whole table.
#[derive(Debug, thiserror::Error)]
#[error("the table cannot be {action}: {problem}")]
pub struct TableError {
    action: &'static str,
    problem: String,
}

impl TableError {
    #[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
    fn new(action: &'static str, problem: impl ToString) -> Self {
        Self { action, problem: problem.to_string() }
    }
}

/// A table, reached through the SDK like every other.
#[derive(Debug, Clone)]
pub struct Table {
    client: Client,
    name: String,
}

impl Table {
    /// The table `name`.
    #[must_use]
    pub fn new(client: Client, name: impl Into<String>) -> Self {
        Self { client, name: name.into() }
    }

    /// Makes the table unless it is there, and gives its stream's ARN.
    pub async fn make(&self) -> Result<String, TableError> {
        let failed = |problem: String| TableError::new("made", problem);
        let create = schema::create(&self.client, &self.name).map_err(|error| failed(error.to_string()))?;
        let made = match create.send().await {
            Ok(_) => true,
            Err(error)
                if error.as_service_error().is_some_and(CreateTableError::is_resource_in_use_exception) =>
            {
                false
            }
            Err(error) => return Err(failed(DisplayErrorContext(error).to_string())),
        };
        // An emulator's table is there at once. AWS takes seconds, and changes nothing about it before.
        let table = self.client.wait_until_table_exists().table_name(&self.name).wait(READY_WITHIN).await;
        let table = table.map_err(|error| failed(DisplayErrorContext(error).to_string()))?;
        if made {
            self.keep_time_to_live().await?;
        }
        let table = table.into_result().ok().and_then(|described| described.table);
        table.and_then(|table| table.latest_stream_arn).ok_or_else(|| failed("it has no stream".to_owned()))
    }

    async fn keep_time_to_live(&self) -> Result<(), TableError> {
        let specification =
            TimeToLiveSpecification::builder().enabled(true).attribute_name(schema::TTL).build();
        let specification = specification.map_err(|error| TableError::new("made", error))?;
        let update = self.client.update_time_to_live().table_name(&self.name);
        let update = update.time_to_live_specification(specification).send().await;
        update.map(drop).map_err(|error| TableError::new("made", DisplayErrorContext(error)))
    }

    /// Deletes the table.
    pub async fn delete(&self) -> Result<(), TableError> {
        let delete = self.client.delete_table().table_name(&self.name).send().await;
        delete.map(drop).map_err(|error| TableError::new("deleted", DisplayErrorContext(error)))
    }

    /// Everything in the table.
    pub async fn records(&self) -> Result<ReferenceTable, TableError> {
        let read = |item| record::read(item).map_err(|error| TableError::new("read", error));
        self.items().await?.into_iter().map(read).collect()
    }

    /// Whether there is nothing in the table; one item read tells.
    pub async fn is_empty(&self) -> Result<bool, TableError> {
        let scan = self.client.scan().table_name(&self.name).consistent_read(true).limit(1).send().await;
        let first = scan.map_err(|error| TableError::new("read", DisplayErrorContext(error)))?;
        Ok(first.items().is_empty())
    }

    /// How many organizations there are, and everything that the rules forbid.
    pub async fn check(&self) -> Result<(usize, Vec<Violation>), TableError> {
        let table = self.records().await?;
        Ok((table.organizations().count(), table.violations()))
    }

    /// Puts records into an empty table, without guards.
    pub async fn fill(&self, records: &[Record]) -> Result<(), TableError> {
        for chunk in records.chunks(CHANGES_MAX) {
            let mut items = Vec::with_capacity(chunk.len());
            for record in chunk {
                let item = record::write(record).map_err(|error| TableError::new("filled", error))?;
                let put = Put::builder().table_name(&self.name).set_item(Some(item)).build();
                let put = put.map_err(|error| TableError::new("filled", error))?;
                items.push(TransactWriteItem::builder().put(put).build());
            }
            let write = self.client.transact_write_items().set_transact_items(Some(items)).send().await;
            write.map_err(|error| TableError::new("filled", DisplayErrorContext(error)))?;
        }
        Ok(())
    }

    /// Puts an item as it is, whatever it says, without a guard: for whoever spoils one and mends it.
    pub async fn put(&self, item: Attributes) -> Result<(), TableError> {
        let put = self.client.put_item().table_name(&self.name).set_item(Some(item)).send().await;
        put.map(drop).map_err(|error| TableError::new("written", DisplayErrorContext(error)))
    }

    /// Deletes what is past its time to live at `now`, as DynamoDB does within a few days.
    pub async fn sweep(&self, now: i64) -> Result<(), TableError> {
        for item in self.items().await? {
            let ttl = item.get(schema::TTL).and_then(|ttl| ttl.as_n().ok()?.parse::<i64>().ok());
            if ttl.is_none_or(|ttl| ttl > now) {
                continue;
            }
            let key = ["pk", "sk"].map(|name| (name.to_owned(), item.get(name).cloned()));
            let key = key.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
            let delete = self.client.delete_item().table_name(&self.name).set_key(Some(key));
            let delete = delete
                .condition_expression("#ttl <= :now")
                .expression_attribute_names("#ttl", schema::TTL)
                .expression_attribute_values(":now", AttributeValue::N(now.to_string()));
            match delete.send().await {
                Ok(_) => {}
                // Somebody has invited the address anew since it was read.
                Err(error)
                    if error
                        .as_service_error()
                        .is_some_and(DeleteItemError::is_conditional_check_failed_exception) => {}
                Err(error) => return Err(TableError::new("swept", DisplayErrorContext(error))),
            }
        }
        Ok(())
    }

    /// Every item, as it is stored.
    pub async fn items(&self) -> Result<Vec<Attributes>, TableError> {
        let scan = self.client.scan().table_name(&self.name).consistent_read(true);
        let items = scan.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await;
        items.map_err(|error| TableError::new("read", DisplayErrorContext(error)))
    }
}
