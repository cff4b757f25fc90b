//! Tests of the checker with the contract: histories that are possible, and a history for each kind of defect.

use domain::{Role, Status};

use crate::contract::{
    Account, Action, InvitationRow, InviteResult, Link, MemberRow, Organization, Preview, Refusal, Response,
    Seats, Sender, View,
};
use crate::history::{Call, History, Outcome};
use crate::run::RunReport;

/// Returns the account of a user, or with `<user>/<name>` the account of the user with the address of another name.
fn account(user: &str) -> Account {
    let (user, name) = user.split_once('/').unwrap_or((user, user));
    Account { user: user.to_owned(), email: email(name) }
}

fn email(name: &str) -> String {
    format!("{name}@example.com")
}

/// A history that a test writes call by call. Ada has created an organization with 3 seats.
struct ScriptedHistory {
    history: History,
    at: u64,
}

fn history() -> ScriptedHistory {
    let names = ["ada", "bob", "carl", "dora"];
    let history = History {
        organization: "org".to_owned(),
        initial: Organization::created_by(&account("ada"), 3),
        users: names.map(str::to_owned).into(),
        emails: names.map(email).into(),
        killed_at: Vec::new(),
        calls: Vec::new(),
    };
    ScriptedHistory { history, at: 0 }
}

impl ScriptedHistory {
    fn now(&mut self) -> u64 {
        self.at += 1;
        self.at
    }

    fn push(
        mut self,
        user: &str,
        action: Action,
        sent_at: u64,
        outcome: impl FnOnce(&mut Self) -> Outcome,
    ) -> Self {
        let outcome = outcome(&mut self);
        let caller = account(user);
        self.history.calls.push(Call { client: 0, caller, action: Some(action), sent_at, outcome });
        self
    }

    /// Adds a call that ends before the next one starts.
    fn then(mut self, user: &str, action: Action, response: Response) -> Self {
        let sent_at = self.now();
        self.push(user, action, sent_at, |script| Outcome::Response(script.now(), response))
    }

    /// Adds concurrent calls: all are sent before the first response arrives. The responses arrive in this order.
    fn at_once<const N: usize>(mut self, calls: [(&str, Action, Response); N]) -> Self {
        let sent: Vec<_> = calls.iter().map(|_| self.now()).collect();
        calls.into_iter().zip(sent).fold(self, |script, ((user, action, response), sent_at)| {
            script.push(user, action, sent_at, |script| Outcome::Response(script.now(), response))
        })
    }

    /// Adds a call without a response. The process keeps running.
    fn lost(mut self, user: &str, action: Action) -> Self {
        let sent_at = self.now();
        self.push(user, action, sent_at, |script| Outcome::Lost(script.history.killed_at.len()))
    }

    /// Adds a kill of the process. Later calls use the next process.
    fn killed(mut self) -> Self {
        let now = self.now();
        self.history.killed_at.push(now);
        self
    }

    /// Adds bob as a member, invited by ada. One seat is still free.
    fn with_bob(self, role: Role) -> Self {
        self.then("ada", invite(&["bob"], role), invited("bob", role, 1, "ada")).then(
            "bob",
            Action::Accept(link("bob", 1)),
            member("bob", role),
        )
    }

    #[track_caller]
    fn assert_possible(self) {
        self.history.check().unwrap_or_else(|violation| panic!("{}", violation.summary));
    }

    /// Asserts that no order explains a certain call: the last one if `back` is 0, the one before it if `back` is 1.
    #[track_caller]
    fn assert_impossible_at(self, back: usize) {
        let calls = self.history.calls.len();
        let violation = self.history.check().expect_err("the history is impossible");
        assert_eq!(violation.call, calls - 1 - back, "{}", violation.summary);
    }

    #[track_caller]
    fn assert_impossible(self) {
        self.assert_impossible_at(0);
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

fn invited(name: &str, role: Role, generation: u32, sender: &str) -> Response {
    let invitation = row(name, role, Status::Pending, generation, sender);
    Response::Results(vec![InviteResult::Invited { email: email(name), invitation }])
}

fn resent(name: &str, generation: u32, sender: &str) -> Response {
    Response::Invitation(row(name, Role::Member, Status::Pending, generation, sender))
}

fn member_row(user: &str, role: Role) -> MemberRow {
    MemberRow { user_id: user.to_owned(), email: email(user), role }
}

fn member(user: &str, role: Role) -> Response {
    Response::Member(member_row(user, role))
}

fn demote(user: &str) -> Action {
    Action::RoleEdit { user: user.to_owned(), role: Role::Member }
}

fn remove(user: &str) -> Action {
    Action::Remove(user.to_owned())
}

fn organization_view(role: Role, taken: u32, owners: u32) -> Response {
    Response::Organization(View { role, seats: Seats { total: 3, taken, free: 3 - taken }, owners })
}

fn refused(status: u16, code: &str) -> Response {
    Response::Refused(Refusal { status, code: code.to_owned(), seats: None, invitation_status: None })
}

fn seats_exhausted() -> Response {
    let seats = Some(Seats { total: 3, taken: 3, free: 0 });
    Response::Refused(Refusal {
        status: 409,
        code: "seats_exhausted".to_owned(),
        seats,
        invitation_status: None,
    })
}

fn not_pending(status: Status) -> Response {
    let code = "invitation_not_pending".to_owned();
    Response::Refused(Refusal { status: 409, code, seats: None, invitation_status: Some(status) })
}

use Role::{Member, Owner};

#[test]
fn a_member_accepts_a_second_invitation() {
    let both = || {
        history()
            .with_bob(Member)
            .then("ada", invite(&["carl"], Owner), invited("carl", Owner, 1, "ada"))
            .then("ada", invite(&["dora"], Member), seats_exhausted())
    };
    let accept = || Action::Accept(link("carl", 1));
    let answered = || both().then("bob/carl", accept(), member("bob", Member));
    answered()
        .then("bob/carl", accept(), member("bob", Member))
        .then("carl", accept(), refused(410, "invitation_declined"))
        .then("ada", Action::Revoke(email("carl")), not_pending(Status::Declined))
        .then("ada", invite(&["dora"], Member), invited("dora", Member, 1, "ada"))
        .then("bob", remove("bob"), Response::NoContent)
        .then("bob/carl", accept(), refused(410, "invitation_declined"))
        .assert_possible();
    both().then("bob/carl", accept(), member("bob", Owner)).assert_impossible();
    both().then("bob/carl", accept(), refused(409, "already_member")).assert_impossible();
    answered().then("bob/carl", accept(), refused(410, "invitation_declined")).assert_impossible();
    answered().then("ada", invite(&["dora"], Member), seats_exhausted()).assert_impossible();
}

#[test]
fn accepts_a_long_sequential_history() {
    history()
        .then("ada", invite(&["bob"], Member), invited("bob", Member, 1, "ada"))
        .then("ada", Action::Resend(email("bob")), resent("bob", 2, "ada"))
        .then("bob", Action::Accept(link("bob", 1)), refused(410, "invitation_superseded"))
        .then("carl", Action::Accept(link("bob", 2)), refused(403, "email_mismatch"))
        .then("bob", Action::Accept(link("bob", 2)), member("bob", Member))
        .then("bob", Action::Accept(link("bob", 2)), member("bob", Member))
        .then("bob", invite(&["carl"], Owner), refused(403, "role_not_grantable"))
        .then("bob", invite(&["carl"], Member), invited("carl", Member, 1, "bob"))
        .then("ada", invite(&["dora"], Member), seats_exhausted())
        .then("bob", remove("bob"), Response::NoContent)
        .then("bob", Action::GetOrganization, refused(404, "organization_not_found"))
        .then("carl", Action::Accept(link("carl", 1)), refused(409, "sender_lost_authority"))
        .then("bob", Action::Accept(link("bob", 2)), refused(410, "invitation_accepted"))
        .then("ada", Action::Revoke(email("bob")), not_pending(Status::Removed))
        .then("carl", Action::Decline(link("carl", 1)), Response::NoContent)
        .then("carl", Action::Accept(link("carl", 1)), refused(410, "invitation_declined"))
        .then("ada", invite(&["carl"], Owner), invited("carl", Owner, 2, "ada"))
        .then("carl", Action::Accept(link("carl", 2)), member("carl", Owner))
        .then("carl", remove("ada"), Response::NoContent)
        .then("carl", demote("carl"), refused(409, "last_owner"))
        .then("carl", Action::GetOrganization, organization_view(Owner, 1, 1))
        .assert_possible();
}

#[test]
fn either_of_two_conflicting_calls_may_succeed() {
    let races = |first, second| {
        history().with_bob(Owner).at_once([("ada", demote("bob"), first), ("bob", demote("ada"), second)])
    };
    races(member("bob", Member), refused(403, "owner_required")).assert_possible();
    races(refused(403, "owner_required"), member("ada", Member)).assert_possible();
    races(refused(403, "owner_required"), refused(403, "owner_required")).assert_impossible_at(1);
}

#[test]
fn detects_a_lost_update() {
    // The promotion of bob is acknowledged, but bob is not an owner.
    let promote = Action::RoleEdit { user: "bob".to_owned(), role: Owner };
    let promoted = || history().with_bob(Member).then("ada", promote.clone(), member("bob", Owner));
    promoted().then("bob", Action::GetOrganization, organization_view(Owner, 2, 2)).assert_possible();
    promoted().then("bob", Action::GetOrganization, organization_view(Member, 2, 1)).assert_impossible();
    // Two concurrent resends both return generation 2, so one has overwritten the other.
    let resends = |first, second| {
        let resend = || Action::Resend(email("bob"));
        history()
            .with_bob(Owner)
            .then("ada", invite(&["carl"], Member), invited("carl", Member, 1, "ada"))
            .at_once([
                ("ada", Action::Resend(email("carl")), resent("carl", first, "ada")),
                ("bob", Action::Resend(email("carl")), resent("carl", second, "bob")),
                ("dora", resend(), refused(404, "organization_not_found")),
            ])
    };
    resends(2, 3).assert_possible();
    resends(3, 2).assert_possible();
    resends(2, 2).assert_impossible_at(1);
}

#[test]
fn detects_that_both_last_owners_leave() {
    let leave =
        || [("ada", remove("ada"), Response::NoContent), ("bob", remove("bob"), refused(409, "last_owner"))];
    history().with_bob(Owner).at_once(leave()).assert_possible();
    let [first, (user, action, _)] = leave();
    history().with_bob(Owner).at_once([first, (user, action, Response::NoContent)]).assert_impossible();
}

#[test]
fn detects_a_seat_that_is_given_or_returned_twice() {
    let races = |second| {
        history().with_bob(Member).at_once([
            ("ada", invite(&["carl"], Member), invited("carl", Member, 1, "ada")),
            ("bob", invite(&["dora"], Member), second),
        ])
    };
    races(seats_exhausted()).assert_possible();
    races(invited("dora", Member, 1, "bob")).assert_impossible();
    // The same for a seat that a revoke returns.
    let closed = |taken| {
        history()
            .then("ada", invite(&["bob"], Member), invited("bob", Member, 1, "ada"))
            .then("ada", Action::Revoke(email("bob")), Response::NoContent)
            .then("ada", Action::GetOrganization, organization_view(Owner, taken, 1))
    };
    closed(1).assert_possible();
    closed(0).assert_impossible();
}

#[test]
fn detects_a_stale_read_after_an_acknowledged_write() {
    let invited = || history().then("ada", invite(&["bob"], Member), invited("bob", Member, 1, "ada"));
    let founding = row("ada", Owner, Status::Accepted, 0, "ada");
    let list = |rows: &[&InvitationRow]| Response::Invitations(rows.iter().copied().cloned().collect());
    let bobs = row("bob", Member, Status::Pending, 1, "ada");
    invited().then("ada", Action::ListInvitations, list(&[&founding, &bobs])).assert_possible();
    invited().then("ada", Action::ListInvitations, list(&[&founding])).assert_impossible();
    let preview = |status| {
        let (email, sender_email) = (email("bob"), email("ada"));
        Response::Preview(Preview { email, role: Member, sender_email, status })
    };
    let revoked = || invited().then("ada", Action::Revoke(email("bob")), Response::NoContent);
    revoked().then("bob", Action::Preview(link("bob", 1)), preview(Status::Revoked)).assert_possible();
    revoked().then("bob", Action::Preview(link("bob", 1)), preview(Status::Pending)).assert_impossible();
}

#[test]
fn detects_an_accept_by_a_superseded_link() {
    let resent = || {
        history().then("ada", invite(&["bob"], Member), invited("bob", Member, 1, "ada")).then(
            "ada",
            Action::Resend(email("bob")),
            resent("bob", 2, "ada"),
        )
    };
    resent().then("bob", Action::Accept(link("bob", 1)), member("bob", Member)).assert_impossible();
    resent().then("bob", Action::Accept(link("bob", 2)), member("bob", Member)).assert_possible();
    // A concurrent accept by the old link is possible, if it takes effect before the resend.
    history()
        .then("ada", invite(&["bob"], Member), invited("bob", Member, 1, "ada"))
        .at_once([
            ("ada", Action::Resend(email("bob")), not_pending(Status::Accepted)),
            ("bob", Action::Accept(link("bob", 1)), member("bob", Member)),
        ])
        .assert_possible();
}

#[test]
fn detects_an_accept_of_an_invitation_by_a_removed_sender() {
    let removed = |response| {
        history()
            .with_bob(Member)
            .then("bob", invite(&["carl"], Member), invited("carl", Member, 1, "bob"))
            .then("ada", remove("bob"), Response::NoContent)
            .then("carl", Action::Accept(link("carl", 1)), response)
    };
    removed(refused(409, "sender_lost_authority")).assert_possible();
    removed(member("carl", Member)).assert_impossible();
}

#[test]
fn detects_a_response_outside_the_contract() {
    history().then("ada", Action::GetOrganization, refused(500, "internal")).assert_impossible();
    history()
        .then("ada", Action::ListMembers, Response::Undocumented("the list never ends".to_owned()))
        .assert_impossible();
    history().then("ada", Action::Remove("bob".to_owned()), refused(409, "conflict")).assert_possible();
}

#[test]
fn each_row_of_a_list_is_read_at_some_time_during_the_call() {
    // Bob's role is edited while the list is read; ada's is not.
    let edit = Action::RoleEdit { user: "bob".to_owned(), role: Owner };
    let listed = |ada, bob| {
        history().with_bob(Member).at_once([
            ("ada", edit.clone(), member("bob", Owner)),
            (
                "bob",
                Action::ListMembers,
                Response::Members(vec![member_row("ada", ada), member_row("bob", bob)]),
            ),
        ])
    };
    listed(Owner, Member).assert_possible();
    listed(Owner, Owner).assert_possible();
    listed(Member, Owner).assert_impossible();
}

#[test]
fn a_call_without_a_response_takes_effect_before_the_kill_or_never() {
    let revoke = || Action::Revoke(email("bob"));
    let lost = || {
        history()
            .then("ada", invite(&["bob"], Member), invited("bob", Member, 1, "ada"))
            .lost("ada", revoke())
    };
    for taken in [1, 2] {
        lost()
            .killed()
            .then("ada", Action::GetOrganization, organization_view(Owner, taken, 1))
            .assert_possible();
        lost().then("ada", Action::GetOrganization, organization_view(Owner, taken, 1)).assert_possible();
    }
    let then = |script: ScriptedHistory| {
        script.then("ada", Action::GetOrganization, organization_view(Owner, 2, 1)).then(
            "ada",
            Action::GetOrganization,
            organization_view(Owner, 1, 1),
        )
    };
    then(lost()).assert_possible();
    then(lost().killed()).assert_impossible();
    let after_kill =
        history().then("ada", invite(&["bob"], Member), invited("bob", Member, 1, "ada")).killed();
    // A call that was sent to the killed process has no effect.
    let mut late = after_kill.lost("ada", revoke());
    let Some(Call { outcome: Outcome::Lost(process), .. }) = late.history.calls.last_mut() else {
        unreachable!()
    };
    *process = 0;
    late.then("ada", Action::GetOrganization, organization_view(Owner, 1, 1)).assert_impossible();
}

#[test]
fn detects_an_acknowledged_write_that_a_kill_undoes() {
    let revoked = |taken| {
        history()
            .then("ada", invite(&["bob"], Member), invited("bob", Member, 1, "ada"))
            .then("ada", Action::Revoke(email("bob")), Response::NoContent)
            .killed()
            .then("ada", Action::GetOrganization, organization_view(Owner, taken, 1))
    };
    revoked(1).assert_possible();
    revoked(2).assert_impossible();
}

#[test]
fn detects_a_mail_that_was_sent_before_its_commit() {
    let mailed = |generation| {
        let mut script = history().then("ada", invite(&["bob"], Member), invited("bob", Member, 1, "ada"));
        let (sent_at, ended_at) = (script.now(), script.now());
        let outcome = Outcome::Mailed(ended_at, email("bob"), generation);
        script.history.calls.push(Call { client: 0, caller: account("bob"), action: None, sent_at, outcome });
        script
    };
    mailed(1).assert_possible();
    mailed(2).assert_impossible();
}

#[test]
fn a_violation_shows_the_call_its_neighbours_and_the_possible_state() {
    let violation = history()
        .with_bob(Owner)
        .then("ada", remove("ada"), Response::NoContent)
        .then("bob", remove("bob"), Response::NoContent)
        .history
        .check()
        .unwrap_err();
    let shown = [
        "No order explains this response",
        "owner bob (bob@example.com)",
        "bob@example.com: accepted as owner, mail 1, from ada, accepted by bob",
        "   #2 [5..6] client 0, ada (ada@example.com): Remove(\"ada\") -> 204",
        "-> #3 [7..8] client 0, bob (bob@example.com): Remove(\"bob\") -> 204",
    ];
    for text in shown {
        assert!(violation.summary.contains(text), "{text} in\n{}", violation.summary);
    }
}

/// A report with these numbers of calls by action and outcome.
fn report_of(of: &[(&'static str, &str, usize)]) -> RunReport {
    let mut report = RunReport::default();
    report.calls.extend(of.iter().map(|&(kind, outcome, count)| ((kind, outcome.to_owned()), count)));
    report
}

#[test]
fn detects_a_service_that_refuses_everything() {
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
    assert_eq!(report_of(&working).rate_violations(), [""; 0]);
    for given_up in ["409 conflict", "503 unavailable"] {
        let all = report_of(&kinds.map(|kind| (kind, given_up, 50)));
        assert_eq!(all.rate_violations().len(), kinds.len() + 1, "{:?}", all.rate_violations());
        let few = [working.clone(), vec![("invite", given_up, 10)]].concat();
        assert_eq!(report_of(&few).rate_violations().len(), 1);
    }
    let without_accepts: Vec<_> = working.iter().copied().filter(|(kind, ..)| *kind != "accept").collect();
    assert_eq!(report_of(&without_accepts).rate_violations().len(), 1);
}
