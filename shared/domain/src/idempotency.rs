//! Idempotency keys: a repeated request changes nothing and gets the stored response of the first one.
//!
//! The transaction that makes an action's changes also stores its response. So a response is stored exactly if the
//! changes are committed. If two requests with the same key run at once, a guard of the second one fails. Its next
//! attempt finds the response of the first one.
//!
//! [`WithIdempotencyKey`] adds this behaviour to any action.

use std::fmt;
use std::time::Duration;

use crate::hash::{base32, digest, stored_text};
use crate::{Action, Change, Decision, ItemKey, OrganizationId, Policy, Snapshot, Timestamp, UserId};

/// How long a stored response is valid.
pub const RESPONSE_RETENTION: Duration = Duration::from_hours(24);

/// The idempotency key that a client sends: 1 to 255 visible ASCII characters.
#[derive(Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

/// The text is not an idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key is 1 to 255 visible ASCII characters")]
pub struct InvalidIdempotencyKey;

impl IdempotencyKey {
    /// Length of the longest key in bytes.
    pub const BYTES_MAX: usize = 255;

    /// Validates `text` and keeps it unchanged.
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
    /// Requests in an organization.
    Organization(OrganizationId),
    /// Requests of a user outside any organization.
    User(UserId),
}

/// Identifies a stored response by its scope and a hash of caller and key.
///
/// So keys are private to the caller and the scope.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoredResponseId {
    /// The namespace of the key.
    pub scope: Scope,
    hash: String,
}

impl StoredResponseId {
    /// Makes the id from its stored parts.
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

/// A hash of a request's content. Requests with equal fingerprints are the same request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fingerprint(String);
stored_text!(Fingerprint);

impl Fingerprint {
    /// Hashes a request for the action `name` with the content `parts`.
    #[must_use]
    pub fn of<'a>(name: &'a str, parts: impl IntoIterator<Item = &'a str>) -> Self {
        Self(base32("", &digest([name].into_iter().chain(parts))))
    }
}

/// A response stored under an idempotency key.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct StoredResponse {
    /// The id of the response.
    pub id: StoredResponseId,
    /// The fingerprint of the request.
    pub request: Fingerprint,
    /// The body, byte for byte.
    pub body: String,
    /// The response is valid strictly before this time.
    pub until: Timestamp,
}

impl fmt::Debug for StoredResponse {
    /// Hides the body, which may contain addresses.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, request, until, .. } = self;
        f.debug_struct("StoredResponse")
            .field("id", id)
            .field("request", request)
            .field("until", until)
            .finish_non_exhaustive()
    }
}

/// An action that accepts an idempotency key.
pub trait Idempotent: Action {
    /// The user who makes the request.
    fn caller(&self) -> &UserId;

    /// The namespace of the caller's keys.
    fn scope(&self) -> Scope;

    /// The fingerprint, which distinguishes the request from other requests.
    fn fingerprint(&self) -> Fingerprint;
}

/// The key was used for another request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the idempotency key was used for another request")]
pub struct KeyReused;

/// An action with an optional idempotency key.
///
/// With a key, the changes of the action include the response that `render` makes of its result. If a valid response is
/// already stored under the key, the wrapper returns it and changes nothing. Without a key, nothing is stored.
#[derive(Debug, Clone)]
pub struct WithIdempotencyKey<A, Render> {
    action: A,
    id: Option<StoredResponseId>,
    render: Render,
}

/// The body of a response, and whether an earlier request stored it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The body, byte for byte.
    pub body: String,
    /// Whether an earlier request stored the response, so that this request changes nothing.
    pub replayed: bool,
}

impl<A: Idempotent, Render> WithIdempotencyKey<A, Render> {
    /// Wraps `action` with the idempotency key of the request, if it has one.
    #[must_use]
    pub fn new(action: A, key: Option<&IdempotencyKey>, render: Render) -> Self {
        let id = key.map(|key| StoredResponseId {
            scope: action.scope(),
            hash: base32("", &digest([action.caller().as_str(), &key.0])),
        });
        Self { action, id, render }
    }

    /// The id of the stored response; `None` without a key.
    #[must_use]
    pub fn id(&self) -> Option<&StoredResponseId> {
        self.id.as_ref()
    }

    /// Returns the body of the stored response, if it was read, is valid and may be shown to the caller.
    ///
    /// A response in an organization is shown to members only.
    fn stored_body<'a>(&self, snapshot: &'a Snapshot, now: Timestamp) -> Result<Option<&'a str>, KeyReused> {
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

    /// The items of the action and the stored response; in an organization also the caller's membership.
    ///
    /// If the action reads nothing, the first attempt reads nothing either. A guard then asserts that no valid response
    /// is stored. If this guard fails, the next attempt reads the response.
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
        if let Some(body) = self.stored_body(snapshot, now)? {
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

    /// An action that returns `word`, in an organization or outside any.
    #[derive(Debug, Clone)]
    struct Echo {
        by: UserId,
        scope: Scope,
        request: &'static str,
        word: &'static str,
    }

    fn echo(request: &'static str, word: &'static str) -> Echo {
        Echo { by: user("ada"), scope: Scope::User(user("ada")), request, word }
    }

    impl Action for Echo {
        const NAME: &'static str = "echo";
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

    impl Idempotent for Echo {
        fn caller(&self) -> &UserId {
            &self.by
        }

        fn scope(&self) -> Scope {
            self.scope.clone()
        }

        fn fingerprint(&self) -> Fingerprint {
            Fingerprint::of("echo", [self.request])
        }
    }

    fn keyed(action: Echo, text: &str) -> impl Action<Answer = Rendered, Refusal = KeyReused> {
        let render = |word: &'static str, _: Timestamp| Ok::<_, KeyReused>(word.to_owned());
        WithIdempotencyKey::new(action, Some(&key(text)), render)
    }

    fn id(action: Echo, text: &str) -> StoredResponseId {
        WithIdempotencyKey::new(action, Some(&key(text)), ()).id().unwrap().clone()
    }

    /// The response that the changes store, or the one that was stored before.
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
    fn a_key_has_1_to_255_visible_ascii_characters() {
        for text in ["a", "!~", "8e03978e-40d5-43e8-bc93-6894a57f9324", &"k".repeat(255)] {
            assert!(IdempotencyKey::parse(text).is_ok(), "{text:?}");
        }
        for text in ["", " ", "a b", "a\n", "é", "\u{7f}", &"k".repeat(256)] {
            assert_eq!(IdempotencyKey::parse(text), Err(InvalidIdempotencyKey), "{text:?}");
        }
    }

    #[test]
    fn repeats_the_response_of_the_same_request_for_24_hours() {
        let mut kept: Option<StoredResponse> = None;
        let mut at = |now, request, word| {
            let id = id(echo(request, word), "k");
            let record = kept.clone().map(Record::Response);
            let snapshot = Snapshot::from_iter([(ItemKey::Response(id), record)]);
            let decision = keyed(echo(request, word), "k").decide(&snapshot, &Policy::default(), now)?;
            kept = stored(&decision.changes, kept.clone());
            Ok(decision.answer)
        };
        let rendered = |text: &str, replayed| Ok(Rendered { body: text.to_owned(), replayed });
        assert_eq!(at(NOON, "one", "first"), rendered("first", false));
        let last = NOON + Duration::from_secs(24 * 60 * 60 - 1);
        assert_eq!(at(last, "one", "second"), rendered("first", true));
        assert_eq!(at(last, "two", "second"), Err(KeyReused));
        assert_eq!(
            at(NOON + RESPONSE_RETENTION, "two", "third"),
            rendered("third", false),
            "DynamoDB may delete an expired response late"
        );
        assert_eq!(at(NOON + RESPONSE_RETENTION, "one", "fourth"), Err(KeyReused));
    }

    #[test]
    fn an_id_is_made_again_from_its_stored_parts() {
        let id = id(echo("r", "w"), "k");
        assert_eq!(StoredResponseId::stored(id.scope.clone(), id.hash().to_owned()), id);
    }

    #[test]
    fn keys_are_private_to_caller_and_scope() {
        let by = |name| Echo { by: user(name), ..echo("r", "w") };
        let scoped = |scope| Echo { scope, ..echo("r", "w") };
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
    fn repeats_a_response_only_to_current_members() {
        let action = || Echo { scope: Scope::Organization(acme()), ..echo("r", "w") };
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
    fn an_action_without_reads_reads_the_response_only_after_a_failed_guard() {
        let unscoped = keyed(echo("r", "w"), "k");
        assert_eq!(unscoped.reads(None), []);
        assert_eq!(unscoped.reads(Some(&Snapshot::default())).len(), 1);
        let scoped = keyed(Echo { scope: Scope::Organization(acme()), ..echo("r", "w") }, "k");
        assert_eq!(scoped.reads(None).len(), 3, "organization, membership, response");
    }

    #[test]
    fn without_a_key_nothing_is_stored() {
        let render = |word: &'static str, _: Timestamp| Ok::<_, KeyReused>(word.to_owned());
        let action = WithIdempotencyKey::new(echo("r", "w"), None, render);
        let decision = action.decide(&Snapshot::default(), &Policy::default(), NOON).unwrap();
        assert!(decision.changes.is_empty());
    }

    #[test]
    fn debug_shows_neither_key_nor_body() {
        let id = id(echo("r", "w"), "secret");
        let request = Fingerprint::of("t", []);
        let response = StoredResponse { id, request, body: "secret".to_owned(), until: NOON };
        assert!(!format!("{response:?} {:?}", key("secret")).contains("secret"));
    }
}
