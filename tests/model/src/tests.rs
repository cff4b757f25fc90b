use super::*;

fn assert_all_properties_hold(name: &str) {
    let bounds = all(0).into_iter().find(|bounds| bounds.name == name).expect("the bounds exist");
    let Report { states, broken, .. } = check(bounds);
    assert!(states > 100_000, "{states} states are too few for a useful check");
    let broken: Vec<_> = broken.iter().map(|(property, path)| format!("BROKEN {property}\n{path}")).collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn holds_while_owners_edit_roles_and_remove_each_other() {
    assert_all_properties_hold("people");
}

#[test]
#[ignore = "takes half a minute; .ci/run runs it"]
fn holds_while_two_owners_invite_to_the_last_seats() {
    assert_all_properties_hold("seats");
}

#[test]
#[ignore = "takes half a minute; .ci/run runs it"]
fn holds_while_a_user_accepts_the_invitations_of_two_addresses() {
    assert_all_properties_hold("addresses");
}

#[test]
#[ignore = "takes half a minute; .ci/run runs it"]
fn holds_with_every_fault_between_invite_and_mail() {
    assert_all_properties_hold("outbox");
}

#[test]
fn holds_with_every_fault_of_schedule_and_expiry() {
    assert_all_properties_hold("timers");
}
