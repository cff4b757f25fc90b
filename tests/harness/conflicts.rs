//! Simulated transaction conflicts. The embedded DynamoDB runs transactions one after the other, so it never cancels
//! one with `TransactionConflict` as DynamoDB does.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use crate::AwsRequest;

/// The keys of all items in running write transactions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Conflicts(Arc<Mutex<HashSet<String>>>);

/// A running transaction. Dropping it releases its items.
#[derive(Debug)]
pub(crate) struct RunningTransaction {
    conflicts: Conflicts,
    items: Vec<String>,
}

impl Conflicts {
    /// Starts a transaction. Returns its cancellation reasons if a running transaction writes or checks one of its
    /// items. Items that are only read conflict with nothing.
    pub(crate) fn start(&self, request: &AwsRequest) -> Result<RunningTransaction, Vec<&'static str>> {
        let transaction = request.body["TransactItems"].as_array().into_iter().flatten();
        let items: Vec<_> = transaction.filter_map(item_key).collect();
        let mut locked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if items.iter().any(|item| locked.contains(item)) {
            let reason = |item| if locked.contains(item) { "TransactionConflict" } else { "None" };
            return Err(items.iter().map(reason).collect());
        }
        let items = if request.operation == "TransactWriteItems" { items } else { Vec::new() };
        locked.extend(items.iter().cloned());
        Ok(RunningTransaction { conflicts: self.clone(), items })
    }
}

impl Drop for RunningTransaction {
    fn drop(&mut self) {
        let mut locked = self.conflicts.0.lock().unwrap_or_else(PoisonError::into_inner);
        self.items.iter().for_each(|item| {
            locked.remove(item);
        });
    }
}

/// Returns the key of the item in one entry of a transaction.
fn item_key(entry: &Value) -> Option<String> {
    let operation = entry.as_object()?.values().next()?;
    let key = operation.get("Key").or_else(|| operation.get("Item"))?;
    Some(format!("{} {}", key["pk"]["S"], key["sk"]["S"]))
}
