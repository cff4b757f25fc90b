//! Preview: shows the invitation of a link. Changes nothing, and takes no sign-in.

use crate::{
    Action, Decision, Invitation, ItemKey, Link, Organization, Policy, Refusal, Snapshot, Timestamp,
};

/// The invitation of a link is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// The link, whose MAC was verified.
    pub link: Link,
}

/// An invitation and its organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Previewed {
    /// Where.
    pub organization: Organization,
    /// Which.
    pub invitation: Invitation,
}

impl Action for Preview {
    const NAME: &'static str = "preview";
    type Answer = Previewed;
    type Refusal = Refusal;

    fn reads(&self, _: Option<&Snapshot>) -> Vec<ItemKey> {
        vec![ItemKey::organization(&self.link.organization), ItemKey::linked(&self.link)]
    }

    fn decide(&self, snapshot: &Snapshot, _: &Policy, _: Timestamp) -> Result<Decision<Previewed>, Refusal> {
        let invitation = snapshot.newest(&self.link)?.clone();
        let organization = snapshot.organization(&self.link.organization);
        let organization = organization.ok_or(Refusal::Superseded)?.clone();
        Ok(Decision::unchanged(Previewed { organization, invitation }))
    }
}
