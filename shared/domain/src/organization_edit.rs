//! Organization-edit: an owner renames the organization.

use crate::{
    Action, Change, Decision, ItemKey, Organization, OrganizationId, OrganizationName, Permission, Policy,
    Refusal, Role, Snapshot, Timestamp, UserId,
};

/// Renames the organization. Only owners may do this. Setting the current name changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganizationEdit {
    /// The user who renames the organization.
    pub caller: UserId,
    /// The organization.
    pub organization: OrganizationId,
    /// The new name.
    pub name: OrganizationName,
}

impl Action for OrganizationEdit {
    const NAME: &'static str = "organization-edit";
    /// The caller's role, and the organization with its new name.
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
        let changes = vec![authority, Change::rename_organization(&organization.id, self.name.clone())];
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
    fn refuses_in_the_order_of_the_contract() {
        let not_a_member = given().caller_is_no_member();
        assert_eq!(not_a_member.renaming("Acme Inc"), Err(Refusal::NoSuchOrganization));
        let member = given().caller_is(Role::Member);
        let refused = Err(Refusal::NotPermitted(Permission::EditOrganization));
        assert_eq!(member.renaming("Acme Inc"), refused);
        assert_eq!(member.renaming("Acme"), refused, "also if the name stays the same");
    }

    #[test]
    fn renames_the_organization_and_asserts_the_owners_permission() {
        let decision = given().renaming("Acme Inc").unwrap();
        let (role, organization) = &decision.answer;
        let before = given().organization.unwrap();
        assert_eq!((*role, organization), (Role::Owner, &Organization { name: name("Acme Inc"), ..before }));
        assert!(asserts(&decision, "ada", Permission::EditOrganization));
        assert!(contains(&decision, &Change::rename_organization(&acme(), name("Acme Inc"))));
        assert_eq!(items(&decision).len(), 2);
    }

    #[test]
    fn setting_the_current_name_changes_nothing() {
        assert!(given().renaming("Acme").unwrap().changes.is_empty());
    }
}
