//! A linearizability checker: decides whether a sequential object can have given the recorded responses in some order.
//!
//! The algorithm is just-in-time linearization (G. Lowe, *Testing for linearizability*, 2017). It processes the starts
//! and ends of all steps in the order of time and keeps a set of configurations. A configuration is a possible state of
//! the object, and the set of open steps that were applied to reach it. A step is open between its start and its end.
//! At the end of a step, the checker drops every configuration in which the step cannot have been applied. If no
//! configuration remains, no order explains this step. All steps that ended before it do have an order, so the failure
//! shows the place.
//!
//! Only a few steps are open at a time. So there are few configurations, and the time is proportional to the length of
//! the history. A read-only step is applied as soon as its response matches the state, because applying it later never
//! helps.
//!
//! Two crates offer a checker. `todc-utils` returns only yes or no, needs quadratic time, and requires one effect and
//! one response per call. `stateright` searches without memoization. Neither supports a step that takes effect before
//! the process is killed or never.

use std::collections::HashSet;
use std::hash::Hash;

/// The maximum number of open steps.
const SLOTS: usize = 256;
/// The checker gives up (`Failure::Undecided`) above this number of configurations. Real histories need far fewer.
const CONFIGURATIONS_MAX: usize = 200_000;

/// The sequential behavior of an object.
pub trait Specification {
    /// The object's state between two steps.
    type State: Clone + Eq + Hash;
    /// An operation together with its response.
    type Step;

    /// Returns the state after `step`, or `None` if the response of `step` is impossible in `state`.
    fn apply(step: &Self::Step, state: &Self::State) -> Option<Self::State>;

    /// Whether `step`, with its response, changes no state at all. A step that changes some states and leaves others
    /// unchanged is not read-only.
    fn is_read_only(step: &Self::Step) -> bool;
}

/// A step and the interval of time in which it took effect. A step that starts at the time at which another one ends
/// overlaps it.
#[derive(Debug, Clone)]
pub struct Entry<Step> {
    /// The start of the step.
    pub from: u64,
    /// The end of the step. `None`: the step may take effect at any later time.
    pub until: Option<u64>,
    /// Whether the step took effect for certain. A step without a response may have had no effect.
    pub certain: bool,
    /// The operation and its response.
    pub step: Step,
}

/// Statistics of a check.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CheckStats {
    /// The maximum number of configurations at any time.
    pub configurations_max: usize,
}

/// The reason why a check failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure<State> {
    /// No order explains this entry.
    Impossible {
        /// The index of the entry.
        entry: usize,
        /// The possible states before this entry ended, each with the open entries that were applied to reach it.
        configurations: Vec<(State, Vec<usize>)>,
    },
    /// There are too many configurations or open steps.
    Undecided {
        /// The index of the entry at which the checker gave up.
        entry: usize,
    },
}

/// A set of slots: a bit for each open step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
struct SlotSet([u64; SLOTS / 64]);

impl SlotSet {
    fn contains(&self, slot: usize) -> bool {
        self.0[slot / 64] & (1 << (slot % 64)) != 0
    }

    fn with(mut self, slot: usize) -> Self {
        self.0[slot / 64] |= 1 << (slot % 64);
        self
    }

    fn without(mut self, slot: usize) -> Self {
        self.0[slot / 64] &= !(1 << (slot % 64));
        self
    }
}

/// A possible state, and the slots of the open steps that were applied to reach it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Configuration<State> {
    state: State,
    applied: SlotSet,
}

/// The open steps. Each occupies a slot.
struct OpenSteps<'a, S: Specification> {
    entries: &'a [Entry<S::Step>],
    slots: Vec<Option<usize>>,
}

/// Checks that an object with the state `initial` can have executed `entries` in some order.
pub fn check<S: Specification>(
    initial: S::State,
    entries: &[Entry<S::Step>],
) -> Result<CheckStats, Failure<S::State>> {
    let beginnings = entries.iter().enumerate().map(|(entry, it)| (it.from, false, entry));
    let ends = entries.iter().enumerate().filter_map(|(entry, it)| Some((it.until?, true, entry)));
    let mut events: Vec<_> = beginnings.chain(ends).collect();
    events.sort_unstable();

    let mut open = OpenSteps::<S> { entries, slots: vec![None; SLOTS] };
    let mut configurations = HashSet::from([Configuration { state: initial, applied: SlotSet::default() }]);
    let mut stats = CheckStats::default();
    for (_, is_end, entry) in events {
        if is_end {
            let slot = open.slot_of(entry);
            let before = configurations;
            configurations = open.apply_until(slot, &before).ok_or(Failure::Undecided { entry })?;
            if !entries[entry].certain {
                // The step may also have had no effect.
                configurations.extend(before.into_iter().map(|configuration| configuration.without(slot)));
            } else if configurations.is_empty() {
                return Err(Failure::Impossible { entry, configurations: open.with_entries(before) });
            }
            open.slots[slot] = None;
        } else {
            let free = open.slots.iter().position(Option::is_none);
            open.slots[free.ok_or(Failure::Undecided { entry })?] = Some(entry);
            configurations =
                configurations.into_iter().map(|configuration| open.apply_reads(configuration)).collect();
        }
        stats.configurations_max = stats.configurations_max.max(configurations.len());
    }
    Ok(stats)
}

impl<State> Configuration<State> {
    fn without(self, slot: usize) -> Self {
        Self { applied: self.applied.without(slot), ..self }
    }
}

impl<S: Specification> OpenSteps<'_, S> {
    /// The open steps that `configuration` has not applied, with their slots.
    fn not_applied(
        &self,
        configuration: &Configuration<S::State>,
    ) -> impl Iterator<Item = (usize, &Entry<S::Step>)> {
        let applied = configuration.applied;
        let used = self.slots.iter().enumerate().filter_map(|(slot, entry)| Some((slot, (*entry)?)));
        used.filter(move |(slot, _)| !applied.contains(*slot))
            .map(|(slot, entry)| (slot, &self.entries[entry]))
    }

    fn slot_of(&self, entry: usize) -> usize {
        self.slots.iter().position(|slot| *slot == Some(entry)).expect("a step starts before it ends")
    }

    /// Applies every read-only step that is possible in `configuration`.
    fn apply_reads(&self, mut configuration: Configuration<S::State>) -> Configuration<S::State> {
        let reads = self
            .not_applied(&configuration)
            .filter(|(_, entry)| entry.certain && S::is_read_only(&entry.step));
        let now = reads.filter(|(_, entry)| S::apply(&entry.step, &configuration.state).is_some());
        let applied = now.fold(configuration.applied, |applied, (slot, _)| applied.with(slot));
        configuration.applied = applied;
        configuration
    }

    /// Applies open steps to each of `configurations` in every order, until the step in `slot` is applied. Returns
    /// `None` if there are too many configurations.
    fn apply_until(
        &self,
        slot: usize,
        configurations: &HashSet<Configuration<S::State>>,
    ) -> Option<HashSet<Configuration<S::State>>> {
        let mut seen = configurations.clone();
        let mut todo: Vec<_> = configurations.iter().cloned().collect();
        let mut done = HashSet::new();
        while let Some(configuration) = todo.pop() {
            if configuration.applied.contains(slot) {
                done.insert(configuration.without(slot));
                continue;
            }
            for (next, entry) in self.not_applied(&configuration) {
                let Some(state) = S::apply(&entry.step, &configuration.state) else { continue };
                // An uncertain step without an effect leads to the same state as not applying it.
                if !entry.certain && state == configuration.state {
                    continue;
                }
                let configuration =
                    self.apply_reads(Configuration { state, applied: configuration.applied.with(next) });
                if seen.insert(configuration.clone()) {
                    todo.push(configuration);
                }
            }
            if seen.len() > CONFIGURATIONS_MAX {
                return None;
            }
        }
        Some(done)
    }

    /// Replaces the slots by the indexes of their entries.
    fn with_entries(&self, configurations: HashSet<Configuration<S::State>>) -> Vec<(S::State, Vec<usize>)> {
        let replace_slots = |configuration: Configuration<S::State>| {
            let applied =
                self.slots.iter().enumerate().filter(|(slot, _)| configuration.applied.contains(*slot));
            let applied = applied.filter_map(|(_, entry)| *entry).collect();
            (configuration.state, applied)
        };
        configurations.into_iter().map(replace_slots).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A register that holds one number.
    struct Register;

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Read(u8),
        Write(u8),
    }

    impl Specification for Register {
        type State = u8;
        type Step = Step;

        fn apply(step: &Step, state: &u8) -> Option<u8> {
            match step {
                Step::Read(value) => (value == state).then_some(*state),
                Step::Write(value) => Some(*value),
            }
        }

        fn is_read_only(step: &Step) -> bool {
            matches!(step, Step::Read(_))
        }
    }

    fn entry(from: u64, until: u64, step: Step) -> Entry<Step> {
        Entry { from, until: Some(until), certain: true, step }
    }

    fn lost(from: u64, until: Option<u64>, step: Step) -> Entry<Step> {
        Entry { from, until, certain: false, step }
    }

    /// The index of the entry that no order explains, if there is one.
    fn impossible(entries: &[Entry<Step>]) -> Option<usize> {
        match check::<Register>(0, entries) {
            Ok(_) => None,
            Err(Failure::Impossible { entry, .. } | Failure::Undecided { entry }) => Some(entry),
        }
    }

    use Step::{Read, Write};

    #[test]
    fn a_sequential_read_returns_the_last_write() {
        assert_eq!(impossible(&[entry(1, 2, Write(1)), entry(3, 4, Read(1))]), None);
        assert_eq!(impossible(&[entry(1, 2, Write(1)), entry(3, 4, Read(0))]), Some(1));
        assert_eq!(impossible(&[entry(1, 2, Read(1)), entry(3, 4, Write(1))]), Some(0));
    }

    #[test]
    fn overlapping_steps_may_have_any_order() {
        let writes = [entry(1, 12, Write(1)), entry(2, 13, Write(2)), entry(3, 14, Write(3))];
        let reads = |[a, b, c]: [u8; 3]| [entry(4, 5, Read(a)), entry(6, 7, Read(b)), entry(8, 9, Read(c))];
        for order in [[3, 2, 1], [1, 2, 3], [0, 2, 2], [2, 3, 3]] {
            assert_eq!(impossible(&[&writes[..], &reads(order)].concat()), None, "{order:?}");
        }
        // Each value is written once, so an overwritten value cannot return.
        assert_eq!(impossible(&[&writes[..], &reads([1, 2, 1])].concat()), Some(5));
        assert_eq!(impossible(&[&writes[..], &reads([2, 0, 1])].concat()), Some(4));
    }

    #[test]
    fn a_read_may_return_either_of_two_overlapping_writes() {
        let history =
            [entry(1, 8, Write(1)), entry(2, 9, Write(2)), entry(3, 10, Read(1)), entry(11, 12, Read(2))];
        assert_eq!(impossible(&history), None);
    }

    #[test]
    fn a_write_of_the_current_value_may_take_effect_later() {
        let history =
            [entry(1, 10, Write(0)), entry(2, 3, Write(1)), entry(4, 5, Read(1)), entry(11, 12, Read(0))];
        assert_eq!(impossible(&history), None);
    }

    #[test]
    fn a_write_without_a_response_takes_effect_later_or_never() {
        let written = |reads: [u8; 2]| {
            [lost(1, None, Write(1)), entry(2, 3, Read(reads[0])), entry(4, 5, Read(reads[1]))]
        };
        for possible in [[0, 0], [0, 1], [1, 1]] {
            assert_eq!(impossible(&written(possible)), None, "{possible:?}");
        }
        assert_eq!(impossible(&written([1, 0])), Some(2), "it takes effect once and is not undone");
    }

    #[test]
    fn a_write_lost_in_a_kill_takes_effect_before_the_kill_or_never() {
        let written = |first: u8, second: u8| {
            [lost(1, Some(4), Write(1)), entry(2, 3, Read(first)), entry(5, 6, Read(second))]
        };
        assert_eq!(impossible(&written(0, 0)), None);
        assert_eq!(impossible(&written(0, 1)), None, "it takes effect between the first read and the kill");
        let late = [lost(1, Some(2), Write(1)), entry(3, 4, Read(0)), entry(5, 6, Read(1))];
        assert_eq!(impossible(&late), Some(2));
    }

    #[test]
    fn a_failure_lists_the_possible_states() {
        let history = [entry(1, 6, Write(1)), entry(2, 3, Read(0)), entry(4, 5, Read(7))];
        let Err(Failure::Impossible { entry: 2, configurations }) = check::<Register>(0, &history) else {
            panic!("the last read is impossible")
        };
        assert_eq!(configurations, [(0, vec![])]);
    }

    #[test]
    fn a_long_history_needs_few_configurations() {
        let history: Vec<_> = (0..20_000_u64)
            .map(|n| {
                let value = u8::try_from(n % 200).unwrap();
                entry(
                    n * 10,
                    n * 10 + 25,
                    if n % 2 == 0 { Write(value) } else { Read(value.wrapping_sub(1)) },
                )
            })
            .collect();
        assert!(check::<Register>(0, &history).unwrap().configurations_max < 50);
    }
}
