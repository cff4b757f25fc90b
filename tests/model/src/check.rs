//! Explores every state within the bounds.

use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::thread::available_parallelism;

use stateright::{Checker as _, Expectation, HasDiscoveries, Model as _};

use crate::{Bounds, RosterModel, Step};

/// The result of a check.
#[derive(Debug, Clone)]
pub struct Report {
    /// The number of steps from one state to another.
    pub transitions: usize,
    /// The number of distinct states.
    pub states: usize,
    /// The largest number of steps that a state needs by its shortest path.
    pub depth: usize,
    /// Each property that does not hold, with a shortest path to a state where it does not.
    pub broken: Vec<(&'static str, String)>,
}

/// Explores every state within the bounds, or stops at the first state that breaks a rule.
#[must_use]
pub fn check(bounds: Bounds) -> Report {
    let threads = available_parallelism().map_or(1, NonZeroUsize::get);
    let checker = RosterModel::new(bounds).checker().threads(threads);
    let checker = checker.finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let discoveries = checker.discoveries();
    let has_failed = checker.model().properties().iter().any(|property| {
        property.expectation == Expectation::Always && discoveries.contains_key(property.name)
    });
    let broken = checker.model().properties().into_iter().filter_map(|property| {
        let found = discoveries.get(property.name);
        match property.expectation {
            Expectation::Always | Expectation::Eventually => {
                let steps = found?.clone().into_actions();
                Some((property.name, format_path(&steps)))
            }
            // A search that stopped at a broken rule is incomplete, so missing coverage means nothing then.
            Expectation::Sometimes => {
                let missing = found.is_none() && !has_failed;
                missing.then(|| (property.name, "it never happens within the bounds".to_owned()))
            }
        }
    });
    Report {
        transitions: checker.state_count(),
        states: checker.unique_state_count(),
        depth: checker.max_depth(),
        broken: broken.collect(),
    }
}

fn format_path(steps: &[Step]) -> String {
    steps.iter().enumerate().fold(String::new(), |mut text, (index, step)| {
        let _ = writeln!(text, "{:3}. {step:?}", index + 1);
        text
    })
}
