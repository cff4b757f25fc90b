//! SES events, in the form that the template's EventBridge rules pass to `feedback`.

use domain::delivery::DeliveryUpdate;
use domain::{Generation, InvitationId, Link, OrganizationId, Timestamp};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// An SES event about a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The link in the mail, read from the mail's tags.
    pub link: Link,
    /// The delivery update that follows from the event.
    pub update: DeliveryUpdate,
}

/// The event is malformed. The error contains the path of the invalid field, but not its value, which may be an
/// address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the event cannot be read at {0}")]
pub struct InvalidEvent(String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEvent {
    kind: Kind,
    bounce: Option<String>,
    reason: Option<String>,
    #[serde(deserialize_with = "id_tag")]
    organization: OrganizationId,
    #[serde(deserialize_with = "id_tag")]
    invitation: InvitationId,
    #[serde(deserialize_with = "number_tag")]
    generation: u32,
    #[serde(deserialize_with = "number_tag")]
    expires_at: i64,
}

/// The kind of an SES event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The recipient's server accepted the mail.
    Delivery,
    /// The mail bounced.
    Bounce,
    /// The recipient reported the mail as spam.
    Complaint,
    /// SES accepted the mail, but did not send it.
    Reject,
}

/// Reads the one value of a tag. SES passes every tag as a list with one value.
fn tag_value<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let [value] = <[String; 1]>::deserialize(deserializer)?;
    Ok(value)
}

fn id_tag<'de, D, Id>(deserializer: D) -> Result<Id, D::Error>
where
    D: Deserializer<'de>,
    Id: Deserialize<'de>,
{
    Id::deserialize(serde::de::value::StringDeserializer::new(tag_value(deserializer)?))
}

fn number_tag<'de, D, Number>(deserializer: D) -> Result<Number, D::Error>
where
    D: Deserializer<'de>,
    Number: std::str::FromStr,
{
    tag_value(deserializer)?.parse().map_err(|_| serde::de::Error::custom("not a number"))
}

impl Event {
    /// Parses an event.
    pub fn read(event: Value) -> Result<Self, InvalidEvent> {
        let raw: RawEvent = serde_path_to_error::deserialize(event)
            .map_err(|error| InvalidEvent(error.path().to_string()))?;
        let invalid = |field: &str| InvalidEvent(field.to_owned());
        let update = match (raw.kind, &raw.bounce) {
            (Kind::Bounce, Some(bounce)) => {
                let detail = explain(bounce, raw.reason.as_deref());
                // SES also reports out-of-office replies as `Transient`.
                if bounce == "Transient" {
                    DeliveryUpdate::SoftBounced(detail)
                } else {
                    DeliveryUpdate::Bounced(detail)
                }
            }
            (Kind::Bounce, None) | (_, Some(_)) => return Err(invalid("bounce")),
            (_, None) if raw.reason.is_some() => return Err(invalid("reason")),
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
        Ok(Self { link, update })
    }
}

/// Returns the kind of `update` as the outcome of the invocation, for logs and metrics.
#[must_use]
pub fn kind(update: &DeliveryUpdate) -> &'static str {
    match update {
        DeliveryUpdate::Sent => "sent",
        DeliveryUpdate::Failed(_) => "failed",
        DeliveryUpdate::Rejected(_) => "reject",
        DeliveryUpdate::Delivered => "delivery",
        DeliveryUpdate::Bounced(_) | DeliveryUpdate::SoftBounced(_) => "bounce",
        DeliveryUpdate::Complained => "complaint",
    }
}

/// Explains a bounce to the people who see the invitation: the cause, and what they can do.
///
/// `bounce` is SES's bounce type and `reason` its subtype. SES's diagnostic text contains addresses, so the EventBridge
/// rules do not pass it on.
fn explain(bounce: &str, reason: Option<&str>) -> String {
    let detail = match (bounce, reason.unwrap_or_default()) {
        (_, "NoEmail") => "There is no such mailbox. Check the address and invite the right one.",
        (_, "Suppressed" | "OnAccountSuppressionList") => {
            "The mail service sends no mail to this address, because an earlier mail bounced or was reported as \
             spam. Use another address, or have this one removed from the suppression list."
        }
        (_, "MailboxFull") => {
            "The mailbox is full. Ask its owner to free some space, then resend the invitation."
        }
        (_, "MessageTooLarge" | "ContentRejected" | "AttachmentRejected") => {
            "The recipient's server rejected this mail. Ask its administrator to allow the mail, then resend the \
             invitation."
        }
        ("Permanent", _) => {
            "The recipient's server rejects mail to this address. Check the address, or ask the recipient."
        }
        ("Transient", _) => {
            "The recipient's server did not accept the mail in time. Resend the invitation later."
        }
        _ => "The mail could not be delivered. Check the address, then resend the invitation.",
    };
    detail.to_owned()
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

    fn event_with(kind: &str, field: &str, value: Value) -> Value {
        let mut event = event(kind);
        event[field] = value;
        event
    }

    #[test]
    fn reads_every_kind_of_event_as_an_update_of_the_tagged_mail() {
        let read = |event| Event::read(event).unwrap();
        assert_eq!(read(event("delivery")), Event { link: link(), update: DeliveryUpdate::Delivered });
        assert_eq!(read(event("complaint")), Event { link: link(), update: DeliveryUpdate::Complained });
        assert!(matches!(read(event("reject")).update, DeliveryUpdate::Rejected(_)));
        assert!(matches!(
            read(event_with("bounce", "bounce", json!("Permanent"))).update,
            DeliveryUpdate::Bounced(_)
        ));
        assert!(matches!(
            read(event_with("bounce", "bounce", json!("Transient"))).update,
            DeliveryUpdate::SoftBounced(_)
        ));
    }

    #[test]
    fn explains_what_to_do_about_a_bounce() {
        for (bounce, reason, expected) in [
            ("Permanent", Some("NoEmail"), "no such mailbox"),
            ("Permanent", Some("General"), "rejects mail"),
            ("Permanent", Some("OnAccountSuppressionList"), "suppression list"),
            ("Permanent", None, "rejects mail"),
            ("Transient", Some("MailboxFull"), "is full"),
            ("Transient", Some("ContentRejected"), "allow the mail"),
            ("Transient", Some("General"), "later"),
            ("Undetermined", Some("Undetermined"), "could not be delivered"),
            ("SomethingElse", None, "could not be delivered"),
        ] {
            let detail = explain(bounce, reason);
            assert!(detail.contains(expected), "{bounce} {reason:?}: {detail}");
        }
    }

    #[test]
    fn rejects_a_malformed_event_with_its_path_and_without_its_value() {
        for (event, path) in [
            (event_with("delivery", "kind", json!("open ada@x.example")), "kind"),
            (event_with("delivery", "organization", json!("ada@x.example")), "organization"),
            (event_with("delivery", "organization", json!(["ada@x.example"])), "organization"),
            (event_with("delivery", "organization", json!([])), "organization"),
            (
                event_with("delivery", "invitation", json!([link().invitation, link().invitation])),
                "invitation",
            ),
            (event_with("delivery", "generation", json!(["-1"])), "generation"),
            (event_with("delivery", "generation", json!(["ada@x.example"])), "generation"),
            (event_with("delivery", "expires_at", json!(["soon"])), "expires_at"),
            (event_with("delivery", "mail", json!("ada@x.example")), "mail"),
            (event_with("delivery", "bounce", json!("Permanent")), "bounce"),
            (event_with("delivery", "reason", json!("General")), "reason"),
            (event("bounce"), "bounce"),
            (json!({ "kind": "delivery" }), "."),
            (json!("ada@x.example"), "."),
        ] {
            let error = Event::read(event.clone()).unwrap_err().to_string();
            assert_eq!(error, format!("the event cannot be read at {path}"), "{event}");
        }
    }
}
