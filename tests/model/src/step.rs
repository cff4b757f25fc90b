//! The steps: what can happen next in a state, and the state that follows.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use domain::delivery::{self, DeliveryUpdate};
use domain::{Link, Plan, expire};

use crate::{Call, Mailed, RosterModel, State, User, Work};

/// A function that reads the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reader {
    /// `mail`.
    Mail,
    /// `schedule`.
    Schedule,
}

/// One step. Indexes refer to [`State::in_progress`], users to the invitation of that user.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// A user calls or a function is invoked: it reads and decides.
    Begin(Call),
    /// The work at this index takes its next step.
    Proceed(usize),
    /// SES rejects the mail at this index for good.
    Reject(usize),
    /// The function at this index crashes.
    Crash(usize),
    /// A function gets a stream record and reads the table.
    Read(Reader, User),
    /// A function gets a stream record again, while it is processed or afterwards.
    ReadDuplicate(Reader, User),
    /// A stream record becomes a dead letter.
    DeadLetter(Reader, User),
    /// The schedule fires.
    Fire(User),
    /// The schedule fires one time step too early.
    FireEarly(User),
    /// The schedule fires and will fire again.
    FireDuplicate(User),
    /// The schedule is lost.
    LoseSchedule(User),
    /// The invocation of `expire` at this index becomes a dead letter.
    LoseInvocation(usize),
    /// Time passes.
    Tick,
}

/// Uses up one of `left`; `None` if nothing is left.
fn spend(left: &mut u8) -> Option<()> {
    *left = left.checked_sub(1)?;
    Some(())
}

impl RosterModel {
    /// Adds all steps that may be possible in `state`. [`Self::take`] returns `None` for the impossible ones.
    pub(crate) fn steps(&self, state: &State, steps: &mut Vec<Step>) {
        self.calls(state, steps);
        let faults = &state.faults_left;
        for (index, work) in state.in_progress.iter().enumerate() {
            steps.push(Step::Proceed(index));
            match work {
                Work::SendMail(..) => {
                    steps.extend((faults.rejections > 0).then_some(Step::Reject(index)));
                    steps.extend((faults.crashes > 0).then_some(Step::Crash(index)));
                }
                Work::MarkSent(..) | Work::MarkFailed(..) | Work::UpdateSchedule(..) => {
                    steps.extend((faults.crashes > 0).then_some(Step::Crash(index)));
                }
                Work::Expire(_) => {
                    steps.extend((faults.lost_timers > 0).then_some(Step::LoseInvocation(index)));
                }
                Work::Commit(..) => {}
            }
        }
        for &(reader, user) in &state.stream_records {
            steps.push(Step::Read(reader, user));
            steps.extend((faults.dead_letters > 0).then_some(Step::DeadLetter(reader, user)));
        }
        for user in self.users() {
            steps.push(Step::Begin(Call::Reconcile(user)));
            if self.bounds.functions_in_steps && faults.duplicates > 0 {
                steps.push(Step::ReadDuplicate(Reader::Mail, user));
                if self.bounds.timers {
                    steps.push(Step::ReadDuplicate(Reader::Schedule, user));
                }
            }
        }
        for &user in state.schedules.keys() {
            steps.push(Step::Fire(user));
            steps.extend((faults.early_timers > 0).then_some(Step::FireEarly(user)));
            steps.extend((faults.duplicates > 0).then_some(Step::FireDuplicate(user)));
            steps.extend((faults.lost_timers > 0).then_some(Step::LoseSchedule(user)));
        }
        if faults.feedback > 0 {
            for mailed in state.mailed.values() {
                let bounce = DeliveryUpdate::Bounced("unknown".to_owned());
                steps.push(Step::Begin(Call::UpdateDelivery(mailed.link.clone(), bounce)));
            }
        }
        steps.push(Step::Tick);
    }

    /// Adds the calls that users may make in `state`.
    fn calls(&self, state: &State, steps: &mut Vec<Step>) {
        let is_user_call = |work: &&Work| matches!(work, Work::Commit(call, _) if call.is_user_call());
        let concurrent = state.in_progress.iter().filter(is_user_call).count();
        if state.calls_left == 0 || concurrent >= self.bounds.concurrent_calls {
            return;
        }
        steps.extend(self.available_calls(state).map(Step::Begin));
    }

    /// The calls of the bounds, and an accept and a decline for every link that was mailed.
    pub(crate) fn available_calls(&self, state: &State) -> impl Iterator<Item = Call> {
        let links = || state.mailed.values().map(|mailed| mailed.link.clone());
        let declines = links().filter(|_| self.bounds.declines).map(Call::Decline);
        self.bounds.available_calls.iter().cloned().chain(links().map(Call::Accept)).chain(declines)
    }

    /// Returns the state after `step`; `None` if the step is impossible in `state` or changes nothing.
    pub(crate) fn take(&self, state: &State, step: &Step) -> Option<State> {
        let mut next = match step {
            Step::Begin(call) => self.begin(state, call)?,
            _ => state.clone(),
        };
        match *step {
            Step::Begin(_) => {}
            Step::Proceed(index) => {
                let work = next.in_progress.remove(index);
                if matches!(&work, Work::Expire(link) if self.is_early(state, link)) {
                    return None;
                }
                self.proceed(&mut next, work);
            }
            Step::Reject(index) => {
                spend(&mut next.faults_left.rejections)?;
                let Work::SendMail(user, link) = next.in_progress.remove(index) else { return None };
                next.in_progress.push(Work::MarkFailed(user, link));
            }
            Step::Crash(index) => {
                spend(&mut next.faults_left.crashes)?;
                let record = match next.in_progress.remove(index) {
                    Work::SendMail(user, _) | Work::MarkSent(user, _) | Work::MarkFailed(user, _) => {
                        (Reader::Mail, user)
                    }
                    Work::UpdateSchedule(user, _) => (Reader::Schedule, user),
                    Work::Commit(..) | Work::Expire(_) => return None,
                };
                next.stream_records.insert(record);
            }
            Step::Read(reader, user) => {
                // Lambda processes the records of one item one after the other.
                if next.in_progress.iter().any(|work| work.belongs_to(reader, user)) {
                    return None;
                }
                next.stream_records.remove(&(reader, user)).then_some(())?;
                self.read(&mut next, reader, user);
            }
            Step::ReadDuplicate(reader, user) => {
                spend(&mut next.faults_left.duplicates)?;
                self.invitation(&next, user)?;
                self.read(&mut next, reader, user);
            }
            Step::DeadLetter(reader, user) => {
                spend(&mut next.faults_left.dead_letters)?;
                next.stream_records.remove(&(reader, user)).then_some(())?;
            }
            Step::Fire(user) => {
                let link = next.schedules.remove(&user)?;
                if Self::now(next.tick) < link.expires_at {
                    return None;
                }
                next.in_progress.push(Work::Expire(link));
            }
            Step::FireEarly(user) => {
                spend(&mut next.faults_left.early_timers)?;
                let link = next.schedules.remove(&user)?;
                if Self::now(next.tick + 1) != link.expires_at {
                    return None;
                }
                next.in_progress.push(Work::Expire(link));
            }
            Step::FireDuplicate(user) => {
                spend(&mut next.faults_left.duplicates)?;
                let link = next.schedules.get(&user)?.clone();
                if Self::now(next.tick) < link.expires_at {
                    return None;
                }
                next.in_progress.push(Work::Expire(link));
            }
            Step::LoseSchedule(user) => {
                spend(&mut next.faults_left.lost_timers)?;
                next.schedules.remove(&user)?;
            }
            Step::LoseInvocation(index) => {
                spend(&mut next.faults_left.lost_timers)?;
                next.in_progress.remove(index);
            }
            Step::Tick => {
                if !self.has_pending(&next) || next.tick >= self.horizon() {
                    return None;
                }
                if !self.is_idle(&next) {
                    spend(&mut next.faults_left.delays)?;
                }
                next.tick += 1;
            }
        }
        if !self.bounds.functions_in_steps {
            self.process_stream(&mut next);
        }
        // A fixed order, so that states with the same work in progress are equal.
        next.in_progress.sort_by_cached_key(|work| {
            let mut hasher = DefaultHasher::new();
            work.hash(&mut hasher);
            hasher.finish()
        });
        Some(next)
    }

    fn begin(&self, state: &State, call: &Call) -> Option<State> {
        let is_same = |work: &Work| matches!(work, Work::Commit(begun, _) if begun == call);
        if matches!(call, Call::Reconcile(_)) && state.in_progress.iter().any(is_same) {
            return None;
        }
        let plan = call.decide(self, &state.table, state.tick, None).ok().filter(Plan::writes)?;
        let mut next = state.clone();
        match call {
            Call::UpdateDelivery(..) => spend(&mut next.faults_left.feedback)?,
            call if call.is_user_call() => spend(&mut next.calls_left)?,
            _ => {}
        }
        next.in_progress.push(Work::Commit(call.clone(), plan));
        Some(next)
    }

    /// Processes all stream records at once: sends and marks the mails, and ignores schedules.
    fn process_stream(&self, state: &mut State) {
        while let Some((reader, user)) = state.stream_records.pop_first() {
            self.read(state, reader, user);
            while let Some(index) =
                state.in_progress.iter().position(|work| work.belongs_to(Reader::Mail, user))
            {
                let work = state.in_progress.remove(index);
                self.proceed(state, work);
            }
        }
    }

    fn read(&self, state: &mut State, reader: Reader, user: User) {
        let Some(invitation) = self.invitation(state, user) else { return };
        match reader {
            Reader::Mail => {
                if delivery::unsent_mail(invitation, Self::now(state.tick)).is_some() {
                    let send = Work::SendMail(user, invitation.link());
                    state.in_progress.push(send);
                }
            }
            Reader::Schedule => {
                let update = Work::UpdateSchedule(user, expire::timer(invitation));
                if self.bounds.timers {
                    state.in_progress.push(update);
                }
            }
        }
    }

    fn proceed(&self, state: &mut State, work: Work) {
        match work {
            Work::Commit(call, plan) => {
                if !self.commit(state, &call, &plan) {
                    // A guard failed, so the call reads and decides again. This attempt may be refused.
                    let again = call.decide(self, &state.table, state.tick, Some(&plan));
                    if let Some(plan) = again.ok().filter(Plan::writes) {
                        state.in_progress.push(Work::Commit(call, plan));
                    }
                }
            }
            Work::SendMail(user, link) => {
                let mailed = Mailed { link: link.clone(), times: 0 };
                state.mailed.entry((user, link.generation.0)).or_insert(mailed).times += 1;
                state.in_progress.push(Work::MarkSent(user, link));
            }
            Work::MarkSent(_, link) => self.update_delivery(state, link, DeliveryUpdate::Sent),
            Work::MarkFailed(_, link) => {
                self.update_delivery(state, link, DeliveryUpdate::Failed("refused".to_owned()));
            }
            Work::UpdateSchedule(user, timer) => {
                match timer {
                    Some(link) => state.schedules.insert(user, link),
                    None => state.schedules.remove(&user),
                };
            }
            Work::Expire(link) => {
                let call = Call::Expire(link);
                let plan = call.decide(self, &state.table, state.tick, None);
                if let Some(plan) = plan.ok().filter(Plan::writes) {
                    state.in_progress.push(Work::Commit(call, plan));
                }
            }
        }
    }

    /// Reads, decides and commits in one step.
    ///
    /// `mail` retries a mark until it is committed, and a mark depends on its own mail only. So splitting it into
    /// two steps would reach no other results.
    fn update_delivery(&self, state: &mut State, link: Link, update: DeliveryUpdate) {
        let call = Call::UpdateDelivery(link, update);
        if let Some(plan) = call.decide(self, &state.table, state.tick, None).ok().filter(Plan::writes) {
            self.commit(state, &call, &plan);
        }
    }
}

impl Work {
    /// Whether this reader is processing a stream record of this user's invitation.
    fn belongs_to(&self, reader: Reader, user: User) -> bool {
        match self {
            Self::SendMail(invitee, _) | Self::MarkSent(invitee, _) | Self::MarkFailed(invitee, _) => {
                reader == Reader::Mail && *invitee == user
            }
            Self::UpdateSchedule(invitee, _) => reader == Reader::Schedule && *invitee == user,
            Self::Commit(..) | Self::Expire(_) => false,
        }
    }
}
