//! What has to happen within each bounds, lest a rule hold there because nobody ever tries to break it.

use domain::{Delivery, Permission, Plan, Refusal, Role, Status, expire};
use stateright::Property;

use crate::{Bounds, Call, Roster, State, Work};

type Sometimes = Property<Roster>;

/// What has to happen within these bounds.
pub(crate) fn within(bounds: &Bounds) -> Vec<Sometimes> {
    let mut all = vec![
        Sometimes::sometimes("somebody accepts", |model, state: &State| {
            let members = state.table.members(&model.organization).count();
            members > model.bounds.members.len() + 1
        }),
        Sometimes::sometimes("an invitation expires", |model, state| has(model, state, Status::Expired)),
        Sometimes::sometimes("no seat is free", |model, state| {
            state.table.organization(&model.organization).is_some_and(|it| it.seats.free == 0)
        }),
        Sometimes::sometimes("a transaction loses a race", |_, state| {
            let loses = |plan: &Plan| state.table.clone().commit(plan).is_err();
            state.under_way.iter().any(|work| matches!(work, Work::Decided(_, plan) if loses(plan)))
        }),
    ];
    all.extend(match bounds.name {
        "people" => people(),
        "seats" => seats(),
        "outbox" => outbox(),
        "timers" => timers(),
        other => unreachable!("{other} are no bounds"),
    });
    all
}

fn an_old_link_is_tried() -> Sometimes {
    Sometimes::sometimes("rule: links, an old one is tried", |model, state| {
        is_refused(model, state, |refusal| *refusal == Refusal::Superseded)
    })
}

/// Whether somebody may try, in this state, what is refused so: at once, or after a guard has failed.
fn is_refused(model: &Roster, state: &State, so: impl Fn(&Refusal) -> bool) -> bool {
    let decide = |call: &Call, lost: Option<&Plan>| call.decide(model, &state.table, state.tick, lost);
    let refusal = |call: Call| match decide(&call, None) {
        Ok(plan) if state.table.clone().commit(&plan).is_err() => decide(&call, Some(&plan)).err().flatten(),
        decided => decided.err().flatten(),
    };
    state.calls > 0 && model.menu(state).filter_map(refusal).any(|refusal| so(&refusal))
}

fn has(model: &Roster, state: &State, status: Status) -> bool {
    state.table.invitations(&model.organization).any(|it| it.status() == status)
}

fn people() -> Vec<Sometimes> {
    vec![
        an_old_link_is_tried(),
        Sometimes::sometimes("rule: last owner, they are to be demoted or removed", |model, state| {
            is_refused(model, state, |refusal| *refusal == Refusal::LastOwner)
        }),
        Sometimes::sometimes("rule: permissions, a member edits a role", |model, state| {
            is_refused(model, state, |refusal| *refusal == Refusal::NotPermitted(Permission::EditRoles))
        }),
        Sometimes::sometimes("rule: permissions, a member removes somebody", |model, state| {
            is_refused(model, state, |refusal| *refusal == Refusal::NotPermitted(Permission::RemoveMembers))
        }),
        Sometimes::sometimes("rule: permissions, a member invites an owner", |model, state| {
            is_refused(model, state, |refusal| {
                *refusal == Refusal::NotPermitted(Permission::Invite(Role::Owner))
            })
        }),
        Sometimes::sometimes("rule: sender's authority, it is lost when somebody accepts", |model, state| {
            is_refused(model, state, |refusal| *refusal == Refusal::SenderLostAuthority)
        }),
    ]
}

fn seats() -> Vec<Sometimes> {
    vec![
        an_old_link_is_tried(),
        Sometimes::sometimes("rule: seats, one too many is wanted", |model, state| {
            is_refused(model, state, |refusal| matches!(refusal, Refusal::SeatsExhausted(_)))
        }),
        Sometimes::sometimes("rule: deadlines, an answer comes too late", |model, state| {
            is_refused(model, state, |refusal| *refusal == Refusal::Gone(Status::Expired))
        }),
        Sometimes::sometimes("rule: one record, a revoked one's link is tried", |model, state| {
            is_refused(model, state, |refusal| *refusal == Refusal::Gone(Status::Revoked))
        }),
        Sometimes::sometimes("rule: one record, a declined one's link is tried", |model, state| {
            is_refused(model, state, |refusal| *refusal == Refusal::Gone(Status::Declined))
        }),
        Sometimes::sometimes("rule: one record, a removed member's link is tried", |model, state| {
            is_refused(model, state, |refusal| *refusal == Refusal::Gone(Status::Removed))
        }),
    ]
}

fn outbox() -> Vec<Sometimes> {
    vec![
        Sometimes::sometimes("rule: mail, it is owed until shortly before the deadline", |model, state| {
            state.table.invitations(&model.organization).any(|it| {
                let owed = it.mail.as_ref().is_some_and(|mail| mail.delivery == Delivery::Queued);
                owed && it.status() == Status::Pending && Roster::now(state.tick + 1) >= it.expires_at
            })
        }),
        Sometimes::sometimes("a mail goes out twice", |_, state| {
            state.mailed.values().any(|mailed| mailed.times > 1)
        }),
        Sometimes::sometimes(
            "what became of an old mail is told after a newer one was sent",
            |model, state| {
                let newest = |link: &domain::Link| {
                    state
                        .table
                        .invitation(&link.organization, &link.invitation)
                        .is_some_and(|it| it.link() == *link)
                };
                state.faults.feedback > 0
                    && state.mailed.values().any(|mailed| !newest(&mailed.link))
                    && has(model, state, Status::Pending)
            },
        ),
        Sometimes::sometimes("SES refuses a mail for good", |model, state| {
            let failed = |mail: &domain::Mail| mail.delivery == Delivery::Failed;
            state.table.invitations(&model.organization).any(|it| it.mail.as_ref().is_some_and(failed))
        }),
    ]
}

fn timers() -> Vec<Sometimes> {
    vec![
        Sometimes::sometimes("rule: deadlines, a timer fires too early", |model, state| {
            let early = |link: &domain::Link| {
                let expire = Call::Expire(link.clone());
                has(model, state, Status::Pending)
                    && expire.decide(model, &state.table, state.tick, None).is_err()
            };
            state.under_way.iter().any(|work| matches!(work, Work::Fired(link) if early(link)))
        }),
        Sometimes::sometimes("an old timer fires before a later deadline", |model, state| {
            let old = |link: &domain::Link| {
                let needed =
                    state.table.invitation(&link.organization, &link.invitation).and_then(expire::timer);
                needed.is_some_and(|needed| needed != *link && Roster::now(state.tick) < needed.expires_at)
            };
            let fired = |work: &Work| matches!(work, Work::Fired(link) if old(link));
            model.bounds.timers && state.under_way.iter().any(fired)
        }),
        Sometimes::sometimes("a schedule is missing for what is pending", |model, state| {
            state.schedules.is_empty()
                && state.records.is_empty()
                && state.under_way.is_empty()
                && has(model, state, Status::Pending)
        }),
    ]
}
