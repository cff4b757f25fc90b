//! What can happen next.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use domain::delivery::{self, DeliveryUpdate};
use domain::{Link, Plan, expire};

use crate::{Call, Mailed, Person, Roster, State, Work};

/// Who reads the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reader {
    /// `mail`.
    Mail,
    /// `schedule`.
    Schedule,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// Somebody calls: the facts are read, and it is decided.
    Begin(Call),
    /// What is under way at this place does what it does next: commits, sends, marks, sets.
    Proceed(usize),
    /// SES refuses the mail at this place for good.
    Refuse(usize),
    /// The function at this place dies.
    Crash(usize),
    /// A reader is given the record of somebody's invitation, and reads the table.
    Read(Reader, Person),
    /// A reader is given a record once more, while somebody is at it or after it was done.
    ReadTwice(Reader, Person),
    /// The record of somebody's invitation is given up, and goes to the dead letters.
    GiveUp(Reader, Person),
    /// Somebody's schedule fires.
    Fire(Person),
    /// It fires a step too early.
    FireEarly(Person),
    /// It fires, and will fire again.
    FireTwice(Person),
    /// It is lost.
    LoseSchedule(Person),
    /// What a timer has invoked at this place is given up.
    LoseTimer(usize),
    /// Time passes.
    Tick,
}

/// One less of something, if there is any.
fn spend(left: &mut u8) -> Option<()> {
    *left = left.checked_sub(1)?;
    Some(())
}

impl Roster {
    pub(crate) fn steps(&self, state: &State, steps: &mut Vec<Step>) {
        self.calls(state, steps);
        let faults = &state.faults;
        for (place, work) in state.under_way.iter().enumerate() {
            steps.push(Step::Proceed(place));
            match work {
                Work::OwedMail(..) => {
                    steps.extend((faults.refusals > 0).then_some(Step::Refuse(place)));
                    steps.extend((faults.crashes > 0).then_some(Step::Crash(place)));
                }
                Work::Taken(..) | Work::Refused(..) | Work::Arranging(..) => {
                    steps.extend((faults.crashes > 0).then_some(Step::Crash(place)));
                }
                Work::Fired(_) => {
                    steps.extend((faults.lost_timers > 0).then_some(Step::LoseTimer(place)));
                }
                Work::Decided(..) => {}
            }
        }
        for &(reader, person) in &state.records {
            steps.push(Step::Read(reader, person));
            steps.extend((faults.given_up > 0).then_some(Step::GiveUp(reader, person)));
        }
        for person in self.people() {
            steps.push(Step::Begin(Call::Reconcile(person)));
            if self.bounds.machinery && faults.duplicates > 0 {
                steps.push(Step::ReadTwice(Reader::Mail, person));
                if self.bounds.timers {
                    steps.push(Step::ReadTwice(Reader::Schedule, person));
                }
            }
        }
        for &person in state.schedules.keys() {
            steps.push(Step::Fire(person));
            steps.extend((faults.early_timers > 0).then_some(Step::FireEarly(person)));
            steps.extend((faults.duplicates > 0).then_some(Step::FireTwice(person)));
            steps.extend((faults.lost_timers > 0).then_some(Step::LoseSchedule(person)));
        }
        if faults.feedback > 0 {
            for mailed in state.mailed.values() {
                let mark = DeliveryUpdate::Bounced("unknown".to_owned());
                steps.push(Step::Begin(Call::Feedback(mailed.link.clone(), mark)));
            }
        }
        steps.push(Step::Tick);
    }

    /// What people call next.
    fn calls(&self, state: &State, steps: &mut Vec<Step>) {
        let a_persons = |work: &&Work| matches!(work, Work::Decided(call, _) if call.is_a_persons());
        if state.calls == 0 || state.under_way.iter().filter(a_persons).count() >= self.bounds.at_once {
            return;
        }
        steps.extend(self.menu(state).map(Step::Begin));
    }

    /// What is on the menu, and whatever the links that people were mailed are good for.
    pub(crate) fn menu(&self, state: &State) -> impl Iterator<Item = Call> {
        let links = || state.mailed.values().map(|mailed| mailed.link.clone());
        let declines = links().filter(|_| self.bounds.declines).map(Call::Decline);
        self.bounds.menu.iter().cloned().chain(links().map(Call::Accept)).chain(declines)
    }

    pub(crate) fn take(&self, state: &State, step: &Step) -> Option<State> {
        let mut next = match step {
            Step::Begin(call) => self.begin(state, call)?,
            _ => state.clone(),
        };
        match *step {
            Step::Begin(_) => {}
            Step::Proceed(place) => {
                let work = next.under_way.remove(place);
                if matches!(&work, Work::Fired(link) if self.is_early(state, link)) {
                    return None;
                }
                self.proceed(&mut next, work);
            }
            Step::Refuse(place) => {
                spend(&mut next.faults.refusals)?;
                let Work::OwedMail(person, link) = next.under_way.remove(place) else { return None };
                next.under_way.push(Work::Refused(person, link));
            }
            Step::Crash(place) => {
                spend(&mut next.faults.crashes)?;
                let record = match next.under_way.remove(place) {
                    Work::OwedMail(person, _) | Work::Taken(person, _) | Work::Refused(person, _) => {
                        (Reader::Mail, person)
                    }
                    Work::Arranging(person, _) => (Reader::Schedule, person),
                    Work::Decided(..) | Work::Fired(_) => return None,
                };
                next.records.insert(record);
            }
            Step::Read(reader, person) => {
                // The records of one item come one after the other.
                if next.under_way.iter().any(|work| work.is_read_by(reader, person)) {
                    return None;
                }
                next.records.remove(&(reader, person)).then_some(())?;
                self.read(&mut next, reader, person);
            }
            Step::ReadTwice(reader, person) => {
                spend(&mut next.faults.duplicates)?;
                self.record(&next, person)?;
                self.read(&mut next, reader, person);
            }
            Step::GiveUp(reader, person) => {
                spend(&mut next.faults.given_up)?;
                next.records.remove(&(reader, person)).then_some(())?;
            }
            Step::Fire(person) => {
                let link = next.schedules.remove(&person)?;
                if Self::now(next.tick) < link.expires_at {
                    return None;
                }
                next.under_way.push(Work::Fired(link));
            }
            Step::FireEarly(person) => {
                spend(&mut next.faults.early_timers)?;
                let link = next.schedules.remove(&person)?;
                if Self::now(next.tick + 1) != link.expires_at {
                    return None;
                }
                next.under_way.push(Work::Fired(link));
            }
            Step::FireTwice(person) => {
                spend(&mut next.faults.duplicates)?;
                let link = next.schedules.get(&person)?.clone();
                if Self::now(next.tick) < link.expires_at {
                    return None;
                }
                next.under_way.push(Work::Fired(link));
            }
            Step::LoseSchedule(person) => {
                spend(&mut next.faults.lost_timers)?;
                next.schedules.remove(&person)?;
            }
            Step::LoseTimer(place) => {
                spend(&mut next.faults.lost_timers)?;
                next.under_way.remove(place);
            }
            Step::Tick => {
                if !self.has_pending(&next) || next.tick >= self.horizon() {
                    return None;
                }
                if !self.is_quiet(&next) {
                    spend(&mut next.faults.delays)?;
                }
                next.tick += 1;
            }
        }
        if !self.bounds.machinery {
            self.settle_machinery(&mut next);
        }
        // One order for the same things under way, whichever was begun first.
        next.under_way.sort_by_cached_key(|work| {
            let mut hasher = DefaultHasher::new();
            work.hash(&mut hasher);
            hasher.finish()
        });
        Some(next)
    }

    fn begin(&self, state: &State, call: &Call) -> Option<State> {
        if matches!(call, Call::Reconcile(_)) && state.under_way.iter().any(|work| is_of(work, call)) {
            return None;
        }
        let plan = call.decide(self, &state.table, state.tick, None).ok().filter(Plan::writes)?;
        let mut next = state.clone();
        match call {
            Call::Feedback(..) => spend(&mut next.faults.feedback)?,
            call if call.is_a_persons() => spend(&mut next.calls)?,
            _ => {}
        }
        next.under_way.push(Work::Decided(call.clone(), plan));
        Some(next)
    }

    /// Mail goes out at once, and schedules do not matter.
    fn settle_machinery(&self, state: &mut State) {
        while let Some((reader, person)) = state.records.pop_first() {
            self.read(state, reader, person);
            while let Some(place) =
                state.under_way.iter().position(|work| work.is_read_by(Reader::Mail, person))
            {
                let work = state.under_way.remove(place);
                self.proceed(state, work);
            }
        }
    }

    fn read(&self, state: &mut State, reader: Reader, person: Person) {
        let Some(record) = self.record(state, person) else { return };
        match reader {
            Reader::Mail => {
                if delivery::owed(record, Self::now(state.tick)).is_some() {
                    let owed = Work::OwedMail(person, record.link());
                    state.under_way.push(owed);
                }
            }
            Reader::Schedule => {
                let arranging = Work::Arranging(person, expire::timer(record));
                if self.bounds.timers {
                    state.under_way.push(arranging);
                }
            }
        }
    }

    fn proceed(&self, state: &mut State, work: Work) {
        match work {
            Work::Decided(call, plan) => {
                if !self.commit(state, &call, &plan) {
                    // A rival wrote first: read and decided again. It may be refused now.
                    let again = call.decide(self, &state.table, state.tick, Some(&plan));
                    if let Some(plan) = again.ok().filter(Plan::writes) {
                        state.under_way.push(Work::Decided(call, plan));
                    }
                }
            }
            Work::OwedMail(person, link) => {
                let mailed = Mailed { link: link.clone(), times: 0 };
                state.mailed.entry((person, link.generation.0)).or_insert(mailed).times += 1;
                state.under_way.push(Work::Taken(person, link));
            }
            Work::Taken(_, link) => self.mark(state, link, DeliveryUpdate::Sent),
            Work::Refused(_, link) => self.mark(state, link, DeliveryUpdate::Failed("refused".to_owned())),
            Work::Arranging(person, timer) => {
                match timer {
                    Some(link) => state.schedules.insert(person, link),
                    None => state.schedules.remove(&person),
                };
            }
            Work::Fired(link) => {
                let call = Call::Expire(link);
                let plan = call.decide(self, &state.table, state.tick, None);
                if let Some(plan) = plan.ok().filter(Plan::writes) {
                    state.under_way.push(Work::Decided(call, plan));
                }
            }
        }
    }

    /// Read, decide and commit in one: whoever marks tries until it is done, and a mark minds nobody but its own
    /// mail.
    fn mark(&self, state: &mut State, link: Link, mark: DeliveryUpdate) {
        let call = Call::Feedback(link, mark);
        if let Some(plan) = call.decide(self, &state.table, state.tick, None).ok().filter(Plan::writes) {
            self.commit(state, &call, &plan);
        }
    }
}

impl Work {
    fn is_read_by(&self, reader: Reader, person: Person) -> bool {
        match self {
            Self::OwedMail(whose, _) | Self::Taken(whose, _) | Self::Refused(whose, _) => {
                reader == Reader::Mail && *whose == person
            }
            Self::Arranging(whose, _) => reader == Reader::Schedule && *whose == person,
            Self::Decided(..) | Self::Fired(_) => false,
        }
    }
}

fn is_of(work: &Work, call: &Call) -> bool {
    matches!(work, Work::Decided(begun, _) if begun == call)
}
