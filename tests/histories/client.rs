//! Clients: each calls the API as it likes, one call after another, signed in now as this member and now as that one,
//! and takes down what it is answered.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use domain::{EmailAddress, InvitationId, OrganizationId, Role, Status};
use fastrand::Rng;
use harness::{NoAnswer, Person};
use http::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::contract::{Account, Action, Answer, InvitationRow, InviteResult, Link, MemberRow, View};
use crate::history::{Call, End, Moments};
use crate::site::Life;

/// Items on a page, where a list is read page by page.
const PAGE: usize = 3;
/// So many calls are about the same.
const QUARREL: usize = 6;
/// No list of so few people has more pages.
const PAGES_MAX: usize = 20;

/// An organization as its clients share it.
pub struct Shared {
    /// Its id.
    pub organization: String,
    /// Everybody who may sign in.
    pub accounts: Vec<Account>,
    /// Numbers what happens.
    pub moments: Arc<Moments>,
    /// What was called so far.
    pub calls: Mutex<Vec<Call>>,
    /// How many calls there were, in all organizations: whoever kills waits for them.
    pub count: watch::Sender<usize>,
    /// What clients believe, so that what they do often makes sense: who is a member, which addresses are invited.
    rumours: Mutex<Rumours>,
}

struct Rumours {
    members: BTreeMap<String, Role>,
    pending: Vec<String>,
    /// What the next calls are about, and how many of them.
    quarrel: (Quarrel, usize),
}

/// What clients call about at the same time, so that they are in each other's way.
#[derive(Debug, Clone)]
enum Quarrel {
    /// Nothing in particular.
    None,
    /// Who remains an owner.
    Owners,
    /// Who gets the last seats.
    Seats,
    /// What becomes of one invitation.
    Invitation(String),
}

/// One of those who call.
pub struct Client {
    number: usize,
    chance: Rng,
    shared: Arc<Shared>,
    lives: watch::Receiver<Option<Life>>,
    /// The life of the process that was called last.
    life: Option<usize>,
    /// The accounts that are signed in there.
    signed_in: BTreeMap<Account, Person>,
}

/// A call before it is made: a link's token is nothing to write down.
struct Intention {
    caller: Account,
    action: Action,
    token: Option<String>,
}

impl Shared {
    /// An organization that somebody has founded.
    pub fn new(
        organization: &str,
        accounts: Vec<Account>,
        founder: &Account,
        moments: Arc<Moments>,
        count: watch::Sender<usize>,
    ) -> Self {
        let members = BTreeMap::from([(founder.user.clone(), Role::Owner)]);
        Self {
            organization: organization.to_owned(),
            accounts,
            moments,
            calls: Mutex::default(),
            count,
            rumours: Mutex::new(Rumours { members, pending: Vec::new(), quarrel: (Quarrel::None, 0) }),
        }
    }

    fn path(&self, below: &str) -> String {
        format!("/v1/organizations/{}{below}", self.organization)
    }

    /// The id of an address's invitation.
    fn invitation(&self, email: &str) -> InvitationId {
        let organization = OrganizationId::parse(&self.organization).expect("an organization has an id");
        InvitationId::of(&organization, &EmailAddress::parse(email).expect("an address"))
    }

    fn take_down(&self, call: Call) {
        self.hear_of(&call);
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
        self.count.send_modify(|count| *count += 1);
    }

    fn hear_of(&self, call: &Call) {
        let mut rumours = self.rumours.lock().unwrap_or_else(PoisonError::into_inner);
        match &call.end {
            End::Answered(_, Answer::Members(rows)) => {
                rumours.members = rows.iter().map(|row| (row.user_id.clone(), row.role)).collect();
            }
            End::Answered(_, Answer::Member(row)) => {
                rumours.members.insert(row.user_id.clone(), row.role);
            }
            End::Answered(_, Answer::Invitations(rows)) => {
                let pending = rows.iter().filter(|row| row.status == Status::Pending);
                rumours.pending = pending.map(|row| row.email.clone()).collect();
            }
            End::Answered(_, Answer::Results(results)) => {
                for result in results {
                    if let InviteResult::Invited { email, .. } = result
                        && !rumours.pending.contains(email)
                    {
                        rumours.pending.push(email.clone());
                    }
                }
            }
            End::Answered(_, Answer::Nothing) => match &call.action {
                Some(Action::Remove(user)) => {
                    rumours.members.remove(user);
                }
                Some(Action::Revoke(email) | Action::Decline(Link { email, .. })) => {
                    rumours.pending.retain(|pending| pending != email);
                }
                _ => {}
            },
            _ => {}
        }
    }
}

impl Client {
    /// The client of that number, who does what chance says.
    pub fn new(
        number: usize,
        chance: Rng,
        shared: Arc<Shared>,
        lives: watch::Receiver<Option<Life>>,
    ) -> Self {
        Self { number, chance, shared, lives, life: None, signed_in: BTreeMap::new() }
    }

    /// Makes so many calls.
    pub async fn calls(mut self, calls: usize) {
        for _ in 0..calls {
            self.acts().await;
        }
    }

    async fn acts(&mut self) {
        let intention = loop {
            match self.intends().await {
                Ok(Some(intention)) => break intention,
                // No mail to act on yet, or nobody there to ask for one: something else, then.
                Ok(None) => {}
                Err(_) => self.outlives().await,
            }
        };
        self.makes(intention).await;
    }

    /// Looks at everything, as everybody: where nobody else is at it, these calls show all that there is.
    pub async fn looks_at_everything(&mut self) {
        for caller in self.shared.accounts.clone() {
            for action in [Action::Look, Action::Members, Action::Invitations] {
                self.makes(Intention { caller: caller.clone(), action, token: None }).await;
            }
        }
    }

    /// An owner, if there is one as there should be, and the invitations as the list shows them.
    pub async fn asks_an_owner(&mut self) -> Option<(Account, Vec<Value>)> {
        for account in self.shared.accounts.clone() {
            let look = Intention { caller: account.clone(), action: Action::Look, token: None };
            match self.makes(look).await {
                End::Answered(_, Answer::Organization(View { role: Role::Owner, .. })) => {}
                _ => continue,
            }
            let (owner, _) = self.signs_in(&account).await;
            let path = self.shared.path("/invitations?limit=1000");
            let list = owner.tries(Method::GET, &path, None).await.expect("nobody kills any more");
            return Some((account, list.items()));
        }
        None
    }

    /// Resends the invitation of an address.
    pub async fn resends(mut self, caller: Account, email: String) {
        self.makes(Intention { caller, action: Action::Resend(email), token: None }).await;
    }

    /// Opens the link of the newest mail to an address; its generation, if there is one.
    pub async fn opens_the_newest(&mut self, email: &str) -> Option<u32> {
        let caller = self.shared.accounts[0].clone();
        let links = self.reads_mail(&caller, email).await.expect("nobody kills any more");
        let (generation, token) = links.into_iter().max()?;
        let action = Action::Preview(Link { email: email.to_owned(), generation });
        self.makes(Intention { caller, action, token: Some(token) }).await;
        Some(generation)
    }

    /// What to do next, as chance has it; nothing, if there is no link to do it with.
    async fn intends(&mut self) -> Result<Option<Intention>, NoAnswer> {
        match self.quarrel() {
            Quarrel::None => {}
            Quarrel::Owners => {
                if let Some(intention) = self.gives_up_an_owner() {
                    return Ok(Some(intention));
                }
            }
            Quarrel::Seats => {
                let emails = vec![self.any_address()];
                let action = Action::Invite { emails, role: Role::Member };
                return Ok(Some(Intention { caller: self.somebody(), action, token: None }));
            }
            Quarrel::Invitation(email) if self.chance.f64() < 0.6 => {
                return self.intends_with_a_link(email).await;
            }
            Quarrel::Invitation(email) => {
                let action = if self.chance.bool() { Action::Resend(email) } else { Action::Revoke(email) };
                return Ok(Some(Intention { caller: self.somebody(), action, token: None }));
            }
        }
        let caller = self.somebody();
        let role = if self.chance.f64() < 0.45 { Role::Owner } else { Role::Member };
        let action = match self.chance.u32(..100) {
            0..15 => {
                let emails = (0..self.chance.usize(1..=3)).map(|_| self.any_address()).collect();
                Action::Invite { emails, role }
            }
            15..50 => {
                let email = self.invited_address();
                return self.intends_with_a_link(email).await;
            }
            50..57 => Action::Resend(self.invited_address()),
            57..61 => Action::Revoke(self.invited_address()),
            61..72 => Action::RoleEdit { user: self.somebody().user, role },
            72..78 => Action::Remove(self.somebody().user),
            78..80 => Action::Remove(caller.user.clone()),
            80..87 => Action::Members,
            87..94 => Action::Invitations,
            _ => Action::Look,
        };
        Ok(Some(Intention { caller, action, token: None }))
    }

    /// What the next call is about: what others call about, or something new.
    fn quarrel(&mut self) -> Quarrel {
        let email = self.invited_address();
        let mut rumours = self.shared.rumours.lock().unwrap_or_else(PoisonError::into_inner);
        let (quarrel, left) = &mut rumours.quarrel;
        if *left == 0 {
            *left = QUARREL;
            *quarrel = match self.chance.u32(..6) {
                0..2 => Quarrel::Owners,
                2 => Quarrel::Seats,
                3 => Quarrel::Invitation(email),
                _ => Quarrel::None,
            };
        }
        *left -= 1;
        quarrel.clone()
    }

    /// One owner demotes or removes another, or leaves; the only one makes another, if there is somebody.
    fn gives_up_an_owner(&mut self) -> Option<Intention> {
        let owners = self.rumoured(|role| role == Some(Role::Owner));
        let caller = self.chance.choice(&owners)?.clone();
        let action = if owners.len() < 2 {
            let members = self.rumoured(|role| role == Some(Role::Member));
            Action::RoleEdit { user: self.chance.choice(members)?.user, role: Role::Owner }
        } else {
            let target = self.chance.choice(&owners)?.user.clone();
            match self.chance.u32(..4) {
                0..2 => Action::RoleEdit { user: target, role: Role::Member },
                2 => Action::Remove(target),
                _ => Action::Remove(caller.user.clone()),
            }
        };
        Some(Intention { caller, action, token: None })
    }

    async fn intends_with_a_link(&mut self, email: String) -> Result<Option<Intention>, NoAnswer> {
        let holders = self.shared.accounts.iter().filter(|account| account.email == email);
        let holders: Vec<_> = holders.cloned().collect();
        let caller = match self.chance.choice(holders) {
            Some(holder) if self.chance.f64() < 0.9 => holder,
            _ => self.anybody(),
        };
        let mut links = self.reads_mail(&caller, &email).await?;
        links.sort_unstable();
        let newest = links.pop();
        let older = self.chance.choice(links).filter(|_| self.chance.f64() < 0.15);
        let Some((generation, token)) = older.or(newest) else { return Ok(None) };
        let link = Link { email, generation };
        let action = match self.chance.u32(..10) {
            0..2 => Action::Preview(link),
            2 => Action::Decline(link),
            _ => Action::Accept(link),
        };
        Ok(Some(Intention { caller, action, token: Some(token) }))
    }

    fn anybody(&mut self) -> Account {
        let accounts = &self.shared.accounts;
        accounts[self.chance.usize(..accounts.len())].clone()
    }

    /// Most often a member, as far as one has heard.
    fn somebody(&mut self) -> Account {
        let members = self.rumoured(|role| role.is_some());
        match self.chance.choice(members) {
            Some(member) if self.chance.f64() < 0.9 => member,
            _ => self.anybody(),
        }
    }

    /// Accounts whose role is one of these, as far as one has heard.
    fn rumoured(&self, fits: impl Fn(Option<Role>) -> bool) -> Vec<Account> {
        let rumours = self.shared.rumours.lock().unwrap_or_else(PoisonError::into_inner);
        let role = |account: &Account| rumours.members.get(&account.user).copied();
        self.shared.accounts.iter().filter(|account| fits(role(account))).cloned().collect()
    }

    fn any_address(&mut self) -> String {
        self.anybody().email
    }

    /// Most often one that is invited, as far as one has heard.
    fn invited_address(&mut self) -> String {
        let pending = self.shared.rumours.lock().unwrap_or_else(PoisonError::into_inner).pending.clone();
        match self.chance.choice(pending) {
            Some(email) if self.chance.f64() < 0.85 => email,
            _ => self.any_address(),
        }
    }

    /// The links that an address was sent in this organization, by generation.
    async fn reads_mail(&mut self, caller: &Account, email: &str) -> Result<Vec<(u32, String)>, NoAnswer> {
        let at = self.shared.moments.next();
        let visitor = self.lives().await.visitor;
        let answer = visitor.tries(Method::GET, &format!("/_dev/mail?to={email}"), None).await?;
        let mails = answer.is(200);
        let tokens =
            mails["items"].as_array().into_iter().flatten().filter_map(|mail| mail["token"].as_str());
        let links: Vec<_> = tokens.map(|token| (generation(token), token.to_owned())).collect();
        if let Some(newest) = links.iter().map(|(generation, _)| *generation).max() {
            let end = End::Mailed(self.shared.moments.next(), email.to_owned(), newest);
            let caller = caller.clone();
            self.shared.take_down(Call { client: self.number, caller, action: None, at, end });
        }
        Ok(links)
    }

    /// The process's life that is now, once there is one.
    async fn lives(&mut self) -> Life {
        let life = self.lives.wait_for(Option::is_some).await.expect("the site outlives its clients");
        let life = life.clone().expect("it was waited for");
        if self.life != Some(life.number) {
            self.life = Some(life.number);
            // Another process is another issuer: its address has changed.
            self.signed_in.clear();
        }
        life
    }

    /// Resolves once the process is gone that has not answered, and there is another.
    async fn outlives(&mut self) {
        let before = self.life;
        let gone = |life: &Option<Life>| life.as_ref().is_some_and(|life| Some(life.number) != before);
        self.lives.wait_for(gone).await.expect("the site outlives its clients");
    }

    /// The account, signed in at the process that is now, and the number of its life.
    async fn signs_in(&mut self, account: &Account) -> (Person, usize) {
        loop {
            let life = self.lives().await;
            if let Some(person) = self.signed_in.get(account) {
                return (person.clone(), life.number);
            }
            let claims = json!({ "sub": account.user, "email": account.email, "email_verified": true });
            match life.visitor.tries(Method::POST, "/_dev/token", Some(&claims)).await {
                Ok(answer) => {
                    let token = answer.is(200)["access_token"].as_str().map(str::to_owned);
                    let person = life.visitor.with_token(&token.expect("the issuer gives a token"));
                    self.signed_in.insert(account.clone(), person);
                }
                Err(_) => self.outlives().await,
            }
        }
    }

    async fn makes(&mut self, Intention { caller, action, token }: Intention) -> End {
        let (person, life) = self.signs_in(&caller).await;
        let at = self.shared.moments.next();
        let answered = self.asks(&person, &action, token.as_deref()).await;
        let killed = answered.is_err();
        let over = self.shared.moments.next();
        let end = match answered {
            Ok(answer) if is_unavailable(&answer) => End::Unavailable(life),
            Ok(answer) => End::Answered(over, answer),
            Err(_) => End::Lost(life),
        };
        let call = Call { client: self.number, caller, action: Some(action), at, end: end.clone() };
        self.shared.take_down(call);
        if killed {
            self.outlives().await;
        }
        end
    }

    async fn asks(
        &mut self,
        person: &Person,
        action: &Action,
        token: Option<&str>,
    ) -> Result<Answer, NoAnswer> {
        let shared = Arc::clone(&self.shared);
        let invitation = |email: &str| format!("/invitations/{}", shared.invitation(email));
        let link = || json!({ "token": token.expect("a link has a token") });
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
            Action::Look => (Method::GET, shared.path(""), None),
            Action::Members => return self.lists(person, "/members", members).await,
            Action::Invitations => return self.lists(person, "/invitations", invitations).await,
        };
        let answer = person.tries(method, &path, body.as_ref()).await?;
        Ok(understood(action, answer.status.as_u16(), &answer.body))
    }

    /// Reads a list to its end: at once, or page by page.
    async fn lists(
        &mut self,
        person: &Person,
        below: &str,
        answer: fn(Vec<Value>) -> Answer,
    ) -> Result<Answer, NoAnswer> {
        let limit = if self.chance.bool() { PAGE } else { 1_000 };
        let mut items = Vec::new();
        let mut cursor = String::new();
        for _ in 0..PAGES_MAX {
            let path = self.shared.path(&format!("{below}?limit={limit}{cursor}"));
            let page = person.tries(Method::GET, &path, None).await?;
            if page.status != 200 {
                return Ok(refused(page.status.as_u16(), &page.body));
            }
            items.extend(page.body["items"].as_array().into_iter().flatten().cloned());
            match page.body["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(answer(items)),
            }
        }
        Ok(Answer::Strange(format!("{below} has no end")))
    }
}

/// 503: nothing half done, but perhaps all of it.
fn is_unavailable(answer: &Answer) -> bool {
    matches!(answer, Answer::Refused(refusal) if refusal.status == 503)
}

/// The generation in `v1.<kid>.<org>.<invitation id>.<generation>.<expires_at>.<MAC>`.
fn generation(token: &str) -> u32 {
    let generation = token.split('.').nth(4).and_then(|generation| generation.parse().ok());
    generation.expect("a token names its generation")
}

/// What the API has answered to something that is no list.
fn understood(action: &Action, status: u16, body: &Value) -> Answer {
    match (action, status) {
        (Action::Invite { .. }, 200) => read(&body["results"], Answer::Results),
        (Action::Resend(_), 200) => read(body, Answer::Invitation),
        (Action::Accept(_) | Action::RoleEdit { .. }, 200) => read(body, Answer::Member),
        (Action::Preview(_), 200) => read(body, Answer::Preview),
        (Action::Look, 200) => read(body, Answer::Organization),
        (Action::Revoke(_) | Action::Decline(_) | Action::Remove(_), 204) => Answer::Nothing,
        _ => refused(status, body),
    }
}

fn refused(status: u16, body: &Value) -> Answer {
    match read(body, Answer::Refused) {
        Answer::Refused(refusal) if refusal.status == status => Answer::Refused(refusal),
        _ => Answer::Strange(format!("{status} {body}")),
    }
}

fn read<T: DeserializeOwned>(body: &Value, answer: fn(T) -> Answer) -> Answer {
    match serde_json::from_value(body.clone()) {
        Ok(read) => answer(read),
        Err(error) => Answer::Strange(format!("{error}: {body}")),
    }
}

fn members(items: Vec<Value>) -> Answer {
    let key = |row: &MemberRow| row.user_id.clone();
    rows(items, key, Answer::Members)
}

fn invitations(items: Vec<Value>) -> Answer {
    let key = |row: &InvitationRow| row.email.clone();
    rows(items, key, Answer::Invitations)
}

/// No row comes twice: the order of a list is stable.
fn rows<Row: DeserializeOwned>(
    items: Vec<Value>,
    key: impl Fn(&Row) -> String,
    answer: fn(Vec<Row>) -> Answer,
) -> Answer {
    let text = Value::Array(items);
    match serde_json::from_value::<Vec<Row>>(text.clone()) {
        Ok(rows) => {
            let mut keys: Vec<_> = rows.iter().map(key).collect();
            keys.sort_unstable();
            if keys.windows(2).any(|pair| pair[0] == pair[1]) {
                return Answer::Strange(format!("a row comes twice: {text}"));
            }
            answer(rows)
        }
        Err(error) => Answer::Strange(format!("{error}: {text}")),
    }
}
