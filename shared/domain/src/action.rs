//! The shape that every action has.

use crate::{Change, ItemKey, Policy, Snapshot, Timestamp};

/// Something that Roster does: its input is the implementing type itself.
///
/// An action is run by reading the items that it [`reads`](Action::reads) as one snapshot, deciding on them, and
/// committing the changes as one transaction. A failed guard means that a rival wrote first: the action is read and
/// decided again. So only [`decide`](Action::decide) refuses, always on facts that were true together.
pub trait Action {
    /// The name of the function that it belongs to, as in the template and in routes.
    const NAME: &'static str;
    /// What is answered once the changes are committed.
    type Answer;
    /// Why nothing is done.
    type Refusal;

    /// The items that the decision looks at; empty if the action decides without reading.
    ///
    /// `seen` is the snapshot of the attempt before, which lost a race. It may reveal more items to read.
    fn reads(&self, seen: Option<&Snapshot>) -> Vec<ItemKey>;

    /// Decides, on a snapshot of the items that it [`reads`](Action::reads).
    fn decide(
        &self,
        snapshot: &Snapshot,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Decision<Self::Answer>, Self::Refusal>;
}

/// What an action comes to: what is to be changed, and what is answered once it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Decision<Answer> {
    /// All of them are made, or none.
    pub changes: Vec<Change>,
    /// True once the changes are committed.
    pub answer: Answer,
}

impl<Answer> Decision<Answer> {
    /// Nothing is to be changed: the snapshot alone vouches for the answer.
    pub fn unchanged(answer: Answer) -> Self {
        Self { changes: Vec::new(), answer }
    }
}
