//! The events, as the rules of the template hand them over.

use domain::delivery::DeliveryUpdate;
use domain::{Generation, InvitationId, Link, OrganizationId, Timestamp};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// What happened to which mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The mail's link, by its ids.
    pub link: Link,
    /// What happened.
    pub mark: DeliveryUpdate,
}

/// An event that is none. It says where and never what stood there, since that may be anybody's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the event cannot be read at {0}")]
pub struct InvalidEvent(String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    kind: Kind,
    bounce: Option<String>,
    reason: Option<String>,
    #[serde(deserialize_with = "tag")]
    organization: OrganizationId,
    #[serde(deserialize_with = "tag")]
    invitation: InvitationId,
    #[serde(deserialize_with = "number")]
    generation: u32,
    #[serde(deserialize_with = "number")]
    expires_at: i64,
}

/// What SES tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The recipient's server took the mail.
    Delivery,
    /// It came back.
    Bounce,
    /// The recipient called it spam.
    Complaint,
    /// SES took it and did not send it.
    Reject,
}

/// SES gives every tag as a list, which holds one value.
fn only<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let [value] = <[String; 1]>::deserialize(deserializer)?;
    Ok(value)
}

fn tag<'de, D, Id>(deserializer: D) -> Result<Id, D::Error>
where
    D: Deserializer<'de>,
    Id: Deserialize<'de>,
{
    Id::deserialize(serde::de::value::StringDeserializer::new(only(deserializer)?))
}

fn number<'de, D, Number>(deserializer: D) -> Result<Number, D::Error>
where
    D: Deserializer<'de>,
    Number: std::str::FromStr,
{
    only(deserializer)?.parse().map_err(|_| serde::de::Error::custom("not a number"))
}

impl Event {
    /// Reads what EventBridge handed over.
    pub fn read(event: Value) -> Result<Self, InvalidEvent> {
        let raw: Raw = serde_path_to_error::deserialize(event)
            .map_err(|error| InvalidEvent(error.path().to_string()))?;
        let at = |field: &str| InvalidEvent(field.to_owned());
        let mark = match (raw.kind, &raw.bounce) {
            (Kind::Bounce, Some(bounce)) => {
                let said = explain(bounce, raw.reason.as_deref());
                // SES calls notices of absence `Transient` too.
                if bounce == "Transient" {
                    DeliveryUpdate::Returned(said)
                } else {
                    DeliveryUpdate::Bounced(said)
                }
            }
            (Kind::Bounce, None) | (_, Some(_)) => return Err(at("bounce")),
            (_, None) if raw.reason.is_some() => return Err(at("reason")),
            (Kind::Delivery, None) => DeliveryUpdate::Delivered,
            (Kind::Complaint, None) => DeliveryUpdate::Complained,
            (Kind::Reject, None) => DeliveryUpdate::Rejected(
                "The mail service found malicious content and did not send the mail.".to_owned(),
            ),
        };
        let expires_at = Timestamp::from_unix(raw.expires_at);
        let generation = Generation(raw.generation);
        let link =
            Link { organization: raw.organization, invitation: raw.invitation, generation, expires_at };
        Ok(Self { link, mark })
    }
}

/// The mark's kind, for logs.
#[must_use]
pub fn kind(mark: &DeliveryUpdate) -> &'static str {
    match mark {
        DeliveryUpdate::Sent => "sent",
        DeliveryUpdate::Failed(_) => "failed",
        DeliveryUpdate::Rejected(_) => "reject",
        DeliveryUpdate::Delivered => "delivery",
        DeliveryUpdate::Bounced(_) | DeliveryUpdate::Returned(_) => "bounce",
        DeliveryUpdate::Complained => "complaint",
    }
}

/// A bounce by SES's type and subtype, for whoever sees it on the invitation: what is the matter, and what to
/// do about it. SES's own diagnostic text holds addresses, so it never comes this far.
fn explain(bounce: &str, reason: Option<&str>) -> String {
    let said = match (bounce, reason.unwrap_or_default()) {
        (_, "NoEmail") => "There is no such mailbox. Check the address and invite the right one.",
        (_, "Suppressed" | "OnAccountSuppressionList") => {
            "Mail to this address bounced before, or its owner called it spam, so that none is sent there. Ask \
             them for another address, or have it taken off the suppression list."
        }
        (_, "MailboxFull") => "The mailbox is full. Ask its owner to make room, then resend the invitation.",
        (_, "MessageTooLarge" | "ContentRejected" | "AttachmentRejected") => {
            "The recipient's server does not take this mail. Ask whoever runs it to let it through, then \
             resend the invitation."
        }
        ("Permanent", _) => {
            "The recipient's server refuses mail to this address. Check the address, and ask its owner."
        }
        ("Transient", _) => "The recipient's server took no mail for too long. Resend the invitation later.",
        _ => "The mail came back. Check the address, then resend the invitation.",
    };
    said.to_owned()
}

#[cfg(test)]
mod tests {
    use domain::EmailAddress;
    use serde_json::json;

    use super::*;

    fn link() -> Link {
        let organization = OrganizationId::from_random([7; 16]);
        let invitation = InvitationId::of(&organization, &EmailAddress::parse("ada@x.example").unwrap());
        let (generation, expires_at) = (Generation(3), Timestamp::from_unix(1_795_701_900));
        Link { organization, invitation, generation, expires_at }
    }

    fn event(kind: &str) -> Value {
        let link = link();
        json!({
            "kind": kind,
            "organization": [link.organization],
            "invitation": [link.invitation],
            "generation": ["3"],
            "expires_at": ["1795701900"],
        })
    }

    fn with(kind: &str, field: &str, value: Value) -> Value {
        let mut event = event(kind);
        event[field] = value;
        event
    }

    #[test]
    fn every_kind_is_a_mark_of_the_mail_that_the_tags_name() {
        let read = |event| Event::read(event).unwrap();
        assert_eq!(read(event("delivery")), Event { link: link(), mark: DeliveryUpdate::Delivered });
        assert_eq!(read(event("complaint")), Event { link: link(), mark: DeliveryUpdate::Complained });
        assert!(matches!(read(event("reject")).mark, DeliveryUpdate::Rejected(_)));
        assert!(matches!(
            read(with("bounce", "bounce", json!("Permanent"))).mark,
            DeliveryUpdate::Bounced(_)
        ));
        assert!(matches!(
            read(with("bounce", "bounce", json!("Transient"))).mark,
            DeliveryUpdate::Returned(_)
        ));
    }

    #[test]
    fn a_bounce_says_what_to_do_about_it() {
        for (bounce, reason, says) in [
            ("Permanent", Some("NoEmail"), "no such mailbox"),
            ("Permanent", Some("General"), "refuses mail"),
            ("Permanent", Some("OnAccountSuppressionList"), "suppression list"),
            ("Permanent", None, "refuses mail"),
            ("Transient", Some("MailboxFull"), "is full"),
            ("Transient", Some("ContentRejected"), "let it through"),
            ("Transient", Some("General"), "later"),
            ("Undetermined", Some("Undetermined"), "came back"),
            ("SomethingElse", None, "came back"),
        ] {
            let said = explain(bounce, reason);
            assert!(said.contains(says), "{bounce} {reason:?}: {said}");
        }
    }

    #[test]
    fn what_is_no_event_is_refused_by_where_and_not_by_what() {
        for (event, at) in [
            (with("delivery", "kind", json!("open ada@x.example")), "kind"),
            (with("delivery", "organization", json!("ada@x.example")), "organization"),
            (with("delivery", "organization", json!(["ada@x.example"])), "organization"),
            (with("delivery", "organization", json!([])), "organization"),
            (with("delivery", "invitation", json!([link().invitation, link().invitation])), "invitation"),
            (with("delivery", "generation", json!(["-1"])), "generation"),
            (with("delivery", "generation", json!(["ada@x.example"])), "generation"),
            (with("delivery", "expires_at", json!(["soon"])), "expires_at"),
            (with("delivery", "mail", json!("ada@x.example")), "mail"),
            (with("delivery", "bounce", json!("Permanent")), "bounce"),
            (with("delivery", "reason", json!("General")), "reason"),
            (event("bounce"), "bounce"),
            (json!({ "kind": "delivery" }), "."),
            (json!("ada@x.example"), "."),
        ] {
            let error = Event::read(event.clone()).unwrap_err().to_string();
            assert_eq!(error, format!("the event cannot be read at {at}"), "{event}");
        }
    }
}
