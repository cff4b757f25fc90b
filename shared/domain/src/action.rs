//! The trait of all actions, and the type of their decisions.

use crate::{Change, ItemKey, Policy, Snapshot, Timestamp};

/// An operation of Roster. The implementing type holds the operation's input.
///
/// The store runs an action in three steps. It reads the items that [`reads`](Action::reads) names, as one snapshot.
/// The action decides on the snapshot. The store commits the changes as one transaction. If a guard fails, another
/// transaction wrote first, and the store starts again with a new snapshot.
///
/// So only [`decide`](Action::decide) refuses, and it refuses on facts of one snapshot.
pub trait Action {
    /// The name of the function that runs the action, as in the template and in routes.
    const NAME: &'static str;
    /// The result, which is returned after the changes are committed.
    type Answer;
    /// Why the action is refused.
    type Refusal;

    /// The items that the decision looks up; empty if the action decides without reading.
    ///
    /// `seen` is the snapshot of the previous attempt, in which a guard failed. It may name more items to read.
    fn reads(&self, seen: Option<&Snapshot>) -> Vec<ItemKey>;

    /// Decides on a snapshot of the items that [`reads`](Action::reads) names.
    fn decide(
        &self,
        snapshot: &Snapshot,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Decision<Self::Answer>, Self::Refusal>;
}

/// The decision of an action: the changes to commit, and the result to return afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Decision<Answer> {
    /// The changes. All of them are committed, or none.
    pub changes: Vec<Change>,
    /// The result. It is true once the changes are committed.
    pub answer: Answer,
}

impl<Answer> Decision<Answer> {
    /// A decision without changes. Its result is true as of the snapshot.
    pub fn unchanged(answer: Answer) -> Self {
        Self { changes: Vec::new(), answer }
    }
}
