use super::*;

fn assert_sound(name: &str) {
    let bounds =
        all(0).into_iter().find(|bounds| bounds.name == name).expect("there are bounds of that name");
    let Report { states, broken, .. } = check(bounds);
    assert!(states > 100_000, "{states} states are too few to mean anything");
    let broken: Vec<_> = broken.iter().map(|(property, path)| format!("BROKEN {property}\n{path}")).collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn owners_edit_roles_and_remove_each_other() {
    assert_sound("people");
}

#[test]
#[ignore = "takes half a minute: .ci/run"]
fn two_owners_invite_to_the_last_seats() {
    assert_sound("seats");
}

#[test]
#[ignore = "takes half a minute: .ci/run"]
fn everything_goes_wrong_on_the_way_to_the_invitee() {
    assert_sound("outbox");
}

#[test]
fn everything_goes_wrong_about_the_expiry() {
    assert_sound("timers");
}
