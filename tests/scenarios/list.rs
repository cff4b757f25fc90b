//! `GET /v1/organizations` and the lists below it.

use std::collections::BTreeSet;

use domain::{Policy, Role};
use harness::{
    Fault, Fixtures, Organization, Person, TWO_DAYS, World, assert_fields, assert_invitation, assert_member,
    assert_organization, id,
};
use serde_json::{Value, json};

/// Returns the values of a field in all items, sorted.
fn all_of(items: &[Value], field: &str) -> Vec<String> {
    let mut values: Vec<_> = items.iter().map(|item| item[field].as_str().unwrap().to_owned()).collect();
    values.sort_unstable();
    values
}

/// Creates an organization with one invitation of every status, and another expired one that is not closed.
async fn with_every_status(world: &World, ada: &Person) -> Organization {
    let acme = world.founded_by(ada).await;
    world.invited(&acme, ada, "expired@example.com", "member").await;
    let late = world.invited(&acme, ada, "late@example.com", "member").await;
    world.delete_schedule(&acme, &late).await;
    world.advance(TWO_DAYS).await;
    let revoked = world.invited(&acme, ada, "revoked@example.com", "owner").await;
    ada.revokes(&acme, id(&revoked)).await.is(204);
    world.invited(&acme, ada, "declined@example.com", "member").await;
    let token = world.token_for("declined@example.com").await;
    world.person("declined").declines(&token).await.is(204);
    world.joined(&acme, ada, "removed", "member").await;
    ada.removes(&acme, "removed").await.is(204);
    world.joined(&acme, ada, "accepted", "owner").await;
    world.invited(&acme, ada, "pending@example.com", "member").await;
    world.wait_until_idle().await;
    acme
}

#[tokio::test]
async fn lists_only_the_callers_organizations() {
    let world = World::start().await;
    let (ada, eve) = (world.person("ada"), world.person("eve"));
    let (acme, evil) = (world.founded_by(&ada).await, world.founded_by(&eve).await);
    let page = ada.lists_organizations().await.is(200);
    let expected =
        json!({ "items": [{ "id": acme.id, "name": "Acme", "role": "owner" }], "next_cursor": null });
    assert_eq!(page, expected);
    world.invited(&evil, &eve, "ada@example.com", "member").await;
    assert_eq!(ada.lists_organizations().await.is(200), expected, "a pending invitation is not a membership");
    let token = world.token_for("ada@example.com").await;
    ada.accepts(&token).await.is(200);
    let roles: BTreeSet<_> = ada.lists_organizations().await.items().iter().map(Value::to_string).collect();
    assert_eq!(roles.len(), 2);
    assert!(roles.contains(&json!({ "id": evil.id, "name": "Acme", "role": "member" }).to_string()));
    ada.leaves(&evil).await.is(204);
    assert_eq!(ada.lists_organizations().await.is(200), expected);
    let nothing = json!({ "items": [], "next_cursor": null });
    assert_eq!(world.signed_in("new", json!({})).lists_organizations().await.is(200), nothing);
    // A user id that is a prefix of another one is a different user.
    assert_eq!(world.person("ad").lists_organizations().await.is(200), nothing);
    world.finish().await;
}

#[tokio::test]
async fn an_organization_shows_the_callers_role() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let bob = world.joined(&acme, &ada, "bob", "member").await;
    let (one, other) =
        (ada.gets_organization(&acme).await.is(200), bob.gets_organization(&acme).await.is(200));
    assert_organization(&one);
    let mut as_member = one.clone();
    as_member["role"] = json!("member");
    assert_eq!(other, as_member);
    assert_eq!(one["seats"], json!({ "total": 1000, "taken": 2, "free": 998 }));
    world.finish().await;
}

#[tokio::test]
async fn a_member_sees_members_and_invitations_without_links() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = with_every_status(&world, &ada).await;
    let bob = world.joined(&acme, &ada, "bob", "member").await;
    // Reading does not require an e-mail claim.
    let bob_without_address = world.signed_in("bob", json!({}));
    for reader in [&ada, &bob, &bob_without_address] {
        let members = reader.lists_members(&acme, "").await.items();
        members.iter().for_each(assert_member);
        assert_eq!(all_of(&members, "user_id"), ["accepted", "ada", "bob"]);
        let response = reader.lists_invitations(&acme, "").await;
        let text = response.body.to_string();
        let invitations = response.items();
        invitations.iter().for_each(assert_invitation);
        assert_eq!(invitations.len(), 9);
        for word in ["token", "link", "http", "mac", "v1."] {
            assert!(!text.contains(word), "s19: {word} in {text}");
        }
    }
    world.finish().await;
}

#[tokio::test]
async fn filters_invitations_by_their_current_status() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = with_every_status(&world, &ada).await;
    let of = async |status: &str| {
        let items = ada.lists_invitations(&acme, &format!("?status={status}")).await.items();
        assert!(items.iter().all(|item| item["status"] == status), "{status}");
        all_of(&items, "email")
    };
    assert_eq!(of("pending").await, ["pending@example.com"]);
    assert_eq!(of("accepted").await, ["accepted@example.com", "ada@example.com"]);
    assert_eq!(of("revoked").await, ["revoked@example.com"]);
    assert_eq!(of("declined").await, ["declined@example.com"]);
    assert_eq!(of("removed").await, ["removed@example.com"]);
    assert_eq!(of("expired").await, ["expired@example.com", "late@example.com"]);
    // Paging works with a filter.
    let path = acme.path("/invitations?status=expired");
    assert_eq!(all_of(&ada.reads_all(&path, 1).await, "email"), ["expired@example.com", "late@example.com"]);
    assert_eq!(ada.reads_all(&acme.path("/invitations"), 1).await.len(), 8);
    world.finish().await;
}

#[tokio::test]
async fn an_invitation_shows_that_its_mail_failed() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.wire().inject_fault("SendEmail", Fault::Refused("MessageRejected"), 1);
    let invitation = world.invited(&acme, &ada, "bob@example.com", "member").await;
    world.wait_until_idle().await;
    let listed = ada.finds_invitation(&acme, "bob@example.com").await;
    assert_invitation(&listed);
    assert_eq!((&listed["delivery"], &listed["status"]), (&json!("failed"), &json!("pending")));
    assert_eq!(listed["sent_at"], Value::Null);
    assert!(listed["delivery_detail"].as_str().is_some_and(|detail| detail.ends_with('.')), "{listed}");
    assert_eq!(ada.counts_seats(&acme).await, (2, 998));
    // A resend creates a new mail and removes the detail of the failed one.
    let again = ada.resends(&acme, id(&invitation)).await.is(200);
    assert_invitation(&again);
    assert_eq!((&again["delivery"], again.get("delivery_detail")), (&json!("queued"), None));
    world.wait_until_idle().await;
    assert_eq!(ada.finds_invitation(&acme, "bob@example.com").await["delivery"], "sent");
    world.finish().await;
}

#[tokio::test]
async fn filters_members_by_role() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    for (name, role) in [("bob", "member"), ("eve", "member"), ("olga", "owner")] {
        world.joined(&acme, &ada, name, role).await;
    }
    let owners = ada.lists_members(&acme, "?role=owner").await.items();
    assert_eq!(all_of(&owners, "user_id"), ["ada", "olga"]);
    let members = ada.lists_members(&acme, "?role=member").await.items();
    assert_eq!(all_of(&members, "user_id"), ["bob", "eve"]);
    let members = ada.reads_all(&acme.path("/members?role=member"), 1).await;
    assert_eq!(all_of(&members, "user_id"), ["bob", "eve"]);
    assert_eq!(ada.reads_all(&acme.path("/members"), 1).await.len(), 4);
    world.finish().await;
}

#[tokio::test]
async fn a_list_of_many_pages_shows_every_item_once() {
    let world = World::start().await;
    let mut fixtures = Fixtures::new(Policy::default(), world.now());
    let acme = fixtures.founds("ada");
    let members: Vec<_> = (0..120).map(|number| format!("member{number:03}")).collect();
    for name in &members {
        fixtures.joins(&acme, "ada", name, Role::Member);
    }
    let guests: Vec<_> = (0..5).map(|number| format!("guest{number}")).collect();
    for name in &guests {
        fixtures.invites(&acme, "ada", name, Role::Owner);
    }
    world.load(&fixtures).await;
    let ada = world.person("ada");
    let address = |name: &String| format!("{name}@example.com");
    let emails: Vec<_> = members.iter().map(address).collect();
    let pending: Vec<_> = guests.iter().map(address).collect();
    let mut all_members = [emails.as_slice(), &["ada@example.com".to_owned()]].concat();
    all_members.sort_unstable();

    let all = ada.reads_all(&acme.path("/members"), 50).await;
    assert_eq!(all_of(&all, "email"), all_members);
    let page = ada.lists_members(&acme, "").await.items();
    assert_eq!(page, all[..50], "the default limit is 50, and the order is the same");
    assert_eq!(ada.reads_all(&acme.path("/members"), 7).await, all);
    assert_eq!(ada.lists_members(&acme, "?limit=1000").await.items(), all);
    assert_eq!(all_of(&ada.reads_all(&acme.path("/members?role=member"), 50).await, "email"), emails);

    let mut invited = [all_members, pending.clone()].concat();
    invited.sort_unstable();
    let all = ada.reads_all(&acme.path("/invitations"), 50).await;
    assert_eq!(all_of(&all, "email"), invited);
    assert_eq!(ada.lists_invitations(&acme, "").await.items(), all[..50]);
    for limit in [2, 50] {
        let path = acme.path("/invitations?status=pending");
        assert_eq!(all_of(&ada.reads_all(&path, limit).await, "email"), pending, "{limit}");
    }
    world.finish().await;
}

#[tokio::test]
async fn lists_each_of_many_organizations_once() {
    let world = World::start().await;
    let ada = world.person("ada");
    let mut ids = Vec::new();
    for _ in 0..7 {
        ids.push(world.founded_by(&ada).await.id);
    }
    ids.sort_unstable();
    for limit in [1, 3, 7, 50] {
        let items = ada.reads_all("/v1/organizations", limit).await;
        for item in &items {
            assert_fields(item, &["id", "name", "role"]);
        }
        assert_eq!(all_of(&items, "id"), ids, "{limit}");
    }
    world.finish().await;
}

#[tokio::test]
async fn a_limit_is_from_1_to_1000() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let lists = ["/v1/organizations".to_owned(), acme.path("/members"), acme.path("/invitations")];
    for list in &lists {
        for limit in ["1", "1000"] {
            assert_eq!(ada.gets(&format!("{list}?limit={limit}")).await.items().len(), 1);
        }
        for limit in
            ["0", "1001", "-1", "", "x", "1.5", "1e3", "0x10", "99999999999999999999999", "%20", "1%00"]
        {
            let response = ada.gets(&format!("{list}?limit={limit}")).await;
            assert_eq!(response.pointers(), ["/limit"], "{limit}: {}", response.body);
            response.refused(400, "malformed_request");
        }
        ada.gets(&format!("{list}?limit=1&limit=2")).await.refused(400, "malformed_request");
    }
    world.finish().await;
}

#[tokio::test]
async fn s07_refuses_unknown_roles_and_statuses() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    for role in ["admin", "Owner", "OWNER", "owner,member", "", "%20owner", "owner%00"] {
        let response = ada.lists_members(&acme, &format!("?role={role}")).await;
        assert_eq!(response.pointers(), ["/role"], "{role}");
        response.refused(400, "malformed_request");
    }
    ada.lists_members(&acme, "?role=owner&role=member").await.refused(400, "malformed_request");
    for status in ["open", "Pending", "pending,expired", "", "superseded"] {
        let response = ada.lists_invitations(&acme, &format!("?status={status}")).await;
        assert_eq!(response.pointers(), ["/status"], "{status}");
        response.refused(400, "malformed_request");
    }
    world.finish().await;
}

#[tokio::test]
async fn s33_refuses_the_cursor_of_another_list() {
    let world = World::start().await;
    let ada = world.person("ada");
    let (acme, other) = (world.founded_by(&ada).await, world.founded_by(&ada).await);
    for organization in [&acme, &other] {
        world.joined(organization, &ada, "bob", "member").await;
    }
    let bob = world.person("bob");
    let cursor = async |path: &str| {
        let page = ada.gets(&format!("{path}?limit=1")).await.is(200);
        page["next_cursor"].as_str().unwrap().to_owned()
    };
    let lists = [
        "/v1/organizations".to_owned(),
        acme.path("/members"),
        acme.path("/invitations"),
        other.path("/members"),
        other.path("/invitations"),
    ];
    for list in &lists {
        for of in &lists {
            let response = ada.gets(&format!("{list}?cursor={}", cursor(of).await)).await;
            if list == of {
                assert_eq!(response.items().len(), 1);
            } else {
                response.refused(400, "bad_cursor");
            }
        }
        let own = cursor(list).await;
        let made_up = [
            "",
            "x",
            "1",
            "null",
            "%00",
            "====",
            "ü",
            "LTE",
            "bWVtYmVycw",
            "e30",
            &own[1..],
            &own[..own.len() - 1],
            &format!("{own}A"),
            &format!("{own}="),
            &own.to_uppercase(),
            &"A".repeat(5000),
        ]
        .map(|text| text.replace('ü', "%C3%BC"));
        for text in made_up {
            ada.gets(&format!("{list}?cursor={text}")).await.refused(400, "bad_cursor");
        }
        ada.gets(&format!("{list}?cursor={own}&cursor={own}")).await.refused(400, "bad_cursor");
    }
    // The list of organizations belongs to one caller. The other lists are the same for all members.
    bob.gets(&format!("/v1/organizations?cursor={}", cursor("/v1/organizations").await))
        .await
        .refused(400, "bad_cursor");
    bob.gets(&format!("{}?cursor={}", lists[1], cursor(&lists[1]).await)).await.items();
    world.finish().await;
}

#[tokio::test]
async fn a_cursor_works_after_its_item_was_removed() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    for name in ["bob", "eve", "zoe"] {
        world.joined(&acme, &ada, name, "member").await;
    }
    let first = ada.lists_members(&acme, "?role=member&limit=1").await.is(200);
    let gone = first["items"][0]["user_id"].as_str().unwrap();
    ada.removes(&acme, gone).await.is(204);
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = ada.lists_members(&acme, &format!("?role=member&cursor={cursor}")).await.items();
    let mut all = all_of(&rest, "user_id");
    all.push(gone.to_owned());
    all.sort_unstable();
    assert_eq!(all, ["bob", "eve", "zoe"]);
    world.finish().await;
}

#[tokio::test]
async fn s20_a_stranger_lists_nothing() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.joined(&acme, &ada, "bob", "member").await;
    // An invitee who has not accepted is a stranger, too.
    world.invited(&acme, &ada, "eve@example.com", "owner").await;
    let eve = world.person("eve");
    let page = ada.lists_members(&acme, "?limit=1").await.is(200);
    let cursor = page["next_cursor"].as_str().unwrap();
    let stranger = eve.gets_organization(&acme).await.refused(404, "organization_not_found");
    let mut organizations = vec![acme.clone()];
    for nowhere in [
        "org_00000000000000000000000000",
        "nowhere",
        "%41",
        "a/b",
        "ü |",
        "\u{0}",
        "inv_00000000000000000000000000",
    ] {
        organizations.push(Organization::new(nowhere));
    }
    for organization in &organizations {
        for response in [
            eve.gets_organization(organization).await,
            eve.lists_members(organization, "").await,
            eve.lists_members(organization, "?role=owner&limit=1000").await,
            eve.lists_invitations(organization, "").await,
            eve.lists_invitations(organization, "?status=pending").await,
        ] {
            assert_eq!(response.refused(404, "organization_not_found"), stranger);
        }
    }
    eve.lists_members(&acme, &format!("?cursor={cursor}")).await.refused(404, "organization_not_found");
    world.finish().await;
}

#[tokio::test]
async fn refuses_with_the_first_error_in_the_documented_order() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let eve = world.person("eve");
    for path in
        ["/members?role=admin", "/members?limit=0", "/invitations?status=open", "/invitations?limit=0"]
    {
        eve.gets(&acme.path(path)).await.refused(400, "malformed_request");
    }
    for path in ["/members?cursor=x", "/invitations?cursor=x"] {
        eve.gets(&acme.path(path)).await.refused(400, "bad_cursor");
    }
    world.finish().await;
}
