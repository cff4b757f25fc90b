//! Histories that the contract explains, and such as it does not: what each defect would look like from outside.

use domain::{Role, Status};

use crate::contract::{
    Account, Action, Answer, InvitationRow, InviteResult, Link, MemberRow, Organization, Preview, Refusal,
    Seats, Sender, View,
};
use crate::history::{Call, End, History};
use crate::run::Figures;

fn account(user: &str) -> Account {
    Account { user: user.to_owned(), email: email(user) }
}

fn email(name: &str) -> String {
    format!("{name}@example.com")
}

/// A history in the making. Ada has founded an organization of three seats.
struct Told {
    history: History,
    at: u64,
}

fn told() -> Told {
    let names = ["ada", "bob", "carl", "dora"];
    let history = History {
        organization: "org".to_owned(),
        initial: Organization::founded_by(&account("ada"), 3),
        users: names.map(str::to_owned).into(),
        emails: names.map(email).into(),
        killed: Vec::new(),
        calls: Vec::new(),
    };
    Told { history, at: 0 }
}

impl Told {
    fn now(&mut self) -> u64 {
        self.at += 1;
        self.at
    }

    fn tell(mut self, user: &str, action: Action, at: u64, end: impl FnOnce(&mut Self) -> End) -> Self {
        let end = end(&mut self);
        let caller = account(user);
        self.history.calls.push(Call { client: 0, caller, action: Some(action), at, end });
        self
    }

    /// A call, answered before anything else happens.
    fn then(mut self, user: &str, action: Action, answer: Answer) -> Self {
        let at = self.now();
        self.tell(user, action, at, |told| End::Answered(told.now(), answer))
    }

    /// Calls that are all sent before the first is answered.
    fn at_once<const N: usize>(mut self, calls: [(&str, Action, Answer); N]) -> Self {
        let sent: Vec<_> = calls.iter().map(|_| self.now()).collect();
        calls.into_iter().zip(sent).fold(self, |told, ((user, action, answer), at)| {
            told.tell(user, action, at, |told| End::Answered(told.now(), answer))
        })
    }

    /// A call whose answer is lost; the process goes on.
    fn lost(mut self, user: &str, action: Action) -> Self {
        let at = self.now();
        self.tell(user, action, at, |told| End::Lost(told.history.killed.len()))
    }

    /// The process is killed, and there is another.
    fn killed(mut self) -> Self {
        let now = self.now();
        self.history.killed.push(now);
        self
    }

    /// Bob is a member, by ada's invitation; ada has still a seat to give.
    fn with_bob(self, role: Role) -> Self {
        self.then("ada", invite(&["bob"], role), invited("bob", role, 1, "ada")).then(
            "bob",
            Action::Accept(link("bob", 1)),
            member("bob", role),
        )
    }

    #[track_caller]
    fn holds(self) {
        self.history.check().unwrap_or_else(|violation| panic!("{}", violation.summary));
    }

    /// No order explains the call that was told last but `back`.
    #[track_caller]
    fn breaks_at(self, back: usize) {
        let calls = self.history.calls.len();
        let violation = self.history.check().expect_err("this cannot have happened");
        assert_eq!(violation.call, calls - 1 - back, "{}", violation.summary);
    }

    #[track_caller]
    fn breaks(self) {
        self.breaks_at(0);
    }
}

fn invite(names: &[&str], role: Role) -> Action {
    Action::Invite { emails: names.iter().copied().map(email).collect(), role }
}

fn link(name: &str, generation: u32) -> Link {
    Link { email: email(name), generation }
}

fn row(name: &str, role: Role, status: Status, generation: u32, sender: &str) -> InvitationRow {
    let sender = Sender { user_id: sender.to_owned(), email: email(sender) };
    InvitationRow { email: email(name), role, status, generation, sender }
}

fn invited(name: &str, role: Role, generation: u32, sender: &str) -> Answer {
    let invitation = row(name, role, Status::Pending, generation, sender);
    Answer::Results(vec![InviteResult::Invited { email: email(name), invitation }])
}

fn resent(name: &str, generation: u32, sender: &str) -> Answer {
    Answer::Invitation(row(name, Role::Member, Status::Pending, generation, sender))
}

fn member_row(user: &str, role: Role) -> MemberRow {
    MemberRow { user_id: user.to_owned(), email: email(user), role }
}

fn member(user: &str, role: Role) -> Answer {
    Answer::Member(member_row(user, role))
}

fn demote(user: &str) -> Action {
    Action::RoleEdit { user: user.to_owned(), role: Role::Member }
}

fn remove(user: &str) -> Action {
    Action::Remove(user.to_owned())
}

fn looks(role: Role, taken: u32, owners: u32) -> Answer {
    Answer::Organization(View { role, seats: Seats { total: 3, taken, free: 3 - taken }, owners })
}

fn refused(status: u16, code: &str) -> Answer {
    Answer::Refused(Refusal { status, code: code.to_owned(), seats: None, invitation_status: None })
}

fn exhausted() -> Answer {
    let seats = Some(Seats { total: 3, taken: 3, free: 0 });
    Answer::Refused(Refusal {
        status: 409,
        code: "seats_exhausted".to_owned(),
        seats,
        invitation_status: None,
    })
}

fn not_pending(status: Status) -> Answer {
    let code = "invitation_not_pending".to_owned();
    Answer::Refused(Refusal { status: 409, code, seats: None, invitation_status: Some(status) })
}

use Role::{Member, Owner};

#[test]
fn an_organizations_days_one_after_the_other() {
    told()
        .then("ada", invite(&["bob"], Member), invited("bob", Member, 1, "ada"))
        .then("ada", Action::Resend(email("bob")), resent("bob", 2, "ada"))
        .then("bob", Action::Accept(link("bob", 1)), refused(410, "invitation_superseded"))
        .then("carl", Action::Accept(link("bob", 2)), refused(403, "email_mismatch"))
        .then("bob", Action::Accept(link("bob", 2)), member("bob", Member))
        .then("bob", Action::Accept(link("bob", 2)), member("bob", Member))
        .then("bob", invite(&["carl"], Owner), refused(403, "role_not_grantable"))
        .then("bob", invite(&["carl"], Member), invited("carl", Member, 1, "bob"))
        .then("ada", invite(&["dora"], Member), exhausted())
        .then("bob", remove("bob"), Answer::Nothing)
        .then("bob", Action::Look, refused(404, "organization_not_found"))
        .then("carl", Action::Accept(link("carl", 1)), refused(409, "sender_lost_authority"))
        .then("bob", Action::Accept(link("bob", 2)), refused(410, "invitation_accepted"))
        .then("ada", Action::Revoke(email("bob")), not_pending(Status::Removed))
        .then("carl", Action::Decline(link("carl", 1)), Answer::Nothing)
        .then("carl", Action::Accept(link("carl", 1)), refused(410, "invitation_declined"))
        .then("ada", invite(&["carl"], Owner), invited("carl", Owner, 2, "ada"))
        .then("carl", Action::Accept(link("carl", 2)), member("carl", Owner))
        .then("carl", remove("ada"), Answer::Nothing)
        .then("carl", demote("carl"), refused(409, "last_owner"))
        .then("carl", Action::Look, looks(Owner, 1, 1))
        .holds();
}

#[test]
fn rivals_may_win_in_any_order() {
    let races = |first, second| {
        told().with_bob(Owner).at_once([("ada", demote("bob"), first), ("bob", demote("ada"), second)])
    };
    races(member("bob", Member), refused(403, "owner_required")).holds();
    races(refused(403, "owner_required"), member("ada", Member)).holds();
    races(refused(403, "owner_required"), refused(403, "owner_required")).breaks_at(1);
}

#[test]
fn a_lost_update_shows() {
    // Bob was made an owner, was told so, and is none.
    let promote = Action::RoleEdit { user: "bob".to_owned(), role: Owner };
    let promoted = || told().with_bob(Member).then("ada", promote.clone(), member("bob", Owner));
    promoted().then("bob", Action::Look, looks(Owner, 2, 2)).holds();
    promoted().then("bob", Action::Look, looks(Member, 2, 1)).breaks();
    // Two resends at once, and both are mail 2: one has overwritten the other.
    let resends = |first, second| {
        let resend = || Action::Resend(email("bob"));
        told()
            .with_bob(Owner)
            .then("ada", invite(&["carl"], Member), invited("carl", Member, 1, "ada"))
            .at_once([
                ("ada", Action::Resend(email("carl")), resent("carl", first, "ada")),
                ("bob", Action::Resend(email("carl")), resent("carl", second, "bob")),
                ("dora", resend(), refused(404, "organization_not_found")),
            ])
    };
    resends(2, 3).holds();
    resends(3, 2).holds();
    resends(2, 2).breaks_at(1);
}

#[test]
fn two_last_owners_gone_shows() {
    let leave =
        || [("ada", remove("ada"), Answer::Nothing), ("bob", remove("bob"), refused(409, "last_owner"))];
    told().with_bob(Owner).at_once(leave()).holds();
    let [first, (user, action, _)] = leave();
    told().with_bob(Owner).at_once([first, (user, action, Answer::Nothing)]).breaks();
}

#[test]
fn a_seat_given_twice_shows() {
    let races = |second| {
        told().with_bob(Member).at_once([
            ("ada", invite(&["carl"], Member), invited("carl", Member, 1, "ada")),
            ("bob", invite(&["dora"], Member), second),
        ])
    };
    races(exhausted()).holds();
    races(invited("dora", Member, 1, "bob")).breaks();
    // Nor is a seat given back twice.
    let closed = |taken| {
        told()
            .then("ada", invite(&["bob"], Member), invited("bob", Member, 1, "ada"))
            .then("ada", Action::Revoke(email("bob")), Answer::Nothing)
            .then("ada", Action::Look, looks(Owner, taken, 1))
    };
    closed(1).holds();
    closed(0).breaks();
}

#[test]
fn a_stale_read_after_an_acknowledged_write_shows() {
    let invited = || told().then("ada", invite(&["bob"], Member), invited("bob", Member, 1, "ada"));
    let founding = row("ada", Owner, Status::Accepted, 0, "ada");
    let list = |rows: &[&InvitationRow]| Answer::Invitations(rows.iter().copied().cloned().collect());
    let bobs = row("bob", Member, Status::Pending, 1, "ada");
    invited().then("ada", Action::Invitations, list(&[&founding, &bobs])).holds();
    invited().then("ada", Action::Invitations, list(&[&founding])).breaks();
    let preview = |status| {
        let (email, sender_email) = (email("bob"), email("ada"));
        Answer::Preview(Preview { email, role: Member, sender_email, status })
    };
    let revoked = || invited().then("ada", Action::Revoke(email("bob")), Answer::Nothing);
    revoked().then("bob", Action::Preview(link("bob", 1)), preview(Status::Revoked)).holds();
    revoked().then("bob", Action::Preview(link("bob", 1)), preview(Status::Pending)).breaks();
}

#[test]
fn a_superseded_link_that_opens_shows() {
    let resent = || {
        told().then("ada", invite(&["bob"], Member), invited("bob", Member, 1, "ada")).then(
            "ada",
            Action::Resend(email("bob")),
            resent("bob", 2, "ada"),
        )
    };
    resent().then("bob", Action::Accept(link("bob", 1)), member("bob", Member)).breaks();
    resent().then("bob", Action::Accept(link("bob", 2)), member("bob", Member)).holds();
    // While the resend is under way, it may.
    told()
        .then("ada", invite(&["bob"], Member), invited("bob", Member, 1, "ada"))
        .at_once([
            ("ada", Action::Resend(email("bob")), not_pending(Status::Accepted)),
            ("bob", Action::Accept(link("bob", 1)), member("bob", Member)),
        ])
        .holds();
}

#[test]
fn an_invitation_from_who_was_removed_that_is_accepted_shows() {
    let removed = |answer| {
        told()
            .with_bob(Member)
            .then("bob", invite(&["carl"], Member), invited("carl", Member, 1, "bob"))
            .then("ada", remove("bob"), Answer::Nothing)
            .then("carl", Action::Accept(link("carl", 1)), answer)
    };
    removed(refused(409, "sender_lost_authority")).holds();
    removed(member("carl", Member)).breaks();
}

#[test]
fn an_answer_that_no_row_of_the_contract_knows_shows() {
    told().then("ada", Action::Look, refused(500, "internal")).breaks();
    told().then("ada", Action::Members, Answer::Strange("no end".to_owned())).breaks();
    told().then("ada", Action::Remove("bob".to_owned()), refused(409, "conflict")).holds();
}

#[test]
fn rows_of_a_list_may_be_of_different_moments_within_it_but_not_of_others() {
    // Bob's role is edited while the list is read; ada's is not.
    let edit = Action::RoleEdit { user: "bob".to_owned(), role: Owner };
    let listed = |ada, bob| {
        told().with_bob(Member).at_once([
            ("ada", edit.clone(), member("bob", Owner)),
            ("bob", Action::Members, Answer::Members(vec![member_row("ada", ada), member_row("bob", bob)])),
        ])
    };
    listed(Owner, Member).holds();
    listed(Owner, Owner).holds();
    listed(Member, Owner).breaks();
}

#[test]
fn a_lost_answer_is_done_before_its_process_was_killed_or_never() {
    let revoke = || Action::Revoke(email("bob"));
    let lost = || {
        told().then("ada", invite(&["bob"], Member), invited("bob", Member, 1, "ada")).lost("ada", revoke())
    };
    for taken in [1, 2] {
        lost().killed().then("ada", Action::Look, looks(Owner, taken, 1)).holds();
        lost().then("ada", Action::Look, looks(Owner, taken, 1)).holds();
    }
    let then = |told: Told| {
        told.then("ada", Action::Look, looks(Owner, 2, 1)).then("ada", Action::Look, looks(Owner, 1, 1))
    };
    then(lost()).holds();
    then(lost().killed()).breaks();
    let sent_to_nobody =
        told().then("ada", invite(&["bob"], Member), invited("bob", Member, 1, "ada")).killed();
    let mut late = sent_to_nobody.lost("ada", revoke());
    let Some(Call { end: End::Lost(life), .. }) = late.history.calls.last_mut() else { unreachable!() };
    *life = 0;
    late.then("ada", Action::Look, looks(Owner, 1, 1)).breaks();
}

#[test]
fn an_acknowledged_write_that_a_kill_undoes_shows() {
    let revoked = |taken| {
        told()
            .then("ada", invite(&["bob"], Member), invited("bob", Member, 1, "ada"))
            .then("ada", Action::Revoke(email("bob")), Answer::Nothing)
            .killed()
            .then("ada", Action::Look, looks(Owner, taken, 1))
    };
    revoked(1).holds();
    revoked(2).breaks();
}

#[test]
fn a_mail_that_nobody_has_committed_shows() {
    let mailed = |generation| {
        let mut told = told().then("ada", invite(&["bob"], Member), invited("bob", Member, 1, "ada"));
        let (at, over) = (told.now(), told.now());
        let end = End::Mailed(over, email("bob"), generation);
        told.history.calls.push(Call { client: 0, caller: account("bob"), action: None, at, end });
        told
    };
    mailed(1).holds();
    mailed(2).breaks();
}

#[test]
fn a_violation_shows_the_call_its_neighbours_and_what_would_have_been() {
    let violation = told()
        .with_bob(Owner)
        .then("ada", remove("ada"), Answer::Nothing)
        .then("bob", remove("bob"), Answer::Nothing)
        .history
        .check()
        .unwrap_err();
    let shown = [
        "This answer has no place",
        "owner bob (bob@example.com)",
        "bob@example.com: accepted as owner, mail 1, from ada, accepted by bob",
        "   #2 [5..6] client 0, ada (ada@example.com): Remove(\"ada\") -> 204",
        "-> #3 [7..8] client 0, bob (bob@example.com): Remove(\"bob\") -> 204",
    ];
    for text in shown {
        assert!(violation.summary.contains(text), "{text} in\n{}", violation.summary);
    }
}

/// So many calls of each kind with that outcome.
fn outcomes(of: &[(&'static str, &str, usize)]) -> Figures {
    let mut figures = Figures::default();
    figures.calls.extend(of.iter().map(|&(kind, outcome, count)| ((kind, outcome.to_owned()), count)));
    figures
}

#[test]
fn a_service_that_refuses_everything_is_noticed() {
    let kinds = [
        "accept",
        "invite",
        "list: invitations",
        "list: members",
        "list: organization",
        "remove",
        "resend",
        "revoke",
        "role-edit",
    ];
    let working: Vec<_> = kinds.map(|kind| (kind, "200", 50)).into();
    assert_eq!(outcomes(&working).refused_too_much(), [""; 0]);
    for given_up in ["409 conflict", "503 unavailable"] {
        let all = outcomes(&kinds.map(|kind| (kind, given_up, 50)));
        assert_eq!(all.refused_too_much().len(), kinds.len() + 1, "{:?}", all.refused_too_much());
        let few = [working.clone(), vec![("invite", given_up, 10)]].concat();
        assert_eq!(outcomes(&few).refused_too_much().len(), 1);
    }
    let without_accepts: Vec<_> = working.iter().copied().filter(|(kind, ..)| *kind != "accept").collect();
    assert_eq!(outcomes(&without_accepts).refused_too_much().len(), 1);
}
