//! Coverage: what each bounds must reach, so that a rule does not hold only because no call ever tries to break it.

use domain::{Delivery, Permission, Plan, Record, Refusal, Role, Status, expire};
use stateright::Property;

use crate::{Bounds, Call, RosterModel, State, Work};

/// A property that must hold in at least one state.
type Coverage = Property<RosterModel>;

/// Returns the coverage that these bounds require.
pub(crate) fn properties(bounds: &Bounds) -> Vec<Coverage> {
    let mut all = vec![
        Coverage::sometimes("an invitee accepts", |model, state: &State| {
            let members = state.table.members(&model.organization).count();
            members > model.bounds.members.len() + 1
        }),
        Coverage::sometimes("an invitation expires", |model, state| has(model, state, Status::Expired)),
        Coverage::sometimes("no seat is free", |model, state| {
            state.table.organization(&model.organization).is_some_and(|it| it.seats.free == 0)
        }),
        Coverage::sometimes("a guard fails", |_, state| {
            let fails = |plan: &Plan| state.table.clone().commit(plan).is_err();
            state.in_progress.iter().any(|work| matches!(work, Work::Commit(_, plan) if fails(plan)))
        }),
    ];
    all.extend(match bounds.name {
        "people" => people(),
        "seats" => seats(),
        "addresses" => addresses(),
        "outbox" => outbox(),
        "timers" => timers(),
        other => unreachable!("no bounds are named {other}"),
    });
    all
}

fn an_old_link_is_tried() -> Coverage {
    Coverage::sometimes("rule: links, an old link is tried", |model, state| {
        is_refused(model, state, |refusal| *refusal == Refusal::Superseded)
    })
}

/// Whether a call that is available in this state gets a refusal that `matches`, at once or after a failed guard.
fn is_refused(model: &RosterModel, state: &State, matches: impl Fn(&Refusal) -> bool) -> bool {
    let decide = |call: &Call, failed: Option<&Plan>| call.decide(model, &state.table, state.tick, failed);
    let refusal = |call: Call| match decide(&call, None) {
        Ok(plan) if state.table.clone().commit(&plan).is_err() => decide(&call, Some(&plan)).err().flatten(),
        decided => decided.err().flatten(),
    };
    state.calls_left > 0 && model.available_calls(state).filter_map(refusal).any(|refusal| matches(&refusal))
}

fn has(model: &RosterModel, state: &State, status: Status) -> bool {
    state.table.invitations(&model.organization).any(|it| it.status() == status)
}

fn people() -> Vec<Coverage> {
    vec![
        an_old_link_is_tried(),
        Coverage::sometimes("rule: last owner, a call demotes or removes the last owner", |model, state| {
            is_refused(model, state, |refusal| *refusal == Refusal::LastOwner)
        }),
        Coverage::sometimes("rule: permissions, a member edits a role", |model, state| {
            is_refused(model, state, |refusal| *refusal == Refusal::NotPermitted(Permission::EditRoles))
        }),
        Coverage::sometimes("rule: permissions, a member removes another member", |model, state| {
            is_refused(model, state, |refusal| *refusal == Refusal::NotPermitted(Permission::RemoveMembers))
        }),
        Coverage::sometimes("rule: permissions, a member invites an owner", |model, state| {
            is_refused(model, state, |refusal| {
                *refusal == Refusal::NotPermitted(Permission::Invite(Role::Owner))
            })
        }),
        Coverage::sometimes("rule: sender's authority, it is lost before the accept", |model, state| {
            is_refused(model, state, |refusal| *refusal == Refusal::SenderLostAuthority)
        }),
    ]
}

fn seats() -> Vec<Coverage> {
    vec![
        an_old_link_is_tried(),
        Coverage::sometimes("rule: seats, a call needs more seats than are free", |model, state| {
            is_refused(model, state, |refusal| matches!(refusal, Refusal::SeatsExhausted(_)))
        }),
        Coverage::sometimes("rule: expiry, an accept or decline comes too late", |model, state| {
            is_refused(model, state, |refusal| *refusal == Refusal::Gone(Status::Expired))
        }),
        Coverage::sometimes("rule: one record per address, a revoked link is tried", |model, state| {
            is_refused(model, state, |refusal| *refusal == Refusal::Gone(Status::Revoked))
        }),
        Coverage::sometimes("rule: one record per address, a declined link is tried", |model, state| {
            is_refused(model, state, |refusal| *refusal == Refusal::Gone(Status::Declined))
        }),
        Coverage::sometimes(
            "rule: one record per address, a removed member's link is tried",
            |model, state| is_refused(model, state, |refusal| *refusal == Refusal::Gone(Status::Removed)),
        ),
    ]
}

fn addresses() -> Vec<Coverage> {
    vec![
        Coverage::sometimes("rule: seats, a member accepts a second invitation", |_, state| {
            let declines = |record: &Record| matches!(record, Record::Invitation(invitation) if invitation.status() == Status::Declined);
            let closes = |work: &Work| match work {
                Work::Commit(Call::Accept(_), plan) => plan.puts().any(declines),
                _ => false,
            };
            state.in_progress.iter().any(closes)
        }),
        Coverage::sometimes("a user accepts two invitations at once", |model, state| {
            let is_accept = |work: &&Work| matches!(work, Work::Commit(Call::Accept(_), _));
            let members = state.table.members(&model.organization).count();
            members == 1 && state.in_progress.iter().filter(is_accept).count() == 2
        }),
    ]
}

fn outbox() -> Vec<Coverage> {
    vec![
        Coverage::sometimes("rule: mail, it is queued until one step before the deadline", |model, state| {
            state.table.invitations(&model.organization).any(|it| {
                let queued = it.mail.as_ref().is_some_and(|mail| mail.delivery == Delivery::Queued);
                queued && it.status() == Status::Pending && RosterModel::now(state.tick + 1) >= it.expires_at
            })
        }),
        Coverage::sometimes("a mail is sent twice", |_, state| {
            state.mailed.values().any(|mailed| mailed.times > 1)
        }),
        Coverage::sometimes("SES may report on an old mail after a newer mail is queued", |model, state| {
            let is_newest = |link: &domain::Link| {
                state
                    .table
                    .invitation(&link.organization, &link.invitation)
                    .is_some_and(|it| it.link() == *link)
            };
            state.faults_left.feedback > 0
                && state.mailed.values().any(|mailed| !is_newest(&mailed.link))
                && has(model, state, Status::Pending)
        }),
        Coverage::sometimes("SES rejects a mail for good", |model, state| {
            let failed = |mail: &domain::Mail| mail.delivery == Delivery::Failed;
            state.table.invitations(&model.organization).any(|it| it.mail.as_ref().is_some_and(failed))
        }),
    ]
}

fn timers() -> Vec<Coverage> {
    vec![
        Coverage::sometimes("rule: expiry, a timer fires too early", |model, state| {
            let is_early =
                |link: &domain::Link| has(model, state, Status::Pending) && model.is_early(state, link);
            state.in_progress.iter().any(|work| matches!(work, Work::Expire(link) if is_early(link)))
        }),
        Coverage::sometimes("an old timer fires before a later deadline", |model, state| {
            let is_old = |link: &domain::Link| {
                let needed =
                    state.table.invitation(&link.organization, &link.invitation).and_then(expire::timer);
                needed
                    .is_some_and(|needed| needed != *link && RosterModel::now(state.tick) < needed.expires_at)
            };
            let has_fired = |work: &Work| matches!(work, Work::Expire(link) if is_old(link));
            model.bounds.timers && state.in_progress.iter().any(has_fired)
        }),
        Coverage::sometimes("a pending invitation has no schedule", |model, state| {
            state.schedules.is_empty()
                && state.stream_records.is_empty()
                && state.in_progress.is_empty()
                && has(model, state, Status::Pending)
        }),
    ]
}
