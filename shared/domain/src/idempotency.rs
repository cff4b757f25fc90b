//! Idempotency keys: a request that is sent again is answered again, and does nothing.
//!
//! The response is stored by the transaction that it answers. So there is no moment at which the one is there without
//! the other, and of two requests that are under way at the same time one finds the other's response.
//! [`WithIdempotencyKey`] does this for any action.

use std::fmt;
use std::time::Duration;

use crate::hash::{digest, encoded, stored_text};
use crate::{Action, Change, Decision, ItemKey, OrganizationId, Policy, Snapshot, Timestamp, UserId};

/// How long a response is stored.
pub const RESPONSE_RETENTION: Duration = Duration::from_hours(24);

/// What a client calls its request: 1 to 255 visible ASCII characters.
#[derive(Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

/// The text is no idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key is 1 to 255 visible ASCII characters")]
pub struct InvalidIdempotencyKey;

impl IdempotencyKey {
    /// The longest one.
    pub const BYTES_MAX: usize = 255;

    /// Takes `text` as it is.
    pub fn parse(text: &str) -> Result<Self, InvalidIdempotencyKey> {
        let fits = (1..=Self::BYTES_MAX).contains(&text.len());
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits && visible { Ok(Self(text.to_owned())) } else { Err(InvalidIdempotencyKey) }
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdempotencyKey(..)")
    }
}

/// The namespace of a caller's idempotency keys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// What is done in an organization.
    Organization(OrganizationId),
    /// What a user does outside of all.
    User(UserId),
}

/// Names a stored response: a scope, and a hash of caller and key, so that keys are private to both.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoredResponseId {
    /// Within what.
    pub scope: Scope,
    hash: String,
}

impl StoredResponseId {
    /// The id that is stored like this.
    #[must_use]
    pub fn stored(scope: Scope, hash: String) -> Self {
        Self { scope, hash }
    }

    /// The hash of caller and key.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }
}

/// A hash of what a request asks for: two with the same are the same request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fingerprint(String);
stored_text!(Fingerprint);

impl Fingerprint {
    /// Of a request for the action `name` that says `parts`.
    #[must_use]
    pub fn of<'a>(name: &'a str, parts: impl IntoIterator<Item = &'a str>) -> Self {
        Self(encoded("", &digest([name].into_iter().chain(parts))))
    }
}

/// A response that is stored.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct StoredResponse {
    /// Under which key.
    pub id: StoredResponseId,
    /// To which request.
    pub request: Fingerprint,
    /// Its body, byte for byte.
    pub body: String,
    /// It is given again strictly before this moment.
    pub until: Timestamp,
}

impl fmt::Debug for StoredResponse {
    /// A body may show addresses.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, request, until, .. } = self;
        f.debug_struct("StoredResponse")
            .field("id", id)
            .field("request", request)
            .field("until", until)
            .finish_non_exhaustive()
    }
}

/// An action that may be asked for with an idempotency key.
pub trait Idempotent: Action {
    /// Who asks for it.
    fn caller(&self) -> &UserId;

    /// Within what the caller's keys are told apart.
    fn scope(&self) -> Scope;

    /// What tells the request from other requests.
    fn fingerprint(&self) -> Fingerprint;
}

/// The key was used for another request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the idempotency key was used for another request")]
pub struct KeyReused;

/// An action that was asked for with an idempotency key, or without one: then nothing is stored.
///
/// It does what the action does, and stores the response that `render` makes of its answer; or it finds that response, and
/// changes nothing.
#[derive(Debug, Clone)]
pub struct WithIdempotencyKey<A, Render> {
    action: A,
    id: Option<StoredResponseId>,
    render: Render,
}

/// The body of a response, and whether it was stored by an earlier request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// Byte for byte.
    pub body: String,
    /// Whether nothing is done, since it was done then.
    pub replayed: bool,
}

impl<A: Idempotent, Render> WithIdempotencyKey<A, Render> {
    /// `action`, asked for with `key`.
    #[must_use]
    pub fn new(action: A, key: Option<&IdempotencyKey>, render: Render) -> Self {
        let id = key.map(|key| StoredResponseId {
            scope: action.scope(),
            hash: encoded("", &digest([action.caller().as_str(), &key.0])),
        });
        Self { action, id, render }
    }

    /// Where its response is stored.
    #[must_use]
    pub fn id(&self) -> Option<&StoredResponseId> {
        self.id.as_ref()
    }

    /// The response that is stored under the key, if it was read, is still good, and the caller may see it: in an
    /// organization only a member may.
    fn recall<'a>(&self, snapshot: &'a Snapshot, now: Timestamp) -> Result<Option<&'a str>, KeyReused> {
        let read = self.id.as_ref().filter(|id| snapshot.has_read(&ItemKey::Response((*id).clone())));
        let stored = read.and_then(|id| snapshot.response(id)).filter(|it| now < it.until);
        let Some(stored) = stored else { return Ok(None) };
        if let Scope::Organization(organization) = &stored.id.scope
            && snapshot.member(organization, self.action.caller()).is_none()
        {
            return Ok(None);
        }
        if stored.request == self.action.fingerprint() { Ok(Some(&stored.body)) } else { Err(KeyReused) }
    }
}

impl<A, Render, Failure> Action for WithIdempotencyKey<A, Render>
where
    A: Idempotent,
    Render: Fn(A::Answer, Timestamp) -> Result<String, Failure>,
    Failure: From<A::Refusal> + From<KeyReused>,
{
    const NAME: &'static str = A::NAME;
    type Answer = Rendered;
    type Refusal = Failure;

    /// The items of the action, the stored response, and the caller's membership where the response is an organization's. If the
    /// action reads nothing, the first attempt does not read the response either: the guard of the response decides.
    fn reads(&self, seen: Option<&Snapshot>) -> Vec<ItemKey> {
        let mut reads = self.action.reads(seen);
        if seen.is_some() || !reads.is_empty() {
            if let Some(StoredResponseId { scope: Scope::Organization(organization), .. }) = &self.id {
                reads.push(ItemKey::member(organization, self.action.caller()));
            }
            reads.extend(self.id.clone().map(ItemKey::Response));
        }
        reads
    }

    fn decide(
        &self,
        snapshot: &Snapshot,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Decision<Rendered>, Failure> {
        if let Some(body) = self.recall(snapshot, now)? {
            return Ok(Decision::unchanged(Rendered { body: body.to_owned(), replayed: true }));
        }
        let Decision { mut changes, answer } = self.action.decide(snapshot, policy, now)?;
        let body = (self.render)(answer, now)?;
        if let Some(id) = self.id.clone() {
            let request = self.action.fingerprint();
            let response =
                StoredResponse { id, request, body: body.clone(), until: now + RESPONSE_RETENTION };
            changes.push(Change::store_response(response, now));
        }
        Ok(Decision { changes, answer: Rendered { body, replayed: false } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOON, acme, user};
    use crate::{Policy, Record};

    fn key(text: &str) -> IdempotencyKey {
        IdempotencyKey::parse(text).unwrap()
    }

    /// An action that always says the same; in an organization, or without one.
    #[derive(Debug, Clone)]
    struct Say {
        by: UserId,
        scope: Scope,
        request: &'static str,
        word: &'static str,
    }

    fn say(request: &'static str, word: &'static str) -> Say {
        Say { by: user("ada"), scope: Scope::User(user("ada")), request, word }
    }

    impl Action for Say {
        const NAME: &'static str = "say";
        type Answer = &'static str;
        type Refusal = KeyReused;

        fn reads(&self, _: Option<&Snapshot>) -> Vec<ItemKey> {
            match &self.scope {
                Scope::Organization(organization) => vec![ItemKey::organization(organization)],
                Scope::User(_) => Vec::new(),
            }
        }

        fn decide(
            &self,
            _: &Snapshot,
            _: &Policy,
            _: Timestamp,
        ) -> Result<Decision<&'static str>, KeyReused> {
            Ok(Decision::unchanged(self.word))
        }
    }

    impl Idempotent for Say {
        fn caller(&self) -> &UserId {
            &self.by
        }

        fn scope(&self) -> Scope {
            self.scope.clone()
        }

        fn fingerprint(&self) -> Fingerprint {
            Fingerprint::of("say", [self.request])
        }
    }

    fn keyed(action: Say, text: &str) -> impl Action<Answer = Rendered, Refusal = KeyReused> {
        let render = |word: &'static str, _: Timestamp| Ok::<_, KeyReused>(word.to_owned());
        WithIdempotencyKey::new(action, Some(&key(text)), render)
    }

    fn id(action: Say, text: &str) -> StoredResponseId {
        WithIdempotencyKey::new(action, Some(&key(text)), ()).id().unwrap().clone()
    }

    /// What is stored by the changes, and otherwise what was stored before.
    fn stored(changes: &[Change], before: Option<StoredResponse>) -> Option<StoredResponse> {
        let puts = changes.iter().find_map(|change| match &change.effect {
            crate::Effect::Put(record) => Some(&**record),
            _ => None,
        });
        match puts {
            Some(Record::Response(response)) => Some(response.clone()),
            _ => before,
        }
    }

    #[test]
    fn a_key_is_visible_ascii_and_at_most_255_characters() {
        for text in ["a", "!~", "8e03978e-40d5-43e8-bc93-6894a57f9324", &"k".repeat(255)] {
            assert!(IdempotencyKey::parse(text).is_ok(), "{text:?}");
        }
        for text in ["", " ", "a b", "a\n", "é", "\u{7f}", &"k".repeat(256)] {
            assert_eq!(IdempotencyKey::parse(text), Err(InvalidIdempotencyKey), "{text:?}");
        }
    }

    #[test]
    fn the_same_request_with_the_same_key_has_the_same_response_for_a_day() {
        let mut kept: Option<StoredResponse> = None;
        let mut at = |now, request, word| {
            let id = id(say(request, word), "k");
            let record = kept.clone().map(Record::Response);
            let snapshot = Snapshot::from_iter([(ItemKey::Response(id), record)]);
            let decision = keyed(say(request, word), "k").decide(&snapshot, &Policy::default(), now)?;
            kept = stored(&decision.changes, kept.clone());
            Ok(decision.answer)
        };
        let said = |text: &str, replayed| Ok(Rendered { body: text.to_owned(), replayed });
        assert_eq!(at(NOON, "one", "first"), said("first", false));
        let last = NOON + Duration::from_secs(24 * 60 * 60 - 1);
        assert_eq!(at(last, "one", "second"), said("first", true));
        assert_eq!(at(last, "two", "second"), Err(KeyReused));
        assert_eq!(
            at(NOON + RESPONSE_RETENTION, "two", "third"),
            said("third", false),
            "time to live deletes late"
        );
        assert_eq!(at(NOON + RESPONSE_RETENTION, "one", "fourth"), Err(KeyReused));
    }

    #[test]
    fn keys_are_private_to_caller_and_scope() {
        let by = |name| Say { by: user(name), ..say("r", "w") };
        let scoped = |scope| Say { scope, ..say("r", "w") };
        let one = id(by("ada"), "k");
        let elsewhere = OrganizationId::from_random([2; 16]);
        for other in [
            id(by("ad"), "ak"),
            id(by("bob"), "k"),
            id(by("ada"), "K"),
            id(scoped(Scope::Organization(elsewhere)), "k"),
            id(scoped(Scope::Organization(acme())), "k"),
        ] {
            assert_ne!(one, other);
        }
        assert_eq!(one, id(by("ada"), "k"));
    }

    #[test]
    fn who_is_no_member_any_more_is_not_answered_again() {
        let action = || Say { scope: Scope::Organization(acme()), ..say("r", "w") };
        let response = StoredResponse {
            id: id(action(), "k"),
            request: action().fingerprint(),
            body: "before".to_owned(),
            until: NOON + RESPONSE_RETENTION,
        };
        let membership = ItemKey::member(&acme(), &user("ada"));
        for (member, replayed) in [(crate::testing::given().member, true), (None, false)] {
            let response = Record::Response(response.clone());
            let snapshot = Snapshot::from_iter([
                (membership.clone(), member.map(Record::Member)),
                (response.key(), Some(response)),
            ]);
            let decision = keyed(action(), "k").decide(&snapshot, &Policy::default(), NOON).unwrap();
            assert_eq!(decision.answer.replayed, replayed);
        }
    }

    #[test]
    fn an_action_that_reads_nothing_leaves_the_key_to_its_guard_at_first() {
        let free = keyed(say("r", "w"), "k");
        assert_eq!(free.reads(None), []);
        assert_eq!(free.reads(Some(&Snapshot::default())).len(), 1);
        let bound = keyed(Say { scope: Scope::Organization(acme()), ..say("r", "w") }, "k");
        assert_eq!(bound.reads(None).len(), 3, "organization, membership, response");
    }

    #[test]
    fn without_a_key_nothing_is_stored() {
        let render = |word: &'static str, _: Timestamp| Ok::<_, KeyReused>(word.to_owned());
        let action = WithIdempotencyKey::new(say("r", "w"), None, render);
        let decision = action.decide(&Snapshot::default(), &Policy::default(), NOON).unwrap();
        assert!(decision.changes.is_empty());
    }

    #[test]
    fn debug_shows_neither_key_nor_body() {
        let id = id(say("r", "w"), "secret");
        let request = Fingerprint::of("t", []);
        let response = StoredResponse { id, request, body: "secret".to_owned(), until: NOON };
        assert!(!format!("{response:?} {:?}", key("secret")).contains("secret"));
    }
}
