//! Organization-edit: an owner renames the organization.

use crate::{
    Action, Change, Decision, ItemKey, Organization, OrganizationId, OrganizationName, Permission, Policy,
    Refusal, Role, Snapshot, Timestamp, UserId,
};

/// An owner renames the organization. Setting the current name changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganizationEdit {
    /// Who.
    pub caller: UserId,
    /// Which.
    pub organization: OrganizationId,
    /// The name it gets.
    pub name: OrganizationName,
}

impl Action for OrganizationEdit {
    const NAME: &'static str = "organization-edit";
    /// The organization, and the caller's role in it.
    type Answer = (Role, Organization);
    type Refusal = Refusal;

    fn reads(&self, _: Option<&Snapshot>) -> Vec<ItemKey> {
        ItemKey::member_and_organization(&self.organization, &self.caller).into()
    }

    fn decide(
        &self,
        snapshot: &Snapshot,
        _: &Policy,
        _: Timestamp,
    ) -> Result<Decision<(Role, Organization)>, Refusal> {
        let (editor, organization) =
            snapshot.membership_and_organization(&self.organization, &self.caller)?;
        let authority = editor.require(Permission::EditOrganization)?;
        if organization.name == self.name {
            return Ok(Decision::unchanged((editor.role, organization.clone())));
        }
        let renamed = Organization { name: self.name.clone(), ..organization.clone() };
        let changes = vec![authority, Change::rename(&organization.id, self.name.clone())];
        Ok(Decision { changes, answer: (editor.role, renamed) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Given, acme, asserts, contains, given, items, user};

    fn name(text: &str) -> OrganizationName {
        OrganizationName::parse(text).unwrap()
    }

    impl Given {
        fn renaming(&self, to: &str) -> Result<Decision<(Role, Organization)>, Refusal> {
            self.decide(&OrganizationEdit { caller: user("ada"), organization: acme(), name: name(to) })
        }
    }

    #[test]
    fn refusals_come_in_the_order_of_the_contract() {
        let stranger = given().caller_is_a_stranger();
        assert_eq!(stranger.renaming("Acme Inc"), Err(Refusal::NoSuchOrganization));
        let member = given().caller_is(Role::Member);
        let refused = Err(Refusal::NotPermitted(Permission::EditOrganization));
        assert_eq!(member.renaming("Acme Inc"), refused);
        assert_eq!(member.renaming("Acme"), refused, "not even to what it is called");
    }

    #[test]
    fn an_owner_renames_it_and_the_commit_asserts_their_role() {
        let decision = given().renaming("Acme Inc").unwrap();
        let (role, organization) = &decision.answer;
        let before = given().organization.unwrap();
        assert_eq!((*role, organization), (Role::Owner, &Organization { name: name("Acme Inc"), ..before }));
        assert!(asserts(&decision, "ada", Permission::EditOrganization));
        assert!(contains(&decision, &Change::rename(&acme(), name("Acme Inc"))));
        assert_eq!(items(&decision).len(), 2);
    }

    #[test]
    fn renaming_it_to_what_it_is_called_changes_nothing() {
        assert!(given().renaming("Acme").unwrap().changes.is_empty());
    }
}
