//! Every state within the bounds.

use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::thread::available_parallelism;

use stateright::{Checker as _, Expectation, HasDiscoveries, Model as _};

use crate::{Bounds, Roster, Step};

/// What a check came to.
#[derive(Debug, Clone)]
pub struct Report {
    /// Steps from one state to another.
    pub transitions: usize,
    /// States that differ.
    pub states: usize,
    /// Steps of the longest of the shortest ways to a state.
    pub depth: usize,
    /// Each property that does not hold, and a shortest way to where it does not.
    pub broken: Vec<(&'static str, String)>,
}

/// Looks at every state within the bounds, or until one breaks a rule.
#[must_use]
pub fn check(bounds: Bounds) -> Report {
    let threads = available_parallelism().map_or(1, NonZeroUsize::get);
    let checker = Roster::new(bounds).checker().threads(threads);
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
                Some((property.name, written(&steps)))
            }
            // What never happens has not been looked at: the bounds are too tight to mean anything.
            Expectation::Sometimes => {
                let silent = found.is_none() && !has_failed;
                silent.then(|| (property.name, "it never happens within the bounds".to_owned()))
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

fn written(steps: &[Step]) -> String {
    steps.iter().enumerate().fold(String::new(), |mut text, (place, step)| {
        let _ = writeln!(text, "{:3}. {step:?}", place + 1);
        text
    })
}
