//! The laptop (the local server that `cargo run` starts) with the developer's own identity provider.
//!
//! The provider is the issuer of another laptop: it has its own address, discovery document and key.

use harness::{Options, World};
use local::identity_provider::IssuerUrl;
use local::issuer::{AUDIENCE, Person as Claims};
use local::laptop::{OtherIssuer, StartError};
use serde_json::json;

fn accepting(issuer: &str, audience: &str) -> Options {
    let issuer = IssuerUrl::parse(issuer).expect("this is a URL");
    let audiences = vec![audience.to_owned()];
    Options { identity_provider: Some(OtherIssuer { issuer, audiences }), ..Options::default() }
}

#[tokio::test]
async fn a_user_of_the_other_identity_provider_accepts_an_invitation() {
    let provider = World::start().await;
    let world = World::with(accepting(provider.laptop().url(), AUDIENCE)).await;
    // Ada uses the laptop's own issuer.
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.invited(&acme, &ada, "bob@example.com", "member").await;
    let link_token = world.token_for("bob@example.com").await;

    let user = |email_verified| Claims {
        sub: "idp|bob".to_owned(),
        email: Some("bob@example.com".to_owned()),
        email_verified: Some(email_verified),
    };
    let issuer = provider.laptop().issuer();
    let unverified = world.anonymous().with_token(&issuer.token(&user(false)).await.unwrap());
    unverified.accepts(&link_token).await.refused(403, "email_not_verified");
    let bob = world.anonymous().with_token(&issuer.token(&user(true)).await.unwrap());
    assert_eq!(bob.accepts(&link_token).await.is(200)["user_id"], "idp|bob");
    // The token follows the machine's time, not the laptop's clock.
    world.advance(48 * 60 * 60).await;
    bob.gets_organization(&acme).await.is(200);
    world.finish().await;
    provider.finish().await;
}

#[tokio::test]
async fn refuses_tokens_for_another_audience_or_of_another_issuer() {
    let provider = World::start().await;
    let world = World::with(accepting(provider.laptop().url(), "my-api")).await;
    let claims = Claims { sub: "bob".to_owned(), email: None, email_verified: None };
    let token = provider.laptop().issuer().token(&claims).await.unwrap();
    let response = world.anonymous().with_token(&token).gets("/v1/organizations").await;
    let reason = "the token does not have a valid audience";
    assert!(response.headers["www-authenticate"].to_str().unwrap().contains(reason), "{response:?}");
    response.is(401);

    let other = World::start().await;
    let token = other.laptop().issuer().token(&claims).await.unwrap();
    let response = world.anonymous().with_token(&token).gets("/v1/organizations").await;
    let reason = "the token does not have a valid issuer";
    assert!(response.headers["www-authenticate"].to_str().unwrap().contains(reason), "{response:?}");
    assert_eq!(response.is(401), json!({ "message": "Unauthorized" }));
    for world in [world, provider, other] {
        world.finish().await;
    }
}

#[tokio::test]
async fn does_not_start_if_the_url_is_no_identity_provider() {
    let other = World::start().await;
    let options = accepting(&format!("{}/v1", other.laptop().url()), "my-api");
    let error = local::laptop::Laptop::start(options, |_| {}).await.err().expect("this is not a provider");
    assert!(matches!(error, StartError::IdentityProvider(_)), "{error}");
    assert!(error.to_string().contains("/v1/.well-known/openid-configuration"), "{error}");
    assert!(error.to_string().contains("--issuer"), "{error}");
    other.finish().await;
}
