//! Whether what was answered could have happened in some order: a checker of linearizability.
//!
//! It goes through a history as time does, and keeps every way in which it may have gone so far: what the object
//! may be now, and which of the steps under way were already taken for that ("just-in-time linearization", G. Lowe,
//! *Testing for linearizability*, 2017). When a step has to be over, all ways are left out in which it cannot have
//! been taken by then. If none is left, that is the step that no order explains, and what came before it did have
//! an order: a failure names its place by itself.
//!
//! Only a few steps are under way at a time, so that the ways stay few, and a history costs what it is long. A step
//! that only reads is taken as soon as it can be: it could but get in the way later.
//!
//! Crates have two. `todc-utils` answers yes or no and not where, searches whole histories at the square of their
//! length, and every call of it has one effect and an answer; `stateright` searches without memory. Neither can say
//! "until the process was killed, or never".

use std::collections::HashSet;
use std::hash::Hash;

/// No more steps are under way at a time.
const SLOTS: usize = 256;
/// No history has had more ways than a fraction of it; one that does is not decided.
const WAYS_MAX: usize = 200_000;

/// An object, told by what one does with it, one step at a time.
pub trait Specification {
    /// What the object is between two steps.
    type State: Clone + Eq + Hash;
    /// What is done with it, and what was answered.
    type Step;

    /// The object after `step`; nothing, if in `state` it is not what is answered.
    fn take(step: &Self::Step, state: &Self::State) -> Option<Self::State>;

    /// Whether `step`, with the answer that it got, changes nothing in any state. One that happens to change
    /// nothing in one state and something in another is no such step: which of them it met matters.
    fn only_reads(step: &Self::Step) -> bool;
}

/// A step, and when it can have been taken. What begins at a moment overlaps what ends at it.
#[derive(Debug, Clone)]
pub struct Entry<Step> {
    /// Not before.
    pub from: u64,
    /// Not after; open for good, if nothing is said.
    pub until: Option<u64>,
    /// Whether it was taken for sure. One whose answer was lost may have been, or not.
    pub certain: bool,
    /// What was done.
    pub step: Step,
}

/// What checking took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Effort {
    /// The most ways that there were at a moment.
    pub ways_max: usize,
}

/// Why a history has no order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure<State> {
    /// This entry cannot have been taken.
    Impossible {
        /// Which.
        entry: usize,
        /// What the object may have been before it, and which of the entries under way were taken for that.
        ways: Vec<(State, Vec<usize>)>,
    },
    /// There are too many ways to tell.
    Undecided {
        /// The entry that was too much.
        entry: usize,
    },
}

/// Which of the steps under way were taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
struct Taken([u64; SLOTS / 64]);

impl Taken {
    fn has(&self, slot: usize) -> bool {
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

/// One way that it may have gone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Way<State> {
    state: State,
    taken: Taken,
}

/// The steps under way, each in its slot.
struct UnderWay<'a, S: Specification> {
    entries: &'a [Entry<S::Step>],
    slots: Vec<Option<usize>>,
}

/// Whether `entries` can have been taken in some order, by an object that is `initial` in the beginning.
pub fn check<S: Specification>(
    initial: S::State,
    entries: &[Entry<S::Step>],
) -> Result<Effort, Failure<S::State>> {
    let begins = entries.iter().enumerate().map(|(entry, it)| (it.from, false, entry));
    let ends = entries.iter().enumerate().filter_map(|(entry, it)| Some((it.until?, true, entry)));
    let mut moments: Vec<_> = begins.chain(ends).collect();
    moments.sort_unstable();

    let mut under_way = UnderWay::<S> { entries, slots: vec![None; SLOTS] };
    let mut ways = HashSet::from([Way { state: initial, taken: Taken::default() }]);
    let mut effort = Effort::default();
    for (_, ends, entry) in moments {
        if ends {
            let slot = under_way.slot_of(entry);
            let before = ways;
            ways = under_way.with(slot, &before).ok_or(Failure::Undecided { entry })?;
            if !entries[entry].certain {
                // Or it was never taken.
                ways.extend(before.into_iter().map(|way| way.without(slot)));
            } else if ways.is_empty() {
                return Err(Failure::Impossible { entry, ways: under_way.named(before) });
            }
            under_way.slots[slot] = None;
        } else {
            let free = under_way.slots.iter().position(Option::is_none);
            under_way.slots[free.ok_or(Failure::Undecided { entry })?] = Some(entry);
            ways = ways.into_iter().map(|way| under_way.settled(way)).collect();
        }
        effort.ways_max = effort.ways_max.max(ways.len());
    }
    Ok(effort)
}

impl<State> Way<State> {
    fn without(self, slot: usize) -> Self {
        Self { taken: self.taken.without(slot), ..self }
    }
}

impl<S: Specification> UnderWay<'_, S> {
    /// The slots that are in use, and what is in them, as far as `way` has not taken it.
    fn left(&self, way: &Way<S::State>) -> impl Iterator<Item = (usize, &Entry<S::Step>)> {
        let taken = way.taken;
        let used = self.slots.iter().enumerate().filter_map(|(slot, entry)| Some((slot, (*entry)?)));
        used.filter(move |(slot, _)| !taken.has(*slot)).map(|(slot, entry)| (slot, &self.entries[entry]))
    }

    fn slot_of(&self, entry: usize) -> usize {
        self.slots.iter().position(|slot| *slot == Some(entry)).expect("what ends has begun")
    }

    /// `way`, with every step taken that only reads and that can be.
    fn settled(&self, mut way: Way<S::State>) -> Way<S::State> {
        let reads = self.left(&way).filter(|(_, entry)| entry.certain && S::only_reads(&entry.step));
        let now = reads.filter(|(_, entry)| S::take(&entry.step, &way.state).is_some());
        let taken = now.fold(way.taken, |taken, (slot, _)| taken.with(slot));
        way.taken = taken;
        way
    }

    /// Every way that goes on from one of `ways` until what is in `slot` is taken, and no further; nothing, if
    /// there are too many.
    fn with(&self, slot: usize, ways: &HashSet<Way<S::State>>) -> Option<HashSet<Way<S::State>>> {
        let mut seen = ways.clone();
        let mut todo: Vec<_> = ways.iter().cloned().collect();
        let mut done = HashSet::new();
        while let Some(way) = todo.pop() {
            if way.taken.has(slot) {
                done.insert(way.without(slot));
                continue;
            }
            for (next, entry) in self.left(&way) {
                let Some(state) = S::take(&entry.step, &way.state) else { continue };
                // What has no effect here may as well not have been taken, if it is not certain that it was.
                if !entry.certain && state == way.state {
                    continue;
                }
                let way = self.settled(Way { state, taken: way.taken.with(next) });
                if seen.insert(way.clone()) {
                    todo.push(way);
                }
            }
            if seen.len() > WAYS_MAX {
                return None;
            }
        }
        Some(done)
    }

    /// The ways, with the entries for the slots.
    fn named(&self, ways: HashSet<Way<S::State>>) -> Vec<(S::State, Vec<usize>)> {
        let named = |way: Way<S::State>| {
            let taken = self.slots.iter().enumerate().filter(|(slot, _)| way.taken.has(*slot));
            let taken = taken.filter_map(|(_, entry)| *entry).collect();
            (way.state, taken)
        };
        ways.into_iter().map(named).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number that is read and written.
    struct Register;

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Read(u8),
        Write(u8),
    }

    impl Specification for Register {
        type State = u8;
        type Step = Step;

        fn take(step: &Step, state: &u8) -> Option<u8> {
            match step {
                Step::Read(value) => (value == state).then_some(*state),
                Step::Write(value) => Some(*value),
            }
        }

        fn only_reads(step: &Step) -> bool {
            matches!(step, Step::Read(_))
        }
    }

    fn entry(from: u64, until: u64, step: Step) -> Entry<Step> {
        Entry { from, until: Some(until), certain: true, step }
    }

    fn lost(from: u64, until: Option<u64>, step: Step) -> Entry<Step> {
        Entry { from, until, certain: false, step }
    }

    /// The entry that is impossible, if one is.
    fn impossible(entries: &[Entry<Step>]) -> Option<usize> {
        match check::<Register>(0, entries) {
            Ok(_) => None,
            Err(Failure::Impossible { entry, .. } | Failure::Undecided { entry }) => Some(entry),
        }
    }

    use Step::{Read, Write};

    #[test]
    fn one_after_the_other_a_read_sees_the_last_write() {
        assert_eq!(impossible(&[entry(1, 2, Write(1)), entry(3, 4, Read(1))]), None);
        assert_eq!(impossible(&[entry(1, 2, Write(1)), entry(3, 4, Read(0))]), Some(1));
        assert_eq!(impossible(&[entry(1, 2, Read(1)), entry(3, 4, Write(1))]), Some(0));
    }

    #[test]
    fn what_overlaps_may_have_gone_in_any_order() {
        let writes = [entry(1, 12, Write(1)), entry(2, 13, Write(2)), entry(3, 14, Write(3))];
        let reads = |[a, b, c]: [u8; 3]| [entry(4, 5, Read(a)), entry(6, 7, Read(b)), entry(8, 9, Read(c))];
        for order in [[3, 2, 1], [1, 2, 3], [0, 2, 2], [2, 3, 3]] {
            assert_eq!(impossible(&[&writes[..], &reads(order)].concat()), None, "{order:?}");
        }
        // Nobody writes the same twice, so nothing comes back.
        assert_eq!(impossible(&[&writes[..], &reads([1, 2, 1])].concat()), Some(5));
        assert_eq!(impossible(&[&writes[..], &reads([2, 0, 1])].concat()), Some(4));
    }

    #[test]
    fn who_is_read_from_the_midst_of_two_writes_overlaps_both() {
        let midst =
            [entry(1, 8, Write(1)), entry(2, 9, Write(2)), entry(3, 10, Read(1)), entry(11, 12, Read(2))];
        assert_eq!(impossible(&midst), None);
    }

    #[test]
    fn a_write_of_what_is_written_already_may_have_come_later() {
        let again =
            [entry(1, 10, Write(0)), entry(2, 3, Write(1)), entry(4, 5, Read(1)), entry(11, 12, Read(0))];
        assert_eq!(impossible(&again), None);
    }

    #[test]
    fn a_lost_write_happens_at_any_later_moment_or_never() {
        let written = |reads: [u8; 2]| {
            [lost(1, None, Write(1)), entry(2, 3, Read(reads[0])), entry(4, 5, Read(reads[1]))]
        };
        for possible in [[0, 0], [0, 1], [1, 1]] {
            assert_eq!(impossible(&written(possible)), None, "{possible:?}");
        }
        assert_eq!(impossible(&written([1, 0])), Some(2), "but not twice, and it is not taken back");
    }

    #[test]
    fn a_write_lost_with_its_process_happens_before_that_or_never() {
        let written = |first: u8, second: u8| {
            [lost(1, Some(4), Write(1)), entry(2, 3, Read(first)), entry(5, 6, Read(second))]
        };
        assert_eq!(impossible(&written(0, 0)), None);
        assert_eq!(impossible(&written(0, 1)), None, "between the first read and the end");
        let late = [lost(1, Some(2), Write(1)), entry(3, 4, Read(0)), entry(5, 6, Read(1))];
        assert_eq!(impossible(&late), Some(2));
    }

    #[test]
    fn a_failure_says_what_it_may_have_been_by_then() {
        let history = [entry(1, 6, Write(1)), entry(2, 3, Read(0)), entry(4, 5, Read(7))];
        let Err(Failure::Impossible { entry: 2, ways }) = check::<Register>(0, &history) else {
            panic!("the last read is impossible")
        };
        assert_eq!(ways, [(0, vec![])]);
    }

    #[test]
    fn a_long_history_costs_what_it_is_long() {
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
        assert!(check::<Register>(0, &history).unwrap().ways_max < 50);
    }
}
