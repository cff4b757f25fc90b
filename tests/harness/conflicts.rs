//! Transactions that get into each other's way, as at DynamoDB: the embedded engine does one after the other, and
//! never tells of it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use crate::Call;

/// The items of the transactions under way.
#[derive(Debug, Clone, Default)]
pub(crate) struct Conflicts(Arc<Mutex<HashSet<String>>>);

/// A transaction under way; its items are free once this is dropped.
#[derive(Debug)]
pub(crate) struct UnderWay {
    conflicts: Conflicts,
    items: Vec<String>,
}

impl Conflicts {
    /// Lets a transaction begin, or tells the reasons to cancel it: an item of it is one of another transaction that
    /// writes or checks it. What is read only is in nobody's way.
    pub(crate) fn enter(&self, call: &Call) -> Result<UnderWay, Vec<&'static str>> {
        let transaction = call.body["TransactItems"].as_array().into_iter().flatten();
        let items: Vec<_> = transaction.filter_map(item).collect();
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if items.iter().any(|item| taken.contains(item)) {
            let reason = |item| if taken.contains(item) { "TransactionConflict" } else { "None" };
            return Err(items.iter().map(reason).collect());
        }
        let items = if call.operation == "TransactWriteItems" { items } else { Vec::new() };
        taken.extend(items.iter().cloned());
        Ok(UnderWay { conflicts: self.clone(), items })
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut taken = self.conflicts.0.lock().unwrap_or_else(PoisonError::into_inner);
        self.items.iter().for_each(|item| {
            taken.remove(item);
        });
    }
}

/// The key of what one action of a transaction is about.
fn item(action: &Value) -> Option<String> {
    let action = action.as_object()?.values().next()?;
    let key = action.get("Key").or_else(|| action.get("Item"))?;
    Some(format!("{} {}", key["pk"]["S"], key["sk"]["S"]))
}
