//! Operations on the whole table: create it, check it, fill it, and delete its expired items. No function does these.

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

/// The timeout for a new table to become active.
const READY_WITHIN: Duration = Duration::from_mins(3);

/// An item as it is stored in DynamoDB.
pub type Attributes = HashMap<String, AttributeValue>;

/// An operation on the whole table failed.
#[derive(Debug, thiserror::Error)]
#[error("the table cannot be {action}: {problem}")]
pub struct TableError {
    action: &'static str,
    problem: String,
}

impl TableError {
    #[expect(clippy::needless_pass_by_value, reason = "`map_err` passes errors by value")]
    fn new(action: &'static str, problem: impl ToString) -> Self {
        Self { action, problem: problem.to_string() }
    }
}

/// A DynamoDB table that is reached through the SDK.
#[derive(Debug, Clone)]
pub struct Table {
    client: Client,
    name: String,
}

impl Table {
    /// Refers to the table `name`, which need not exist yet.
    #[must_use]
    pub fn new(client: Client, name: impl Into<String>) -> Self {
        Self { client, name: name.into() }
    }

    /// Creates the table if it does not exist. Returns the ARN of its stream.
    pub async fn create(&self) -> Result<String, TableError> {
        let failed = |problem: String| TableError::new("created", problem);
        let request = schema::create_table_request(&self.client, &self.name)
            .map_err(|error| failed(error.to_string()))?;
        let created = match request.send().await {
            Ok(_) => true,
            Err(error)
                if error.as_service_error().is_some_and(CreateTableError::is_resource_in_use_exception) =>
            {
                false
            }
            Err(error) => return Err(failed(DisplayErrorContext(error).to_string())),
        };
        // An emulator creates the table at once. AWS takes seconds, and rejects changes of the table until then.
        let table = self.client.wait_until_table_exists().table_name(&self.name).wait(READY_WITHIN).await;
        let table = table.map_err(|error| failed(DisplayErrorContext(error).to_string()))?;
        if created {
            self.enable_time_to_live().await?;
        }
        let table = table.into_result().ok().and_then(|described| described.table);
        table
            .and_then(|table| table.latest_stream_arn)
            .ok_or_else(|| failed("the table has no stream".to_owned()))
    }

    async fn enable_time_to_live(&self) -> Result<(), TableError> {
        let specification =
            TimeToLiveSpecification::builder().enabled(true).attribute_name(schema::TTL).build();
        let specification = specification.map_err(|error| TableError::new("created", error))?;
        let update = self.client.update_time_to_live().table_name(&self.name);
        let update = update.time_to_live_specification(specification).send().await;
        update.map(drop).map_err(|error| TableError::new("created", DisplayErrorContext(error)))
    }

    /// Deletes the table.
    pub async fn delete(&self) -> Result<(), TableError> {
        let delete = self.client.delete_table().table_name(&self.name).send().await;
        delete.map(drop).map_err(|error| TableError::new("deleted", DisplayErrorContext(error)))
    }

    /// Reads all records of the table.
    pub async fn records(&self) -> Result<ReferenceTable, TableError> {
        let read = |item| record::read(item).map_err(|error| TableError::new("read", error));
        self.items().await?.into_iter().map(read).collect()
    }

    /// Whether the table is empty. Reads at most one item.
    pub async fn is_empty(&self) -> Result<bool, TableError> {
        let scan = self.client.scan().table_name(&self.name).consistent_read(true).limit(1).send().await;
        let first = scan.map_err(|error| TableError::new("read", DisplayErrorContext(error)))?;
        Ok(first.items().is_empty())
    }

    /// Returns the number of organizations, and all violations of the rules.
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
            let token =
                aws_client::client_request_token().map_err(|error| TableError::new("filled", error))?;
            let write = self.client.transact_write_items().client_request_token(token);
            let write = write.set_transact_items(Some(items)).send().await;
            write.map_err(|error| TableError::new("filled", DisplayErrorContext(error)))?;
        }
        Ok(())
    }

    /// Puts an item without a guard and without validation. Tests use it to corrupt and to repair an item.
    pub async fn put(&self, item: Attributes) -> Result<(), TableError> {
        let put = self.client.put_item().table_name(&self.name).set_item(Some(item)).send().await;
        put.map(drop).map_err(|error| TableError::new("written", DisplayErrorContext(error)))
    }

    /// Deletes the items whose time to live has passed at `now`. DynamoDB does this within a few days.
    pub async fn delete_expired(&self, now: i64) -> Result<(), TableError> {
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
                // A new invitation to the same address has replaced the item since the scan.
                Err(error)
                    if error
                        .as_service_error()
                        .is_some_and(DeleteItemError::is_conditional_check_failed_exception) => {}
                Err(error) => {
                    return Err(TableError::new("cleaned of expired items", DisplayErrorContext(error)));
                }
            }
        }
        Ok(())
    }

    /// Reads all items as they are stored.
    pub async fn items(&self) -> Result<Vec<Attributes>, TableError> {
        let scan = self.client.scan().table_name(&self.name).consistent_read(true);
        let items = scan.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await;
        items.map_err(|error| TableError::new("read", DisplayErrorContext(error)))
    }
}
