//! Clients of a run. Each one makes random calls of the API, one after another, as different accounts, and records the
//! responses.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use domain::{EmailAddress, InvitationId, OrganizationId, Role, Status};
use fastrand::Rng;
use harness::{NoResponse, Person};
use http::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::contract::{Account, Action, InvitationRow, InviteResult, Link, MemberRow, Response, View};
use crate::history::{Call, LogicalClock, Outcome};
use crate::laptop::Instance;

/// Items per page, if a list is read page by page.
const PAGE: usize = 3;
/// The number of consecutive calls of all clients that contend for the same thing.
const CALLS_PER_CONTENTION: usize = 6;
/// The maximum number of pages of a list. The lists are short, so more pages mean that the cursors never end.
const PAGES_MAX: usize = 20;

/// The state that the clients of one organization share.
pub struct Shared {
    /// The organization's id.
    pub organization: String,
    /// All accounts that clients sign in with.
    pub accounts: Vec<Account>,
    /// The clock of the run.
    pub clock: Arc<LogicalClock>,
    /// The calls so far.
    pub calls: Mutex<Vec<Call>>,
    /// The number of calls so far, in all organizations. A kill waits for a certain number.
    pub count: watch::Sender<usize>,
    /// The members and pending invitations in the newest responses. Clients use them to choose calls that often
    /// succeed.
    observed: Mutex<Observed>,
}

/// A possibly stale view of the organization.
struct Observed {
    members: BTreeMap<String, Role>,
    /// The addresses with a pending invitation.
    pending: Vec<String>,
    /// The subject of the next calls, and the number of calls left.
    contention: (Contention, usize),
}

/// A subject for which the clients of an organization contend at the same time.
#[derive(Debug, Clone)]
enum Contention {
    /// Nothing.
    None,
    /// The last owner: owners demote and remove each other.
    Owners,
    /// The last seats.
    Seats,
    /// The invitation of this address.
    Invitation(String),
}

/// A client.
pub struct Client {
    number: usize,
    rng: Rng,
    shared: Arc<Shared>,
    instances: watch::Receiver<Option<Instance>>,
    /// The number of the process that received the last call.
    instance: Option<usize>,
    /// The accounts that are signed in at this process.
    signed_in: BTreeMap<Account, Person>,
}

/// A call that was not made yet.
struct PlannedCall {
    caller: Account,
    action: Action,
    /// The token of the link, which is not recorded.
    token: Option<String>,
}

impl Shared {
    /// The shared state of an organization that `founder` has just created.
    pub fn new(
        organization: &str,
        accounts: Vec<Account>,
        founder: &Account,
        clock: Arc<LogicalClock>,
        count: watch::Sender<usize>,
    ) -> Self {
        let members = BTreeMap::from([(founder.user.clone(), Role::Owner)]);
        Self {
            organization: organization.to_owned(),
            accounts,
            clock,
            calls: Mutex::default(),
            count,
            observed: Mutex::new(Observed {
                members,
                pending: Vec::new(),
                contention: (Contention::None, 0),
            }),
        }
    }

    fn path(&self, below: &str) -> String {
        format!("/v1/organizations/{}{below}", self.organization)
    }

    /// The id of an address's invitation.
    fn invitation(&self, email: &str) -> InvitationId {
        let organization = OrganizationId::parse(&self.organization).expect("the organization's id is valid");
        InvitationId::of(&organization, &EmailAddress::parse(email).expect("the address is valid"))
    }

    fn record(&self, call: Call) {
        self.observe(&call);
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
        self.count.send_modify(|count| *count += 1);
    }

    fn observe(&self, call: &Call) {
        let mut observed = self.observed.lock().unwrap_or_else(PoisonError::into_inner);
        match &call.outcome {
            Outcome::Response(_, Response::Members(rows)) => {
                observed.members = rows.iter().map(|row| (row.user_id.clone(), row.role)).collect();
            }
            Outcome::Response(_, Response::Member(row)) => {
                observed.members.insert(row.user_id.clone(), row.role);
            }
            Outcome::Response(_, Response::Invitations(rows)) => {
                let pending = rows.iter().filter(|row| row.status == Status::Pending);
                observed.pending = pending.map(|row| row.email.clone()).collect();
            }
            Outcome::Response(_, Response::Results(results)) => {
                for result in results {
                    if let InviteResult::Invited { email, .. } = result
                        && !observed.pending.contains(email)
                    {
                        observed.pending.push(email.clone());
                    }
                }
            }
            Outcome::Response(_, Response::NoContent) => match &call.action {
                Some(Action::Remove(user)) => {
                    observed.members.remove(user);
                }
                Some(Action::Revoke(email) | Action::Decline(Link { email, .. })) => {
                    observed.pending.retain(|pending| pending != email);
                }
                _ => {}
            },
            _ => {}
        }
    }
}

impl Client {
    /// A client with this number. `rng` decides its calls.
    pub fn new(
        number: usize,
        rng: Rng,
        shared: Arc<Shared>,
        instances: watch::Receiver<Option<Instance>>,
    ) -> Self {
        Self { number, rng, shared, instances, instance: None, signed_in: BTreeMap::new() }
    }

    /// Makes this number of calls.
    pub async fn run(mut self, calls: usize) {
        for _ in 0..calls {
            self.make_random_call().await;
        }
    }

    async fn make_random_call(&mut self) {
        let call = loop {
            match self.choose_call().await {
                Ok(Some(call)) => break call,
                // No mail exists yet. Choose another call.
                Ok(None) => {}
                Err(_) => self.wait_for_next_instance().await,
            }
        };
        self.make_call(call).await;
    }

    /// Reads the organization and both lists as every account. Without concurrent calls this shows the whole state.
    pub async fn read_everything(&mut self) {
        for caller in self.shared.accounts.clone() {
            for action in [Action::GetOrganization, Action::ListMembers, Action::ListInvitations] {
                self.make_call(PlannedCall { caller: caller.clone(), action, token: None }).await;
            }
        }
    }

    /// Finds an owner, and reads the list of invitations as this owner. `None` if the organization has no owner.
    pub async fn list_as_owner(&mut self) -> Option<(Account, Vec<Value>)> {
        for account in self.shared.accounts.clone() {
            let read = PlannedCall { caller: account.clone(), action: Action::GetOrganization, token: None };
            match self.make_call(read).await {
                Outcome::Response(_, Response::Organization(View { role: Role::Owner, .. })) => {}
                _ => continue,
            }
            let (owner, _) = self.sign_in(&account).await;
            let path = self.shared.path("/invitations?limit=1000");
            let list = owner.tries(Method::GET, &path, None).await.expect("the laptop runs");
            return Some((account, list.items()));
        }
        None
    }

    /// Resends the invitation of an address.
    pub async fn resend(mut self, caller: Account, email: String) {
        self.make_call(PlannedCall { caller, action: Action::Resend(email), token: None }).await;
    }

    /// Previews the link in the newest mail to an address. Returns its generation, or `None` if there is no mail.
    pub async fn preview_newest_link(&mut self, email: &str) -> Option<u32> {
        let caller = self.shared.accounts[0].clone();
        let links = self.read_links(&caller, email).await.expect("the laptop runs");
        let (generation, token) = links.into_iter().max()?;
        let action = Action::Preview(Link { email: email.to_owned(), generation });
        self.make_call(PlannedCall { caller, action, token: Some(token) }).await;
        Some(generation)
    }

    /// Chooses the next call at random. `None` if the call needs a link and there is none.
    async fn choose_call(&mut self) -> Result<Option<PlannedCall>, NoResponse> {
        match self.next_contention() {
            Contention::None => {}
            Contention::Owners => {
                if let Some(call) = self.choose_owner_change() {
                    return Ok(Some(call));
                }
            }
            Contention::Seats => {
                let emails = vec![self.any_address()];
                let action = Action::Invite { emails, role: Role::Member };
                return Ok(Some(PlannedCall { caller: self.likely_member(), action, token: None }));
            }
            Contention::Invitation(email) if self.rng.f64() < 0.6 => {
                return self.choose_link_call(email).await;
            }
            Contention::Invitation(email) => {
                let action = if self.rng.bool() { Action::Resend(email) } else { Action::Revoke(email) };
                return Ok(Some(PlannedCall { caller: self.likely_member(), action, token: None }));
            }
        }
        let caller = self.likely_member();
        let role = if self.rng.f64() < 0.45 { Role::Owner } else { Role::Member };
        let action = match self.rng.u32(..100) {
            0..15 => {
                let emails = (0..self.rng.usize(1..=3)).map(|_| self.any_address()).collect();
                Action::Invite { emails, role }
            }
            15..50 => {
                let email = self.likely_invited_address();
                return self.choose_link_call(email).await;
            }
            50..57 => Action::Resend(self.likely_invited_address()),
            57..61 => Action::Revoke(self.likely_invited_address()),
            61..72 => Action::RoleEdit { user: self.likely_member().user, role },
            72..78 => Action::Remove(self.likely_member().user),
            78..80 => Action::Remove(caller.user.clone()),
            80..87 => Action::ListMembers,
            87..94 => Action::ListInvitations,
            _ => Action::GetOrganization,
        };
        Ok(Some(PlannedCall { caller, action, token: None }))
    }

    /// Returns the subject of the next call. The clients share it, and it changes after `CALLS_PER_CONTENTION` calls.
    fn next_contention(&mut self) -> Contention {
        let email = self.likely_invited_address();
        let mut observed = self.shared.observed.lock().unwrap_or_else(PoisonError::into_inner);
        let (contention, left) = &mut observed.contention;
        if *left == 0 {
            *left = CALLS_PER_CONTENTION;
            *contention = match self.rng.u32(..6) {
                0..2 => Contention::Owners,
                2 => Contention::Seats,
                3 => Contention::Invitation(email),
                _ => Contention::None,
            };
        }
        *left -= 1;
        contention.clone()
    }

    /// Chooses a call by which an owner demotes or removes an owner, or leaves. If there is only one owner, the owner
    /// promotes a member instead.
    fn choose_owner_change(&mut self) -> Option<PlannedCall> {
        let owners = self.accounts_by_role(|role| role == Some(Role::Owner));
        let caller = self.rng.choice(&owners)?.clone();
        let action = if owners.len() < 2 {
            let members = self.accounts_by_role(|role| role == Some(Role::Member));
            Action::RoleEdit { user: self.rng.choice(members)?.user, role: Role::Owner }
        } else {
            let target = self.rng.choice(&owners)?.user.clone();
            match self.rng.u32(..4) {
                0..2 => Action::RoleEdit { user: target, role: Role::Member },
                2 => Action::Remove(target),
                _ => Action::Remove(caller.user.clone()),
            }
        };
        Some(PlannedCall { caller, action, token: None })
    }

    async fn choose_link_call(&mut self, email: String) -> Result<Option<PlannedCall>, NoResponse> {
        let holders = self.shared.accounts.iter().filter(|account| account.email == email);
        let holders: Vec<_> = holders.cloned().collect();
        let caller = match self.rng.choice(holders) {
            Some(holder) if self.rng.f64() < 0.9 => holder,
            _ => self.any_account(),
        };
        let mut links = self.read_links(&caller, &email).await?;
        links.sort_unstable();
        let newest = links.pop();
        let older = self.rng.choice(links).filter(|_| self.rng.f64() < 0.15);
        let Some((generation, token)) = older.or(newest) else { return Ok(None) };
        let link = Link { email, generation };
        let action = match self.rng.u32(..10) {
            0..2 => Action::Preview(link),
            2 => Action::Decline(link),
            _ => Action::Accept(link),
        };
        Ok(Some(PlannedCall { caller, action, token: Some(token) }))
    }

    fn any_account(&mut self) -> Account {
        let accounts = &self.shared.accounts;
        accounts[self.rng.usize(..accounts.len())].clone()
    }

    /// An account that probably belongs to a member.
    fn likely_member(&mut self) -> Account {
        let members = self.accounts_by_role(|role| role.is_some());
        match self.rng.choice(members) {
            Some(member) if self.rng.f64() < 0.9 => member,
            _ => self.any_account(),
        }
    }

    /// The accounts for which `fits` accepts the role that was observed last.
    fn accounts_by_role(&self, fits: impl Fn(Option<Role>) -> bool) -> Vec<Account> {
        let observed = self.shared.observed.lock().unwrap_or_else(PoisonError::into_inner);
        let role = |account: &Account| observed.members.get(&account.user).copied();
        self.shared.accounts.iter().filter(|account| fits(role(account))).cloned().collect()
    }

    fn any_address(&mut self) -> String {
        self.any_account().email
    }

    /// An address that probably has a pending invitation.
    fn likely_invited_address(&mut self) -> String {
        let pending = self.shared.observed.lock().unwrap_or_else(PoisonError::into_inner).pending.clone();
        match self.rng.choice(pending) {
            Some(email) if self.rng.f64() < 0.85 => email,
            _ => self.any_address(),
        }
    }

    /// The links in the mails to an address in this organization, each with its generation.
    async fn read_links(&mut self, caller: &Account, email: &str) -> Result<Vec<(u32, String)>, NoResponse> {
        let sent_at = self.shared.clock.tick();
        let anonymous = self.current_instance().await.anonymous;
        let response = anonymous.tries(Method::GET, &format!("/_dev/mail?to={email}"), None).await?;
        let mails = response.is(200);
        let tokens =
            mails["items"].as_array().into_iter().flatten().filter_map(|mail| mail["token"].as_str());
        let links: Vec<_> = tokens.map(|token| (generation(token), token.to_owned())).collect();
        if let Some(newest) = links.iter().map(|(generation, _)| *generation).max() {
            let outcome = Outcome::Mailed(self.shared.clock.tick(), email.to_owned(), newest);
            let caller = caller.clone();
            self.shared.record(Call { client: self.number, caller, action: None, sent_at, outcome });
        }
        Ok(links)
    }

    /// Returns the running process. Waits for one if none runs.
    async fn current_instance(&mut self) -> Instance {
        let instance = self
            .instances
            .wait_for(Option::is_some)
            .await
            .expect("the laptop exists longer than its clients");
        let instance = instance.clone().expect("`wait_for` returned an instance");
        if self.instance != Some(instance.number) {
            self.instance = Some(instance.number);
            // A new process has a new port, so the tokens of the old process have another issuer.
            self.signed_in.clear();
        }
        instance
    }

    /// Waits until a later process than the one of the last call runs.
    async fn wait_for_next_instance(&mut self) {
        let before = self.instance;
        let gone = |instance: &Option<Instance>| {
            instance.as_ref().is_some_and(|instance| Some(instance.number) != before)
        };
        self.instances.wait_for(gone).await.expect("the laptop exists longer than its clients");
    }

    /// Signs the account in at the running process. Returns its client and the number of the process.
    async fn sign_in(&mut self, account: &Account) -> (Person, usize) {
        loop {
            let instance = self.current_instance().await;
            if let Some(person) = self.signed_in.get(account) {
                return (person.clone(), instance.number);
            }
            let claims = json!({ "sub": account.user, "email": account.email, "email_verified": true });
            match instance.anonymous.tries(Method::POST, "/_dev/token", Some(&claims)).await {
                Ok(response) => {
                    let token = response.is(200)["access_token"].as_str().map(str::to_owned);
                    let person =
                        instance.anonymous.with_token(&token.expect("the response contains a token"));
                    self.signed_in.insert(account.clone(), person);
                }
                Err(_) => self.wait_for_next_instance().await,
            }
        }
    }

    async fn make_call(&mut self, PlannedCall { caller, action, token }: PlannedCall) -> Outcome {
        let (person, instance) = self.sign_in(&caller).await;
        let sent_at = self.shared.clock.tick();
        let response = self.send(&person, &action, token.as_deref()).await;
        let killed = response.is_err();
        let ended_at = self.shared.clock.tick();
        let outcome = match response {
            Ok(response) if is_unavailable(&response) => Outcome::Unavailable(instance),
            Ok(response) => Outcome::Response(ended_at, response),
            Err(_) => Outcome::Lost(instance),
        };
        let call =
            Call { client: self.number, caller, action: Some(action), sent_at, outcome: outcome.clone() };
        self.shared.record(call);
        if killed {
            self.wait_for_next_instance().await;
        }
        outcome
    }

    async fn send(
        &mut self,
        person: &Person,
        action: &Action,
        token: Option<&str>,
    ) -> Result<Response, NoResponse> {
        let shared = Arc::clone(&self.shared);
        let invitation = |email: &str| format!("/invitations/{}", shared.invitation(email));
        let link = || json!({ "token": token.expect("a call with a link has a token") });
        let (method, path, body) = match action {
            Action::Invite { emails, role } => {
                let body = json!({ "emails": emails, "role": role });
                (Method::POST, shared.path("/invitations"), Some(body))
            }
            Action::Resend(email) => {
                (Method::POST, shared.path(&format!("{}/resend", invitation(email))), None)
            }
            Action::Revoke(email) => (Method::DELETE, shared.path(&invitation(email)), None),
            Action::Preview(_) => (Method::POST, "/v1/invitations/preview".to_owned(), Some(link())),
            Action::Accept(_) => (Method::POST, "/v1/invitations/accept".to_owned(), Some(link())),
            Action::Decline(_) => (Method::POST, "/v1/invitations/decline".to_owned(), Some(link())),
            Action::RoleEdit { user, role } => {
                let body = json!({ "role": role });
                (Method::PATCH, shared.path(&format!("/members/{user}")), Some(body))
            }
            Action::Remove(user) => (Method::DELETE, shared.path(&format!("/members/{user}")), None),
            Action::GetOrganization => (Method::GET, shared.path(""), None),
            Action::ListMembers => return self.read_list(person, "/members", member_rows).await,
            Action::ListInvitations => return self.read_list(person, "/invitations", invitation_rows).await,
        };
        let response = person.tries(method, &path, body.as_ref()).await?;
        Ok(parse_response(action, response.status.as_u16(), &response.body))
    }

    /// Reads a whole list, in one page or in several.
    async fn read_list(
        &mut self,
        person: &Person,
        below: &str,
        into_response: fn(Vec<Value>) -> Response,
    ) -> Result<Response, NoResponse> {
        let limit = if self.rng.bool() { PAGE } else { 1_000 };
        let mut items = Vec::new();
        let mut cursor = String::new();
        for _ in 0..PAGES_MAX {
            let path = self.shared.path(&format!("{below}?limit={limit}{cursor}"));
            let page = person.tries(Method::GET, &path, None).await?;
            if page.status != 200 {
                return Ok(parse_problem(page.status.as_u16(), &page.body));
            }
            items.extend(page.body["items"].as_array().into_iter().flatten().cloned());
            match page.body["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(into_response(items)),
            }
        }
        Ok(Response::Undocumented(format!("{below} never ends")))
    }
}

/// Whether the response is 503. The call may have taken effect.
fn is_unavailable(response: &Response) -> bool {
    matches!(response, Response::Refused(refusal) if refusal.status == 503)
}

/// The generation in `v1.<kid>.<org>.<invitation id>.<generation>.<expires_at>.<MAC>`.
fn generation(token: &str) -> u32 {
    let generation = token.split('.').nth(4).and_then(|generation| generation.parse().ok());
    generation.expect("a token contains its generation")
}

/// Parses the response to any action except the lists.
fn parse_response(action: &Action, status: u16, body: &Value) -> Response {
    match (action, status) {
        (Action::Invite { .. }, 200) => parse(&body["results"], Response::Results),
        (Action::Resend(_), 200) => parse(body, Response::Invitation),
        (Action::Accept(_) | Action::RoleEdit { .. }, 200) => parse(body, Response::Member),
        (Action::Preview(_), 200) => parse(body, Response::Preview),
        (Action::GetOrganization, 200) => parse(body, Response::Organization),
        (Action::Revoke(_) | Action::Decline(_) | Action::Remove(_), 204) => Response::NoContent,
        _ => parse_problem(status, body),
    }
}

fn parse_problem(status: u16, body: &Value) -> Response {
    match parse(body, Response::Refused) {
        Response::Refused(refusal) if refusal.status == status => Response::Refused(refusal),
        _ => Response::Undocumented(format!("{status} {body}")),
    }
}

fn parse<T: DeserializeOwned>(body: &Value, into_response: fn(T) -> Response) -> Response {
    match serde_json::from_value(body.clone()) {
        Ok(parsed) => into_response(parsed),
        Err(error) => Response::Undocumented(format!("{error}: {body}")),
    }
}

fn member_rows(items: Vec<Value>) -> Response {
    let key = |row: &MemberRow| row.user_id.clone();
    unique_rows(items, key, Response::Members)
}

fn invitation_rows(items: Vec<Value>) -> Response {
    let key = |row: &InvitationRow| row.email.clone();
    unique_rows(items, key, Response::Invitations)
}

/// Parses the rows of a list. A row that appears twice is undocumented, because the order of a list is stable.
fn unique_rows<Row: DeserializeOwned>(
    items: Vec<Value>,
    key: impl Fn(&Row) -> String,
    into_response: fn(Vec<Row>) -> Response,
) -> Response {
    let text = Value::Array(items);
    match serde_json::from_value::<Vec<Row>>(text.clone()) {
        Ok(rows) => {
            let mut keys: Vec<_> = rows.iter().map(key).collect();
            keys.sort_unstable();
            if keys.windows(2).any(|pair| pair[0] == pair[1]) {
                return Response::Undocumented(format!("a row appears twice: {text}"));
            }
            into_response(rows)
        }
        Err(error) => Response::Undocumented(format!("{error}: {text}")),
    }
}
