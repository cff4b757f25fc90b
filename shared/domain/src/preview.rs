//! Preview: shows the invitation of a link. It changes nothing and needs no sign-in.

use crate::{
    Action, Decision, Invitation, ItemKey, Link, Organization, Policy, Refusal, Snapshot, Timestamp,
};

/// Shows the invitation of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// The link. Its MAC is already verified.
    pub link: Link,
}

/// An invitation and its organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Previewed {
    /// The organization.
    pub organization: Organization,
    /// The invitation.
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
