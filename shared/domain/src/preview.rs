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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given_invitee;
    use crate::{Generation, Status};

    fn preview() -> Preview {
        Preview { link: given_invitee().invitation.unwrap().link() }
    }

    #[test]
    fn shows_an_invitation_of_every_status_with_its_organization() {
        for status in Status::ALL {
            let setup = given_invitee().status(status);
            let expected = Previewed {
                organization: setup.organization.clone().unwrap(),
                invitation: setup.invitation.clone().unwrap(),
            };
            assert_eq!(setup.decide(&preview()), Ok(Decision::unchanged(expected)), "{status}");
        }
    }

    #[test]
    fn only_the_newest_link_shows_an_invitation() {
        for generation in [2, 4] {
            let link = Link { generation: Generation(generation), ..preview().link };
            assert_eq!(given_invitee().decide(&Preview { link }), Err(Refusal::Superseded), "{generation}");
        }
        assert_eq!(given_invitee().not_invited().decide(&preview()), Err(Refusal::Superseded));
    }
}
