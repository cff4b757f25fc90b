//! Idempotency keys: a request that is sent again is answered again, and does nothing.
//!
//! The answer is kept by the transaction that it answers. So there is no moment at which the one is there without
//! the other, and of two that are under way at the same time one finds the other's answer.

use std::fmt;
use std::time::Duration;

use crate::hash::{digest, encoded, stored_text};
use crate::{Change, Decision, OrganizationId, Timestamp, UserId};

/// How long an answer is kept (DESIGN section 3).
pub const KEPT: Duration = Duration::from_hours(24);

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

/// Within what a caller's keys are told apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// What is done in an organization.
    Organization(OrganizationId),
    /// What a user does outside of all.
    User(UserId),
}

/// Names a kept answer: a scope, and a hash of caller and key, so that keys are private to both.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AnswerId {
    /// Within what.
    pub scope: Scope,
    hash: String,
}

impl AnswerId {
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
    /// Of a request for `action` that says `parts`.
    pub(crate) fn of<'a>(action: &'a str, parts: impl IntoIterator<Item = &'a str>) -> Self {
        Self(encoded("", &digest([action].into_iter().chain(parts))))
    }
}

/// An answer that is kept.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Answer {
    /// Under which key.
    pub id: AnswerId,
    /// What it answers.
    pub request: Fingerprint,
    /// Word for word.
    pub text: String,
    /// It is given again strictly before this moment.
    pub until: Timestamp,
}

impl fmt::Debug for Answer {
    /// An answer may show addresses.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, request, until, .. } = self;
        f.debug_struct("Answer")
            .field("id", id)
            .field("request", request)
            .field("until", until)
            .finish_non_exhaustive()
    }
}

/// A request that carries a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    id: AnswerId,
    request: Fingerprint,
}

/// The key was used for another request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the idempotency key was used for another request")]
pub struct Reused;

impl Attempt {
    /// Of `caller`, who calls `request` by `key`.
    #[must_use]
    pub fn new(scope: Scope, caller: &UserId, key: &IdempotencyKey, request: Fingerprint) -> Self {
        let hash = encoded("", &digest([caller.as_str(), &key.0]));
        Self { id: AnswerId { scope, hash }, request }
    }

    /// Where its answer is kept.
    #[must_use]
    pub fn id(&self) -> &AnswerId {
        &self.id
    }

    fn recall<'a>(&self, kept: Option<&'a Answer>, now: Timestamp) -> Result<Option<&'a str>, Reused> {
        match kept.filter(|kept| now < kept.until) {
            None => Ok(None),
            Some(kept) if kept.request == self.request => Ok(Some(&kept.text)),
            Some(_) => Err(Reused),
        }
    }
}

/// What is answered, and whether it was answered before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Word for word.
    pub text: String,
    /// Whether nothing is done, since it was done then.
    pub again: bool,
}

/// Decides what `attempt` comes to, where `kept` is the answer under its key: that one, or what `act` decides, and
/// `say` puts into words, to be kept by the same plan. Without an attempt nothing is kept.
pub fn once<Acted, Failure: From<Reused>>(
    attempt: Option<&Attempt>,
    kept: Option<&Answer>,
    now: Timestamp,
    act: impl FnOnce() -> Result<Decision<Acted>, Failure>,
    say: impl FnOnce(Acted) -> Result<String, Failure>,
) -> Result<Decision<Said>, Failure> {
    if let Some(attempt) = attempt
        && let Some(text) = attempt.recall(kept, now)?
    {
        return Ok(Decision::unchanged(Said { text: text.to_owned(), again: true }));
    }
    let Decision { mut plan, answer } = act()?;
    let text = say(answer)?;
    if let Some(Attempt { id, request }) = attempt {
        let (id, request) = (id.clone(), request.clone());
        plan.add(Change::keep(Answer { id, request, text: text.clone(), until: now + KEPT }, now));
    }
    Ok(Decision { plan, answer: Said { text, again: false } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Ledger;
    use crate::testing::{NOON, acme, user};

    fn key(text: &str) -> IdempotencyKey {
        IdempotencyKey::parse(text).unwrap()
    }

    fn attempt(by: &str, text: &str, request: &str) -> Attempt {
        Attempt::new(Scope::Organization(acme()), &user(by), &key(text), Fingerprint::of("test", [request]))
    }

    /// What becomes of an attempt at `now`, on `ledger`, where acting says `word`.
    fn attempts(ledger: &mut Ledger, attempt: &Attempt, now: Timestamp, word: &str) -> Result<Said, Reused> {
        let kept = ledger.answer(attempt.id());
        let say = |word: &str| Ok(word.to_owned());
        let decision = once(Some(attempt), kept, now, || Ok(Decision::unchanged(word)), say)?;
        ledger.commit(&decision.plan).unwrap();
        Ok(decision.answer)
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
    fn the_same_request_under_the_same_key_has_the_same_answer_for_a_day() {
        let mut ledger = Ledger::default();
        let mut at = |now, request, word| attempts(&mut ledger, &attempt("ada", "k", request), now, word);
        let said = |text: &str, again| Ok(Said { text: text.to_owned(), again });
        assert_eq!(at(NOON, "one", "first"), said("first", false));
        let last = NOON + Duration::from_secs(24 * 60 * 60 - 1);
        assert_eq!(at(last, "one", "second"), said("first", true));
        assert_eq!(at(last, "two", "second"), Err(Reused));
        assert_eq!(at(NOON + KEPT, "two", "third"), said("third", false), "time to live deletes late");
        assert_eq!(at(NOON + KEPT, "one", "fourth"), Err(Reused));
    }

    #[test]
    fn keys_are_private_to_caller_and_scope() {
        let one = attempt("ada", "k", "r");
        let request = || Fingerprint::of("test", ["r"]);
        let elsewhere = Scope::Organization(OrganizationId::from_random([2; 16]));
        for other in [
            attempt("ad", "ak", "r"),
            attempt("bob", "k", "r"),
            attempt("ada", "K", "r"),
            Attempt::new(elsewhere, &user("ada"), &key("k"), request()),
            Attempt::new(Scope::User(user("ada")), &user("ada"), &key("k"), request()),
        ] {
            assert_ne!(one.id(), other.id());
        }
        assert_eq!(one, attempt("ada", "k", "r"));
    }

    #[test]
    fn of_twins_one_acts_and_the_other_fails_its_guard() {
        let ledger = Ledger::default();
        let twin = || {
            let act = || Ok::<_, Reused>(Decision::unchanged("done"));
            once(Some(&attempt("ada", "k", "r")), None, NOON, act, |word| Ok(word.to_owned())).unwrap().plan
        };
        let mut after = ledger.clone();
        after.commit(&twin()).unwrap();
        assert!(after.commit(&twin()).is_err());
    }

    #[test]
    fn without_a_key_nothing_is_kept_and_a_refusal_keeps_nothing() {
        let act = || Ok::<_, Reused>(Decision::unchanged("done"));
        let decision = once(None, None, NOON, act, |word| Ok(word.to_owned())).unwrap();
        assert!(decision.plan.changes().is_empty());
        let refuse = || Err::<Decision<()>, _>(Reused);
        assert!(once(Some(&attempt("ada", "k", "r")), None, NOON, refuse, |()| Ok(String::new())).is_err());
    }

    #[test]
    fn debug_shows_neither_key_nor_answer() {
        let id = attempt("ada", "secret", "r").id().clone();
        let answer = Answer { id, request: Fingerprint::of("t", []), text: "secret".to_owned(), until: NOON };
        assert!(!format!("{answer:?} {:?}", key("secret")).contains("secret"));
    }
}
