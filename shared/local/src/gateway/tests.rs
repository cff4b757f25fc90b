use dynoxide::Database;

use http::HeaderMap;

use super::*;
use crate::{
    functions::fake::{FakeFunctions, failed},
    issuer::Person,
    state::State,
    testing::send,
};

struct World {
    gateway: Router,
    functions: Arc<FakeFunctions>,
    token: String,
}

async fn world(answer: impl Fn(&str) -> Result<Value, InvokeError> + Send + 'static) -> World {
    let state = State::open(Database::memory().unwrap()).unwrap();
    crate::issuer::keep_key(&state, crate::testing::key()).unwrap();
    let clock = LocalClock::new();
    let issuer = Issuer::start("http://127.0.0.1:4000", clock.clone(), state).unwrap();
    let ada =
        Person { sub: "ada".into(), email: Some("ada@acme.example".into()), email_verified: Some(true) };
    let token = issuer.token(&ada).await.unwrap();
    let functions = Arc::new(FakeFunctions::new(move |name, _| answer(name)));
    let gateway = Gateway::new(issuer, functions.clone(), clock).unwrap().router();
    World { gateway, functions, token }
}

impl World {
    fn request(&self, method: &str, path: &str) -> http::request::Builder {
        Request::builder()
            .method(method)
            .uri(path)
            .header("host", "127.0.0.1:4000")
            .header("authorization", format!("Bearer {}", self.token))
    }

    async fn send(&self, request: Request<Body>) -> (StatusCode, HeaderMap, String) {
        send(self.gateway.clone(), request).await
    }

    /// The event that the request becomes, and the function it goes to.
    async fn event(&self, request: Request<Body>) -> (String, Value) {
        let (status, _, body) = self.send(request).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        self.functions.calls().pop().unwrap()
    }
}

fn empty(builder: http::request::Builder) -> Request<Body> {
    builder.body(Body::empty()).unwrap()
}

async fn fine() -> World {
    world(|_| Ok(json!({"statusCode": 200, "body": "{}"}))).await
}

#[tokio::test]
async fn every_route_reaches_its_function() {
    let world = fine().await;
    for route in ROUTES.iter().chain(&*PAGES) {
        let path = route.pattern.replace(['{', '}'], "");
        let (function, event) = world.event(empty(world.request(route.method.as_str(), &path))).await;
        assert_eq!(function, route.function);
        assert_eq!(event["routeKey"], route.key());
        assert_eq!(event["requestContext"]["routeKey"], route.key());
        assert_eq!(event["rawPath"], path);
        assert_eq!(event["requestContext"].get("authorizer").is_some(), route.authorized, "{}", route.key());
    }
    assert_eq!(ROUTES.iter().filter(|route| !route.authorized).count(), 1);
    assert!(PAGES.iter().all(|route| !route.authorized && route.function == "console"));
}

#[tokio::test]
async fn the_claims_arrive_where_a_function_looks_for_them() {
    let world = fine().await;
    let (_, event) = world.event(empty(world.request("GET", "/v1/organizations"))).await;
    let jwt = &event["requestContext"]["authorizer"]["jwt"];
    assert_eq!(jwt["claims"]["sub"], "ada");
    assert_eq!(jwt["claims"]["email_verified"], "true");
    assert_eq!(jwt["scopes"], Value::Null);
}

#[tokio::test]
async fn an_event_has_the_shape_of_payload_2_0() {
    let world = fine().await;
    let request = world
        .request("GET", "/v1/organizations/org_1/members?role=a%2Cb&role=c&cursor=x+y%3D")
        .header("X-Twice", "1")
        .header("X-Twice", "2")
        .header("Cookie", "a=1; b=2")
        .header("User-Agent", "test/1");
    let (_, event) = world.event(empty(request)).await;
    assert_eq!(event["version"], "2.0");
    assert_eq!(event["rawQueryString"], "role=a%2Cb&role=c&cursor=x+y%3D");
    assert_eq!(event["queryStringParameters"], json!({"role": "a,b,c", "cursor": "x y="}));
    assert_eq!(event["pathParameters"], json!({"organization_id": "org_1"}));
    assert_eq!(event["headers"]["x-twice"], "1,2");
    assert_eq!(event["headers"]["x-forwarded-port"], "4000");
    assert_eq!(event["headers"].get("cookie"), None);
    assert_eq!(event["cookies"], json!(["a=1", "b=2"]));
    assert_eq!(event.get("body"), None);
    assert_eq!(event["isBase64Encoded"], false);
    let context = &event["requestContext"];
    assert_eq!(context["stage"], "$default");
    assert_eq!(context["domainName"], "127.0.0.1");
    assert_eq!(
        context["http"],
        json!({
            "method": "GET",
            "path": "/v1/organizations/org_1/members",
            "protocol": "HTTP/1.1",
            "sourceIp": "127.0.0.1",
            "userAgent": "test/1",
        })
    );
    assert!(context["timeEpoch"].as_i64().unwrap() > 1_700_000_000_000);
}

#[tokio::test]
async fn the_event_is_one_that_the_lambda_runtime_reads() {
    // What is left out and what is null differ here: without a query or a body the members are absent.
    let world = fine().await;
    let (_, event) = world.event(empty(world.request("GET", "/v1/organizations"))).await;
    for absent in ["queryStringParameters", "pathParameters", "cookies", "body"] {
        assert_eq!(event.get(absent), None, "{absent}");
    }
    assert_eq!(event["rawQueryString"], "");
}

#[tokio::test]
async fn a_path_is_decoded_once_and_an_encoded_slash_stays_in_its_segment() {
    let world = fine().await;
    let path = "/v1/organizations/org_1/members/auth0%7Ca%2Fb%2520c";
    let (function, event) = world.event(empty(world.request("DELETE", path))).await;
    assert_eq!(function, "remove");
    assert_eq!(event["pathParameters"]["user_id"], "auth0|a/b%20c");
    assert_eq!(event["rawPath"], "/v1/organizations/org_1/members/auth0|a/b%20c");
}

#[tokio::test]
async fn bodies_are_text_or_base64() {
    let world = fine().await;
    for (content_type, body, expected, encoded) in [
        (Some("application/json; charset=utf-8"), "{\"ü\":1}".as_bytes(), "{\"ü\":1}", false),
        (Some("text/plain"), b"a", "a", false),
        (None, b"a", "a", false),
        (Some("application/x-www-form-urlencoded"), b"a=1", "YT0x", true),
        (Some("application/octet-stream"), b"a", "YQ==", true),
        (Some("application/json"), b"\xff", "/w==", true),
    ] {
        let mut request = world.request("POST", "/v1/organizations");
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let (_, event) = world.event(request.body(Body::from(body)).unwrap()).await;
        assert_eq!(event["body"], expected, "{content_type:?}");
        assert_eq!(event["isBase64Encoded"], encoded, "{content_type:?}");
    }
}

#[tokio::test]
async fn what_has_no_route_is_not_found_before_anybody_asks_for_a_token() {
    let world = fine().await;
    for (method, path) in [
        ("GET", "/index.html"),
        ("POST", "/accept"),
        ("GET", "/assets/"),
        ("GET", "/assets/a/b"),
        ("GET", "/v1/organizations/"),
        ("PUT", "/v1/organizations"),
        ("GET", "/v1/invitations/preview"),
        ("GET", "/v1/organizations//members"),
    ] {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let (status, headers, body) = world.send(request).await;
        assert_eq!((status, body.as_str()), (StatusCode::NOT_FOUND, r#"{"message":"Not Found"}"#), "{path}");
        assert!(headers.contains_key("apigw-requestid"));
    }
    // A route is of one method, as at API Gateway; the answer to this one has no body.
    let head = Request::head("/").body(Body::empty()).unwrap();
    assert_eq!(world.send(head).await.0, StatusCode::NOT_FOUND);
    assert!(world.functions.calls().is_empty());
}

#[tokio::test]
async fn the_authorizer_refuses_before_the_function_is_called() {
    let world = fine().await;
    let request = Request::get("/v1/organizations").body(Body::empty()).unwrap();
    let (status, headers, body) = world.send(request).await;
    assert_eq!((status, body.as_str()), (StatusCode::UNAUTHORIZED, r#"{"message":"Unauthorized"}"#));
    assert_eq!(headers["www-authenticate"], "Bearer");

    let request = Request::get("/v1/organizations").header("authorization", "Bearer x.y.z");
    let (status, headers, _) = world.send(empty(request)).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(headers["www-authenticate"].to_str().unwrap().contains("invalid_token"));
    assert!(world.functions.calls().is_empty());
}

#[tokio::test]
async fn a_body_over_ten_megabytes_is_refused_and_one_of_ten_is_not() {
    let world = fine().await;
    for (size, expected) in
        [(BODY_BYTES_MAX, StatusCode::OK), (BODY_BYTES_MAX + 1, StatusCode::PAYLOAD_TOO_LARGE)]
    {
        let request = world.request("POST", "/v1/organizations").body(Body::from(vec![b' '; size])).unwrap();
        let (status, _, body) = world.send(request).await;
        assert_eq!(status, expected, "{body}");
    }
}

#[tokio::test]
async fn a_failed_function_is_an_internal_server_error() {
    for (answer, status) in [
        (Err(failed()), StatusCode::INTERNAL_SERVER_ERROR),
        (Err(InvokeError::TimedOut(std::time::Duration::from_secs(30))), StatusCode::SERVICE_UNAVAILABLE),
        (Ok(json!({"statusCode": 99})), StatusCode::INTERNAL_SERVER_ERROR),
        (Ok(json!({"statusCode": "fine"})), StatusCode::INTERNAL_SERVER_ERROR),
        (Ok(json!({"statusCode": 200, "body": {}})), StatusCode::INTERNAL_SERVER_ERROR),
        (Ok(json!({"statusCode": 200, "headers": {"a b": "c"}})), StatusCode::INTERNAL_SERVER_ERROR),
    ] {
        let world = world(move |_| answer.clone()).await;
        let (got, _, _) = world.send(empty(world.request("GET", "/v1/organizations"))).await;
        assert_eq!(got, status);
    }
}

#[tokio::test]
async fn an_answer_becomes_the_response_that_it_describes() {
    let world = world(|_| {
        Ok(json!({
            "statusCode": 409,
            "headers": {"Content-Type": "application/problem+json", "retry-after": 3},
            "multiValueHeaders": {},
            "cookies": ["a=1", "b=2"],
            "body": "e30=",
            "isBase64Encoded": true,
        }))
    })
    .await;
    let (status, headers, body) = world.send(empty(world.request("GET", "/v1/organizations"))).await;
    assert_eq!((status, body.as_str()), (StatusCode::CONFLICT, "{}"));
    assert_eq!(headers["content-type"], "application/problem+json");
    assert_eq!(headers["retry-after"], "3");
    assert_eq!(headers.get_all("set-cookie").iter().collect::<Vec<_>>(), ["a=1", "b=2"]);
}

#[tokio::test]
async fn an_answer_without_a_status_is_a_body() {
    let world = world(|_| Ok(json!({"a": 1}))).await;
    let (status, headers, body) = world.send(empty(world.request("GET", "/v1/organizations"))).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, r#"{"a":1}"#));
    assert_eq!(headers["content-type"], "application/json");
}

#[test]
fn times_are_written_as_in_an_access_log_and_as_in_a_date() {
    assert_eq!(clock_time(1_583_348_638_390), "04/Mar/2020:19:03:58 +0000");
    assert_eq!(http_date(1_583_348_638), "Wed, 04 Mar 2020 19:03:58 GMT");
}

#[test]
fn cargo_lambda_knows_the_same_routes() {
    let manifest = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml"));
    let manifest: Value = toml::from_str(manifest).unwrap();
    let router = &manifest["workspace"]["metadata"]["lambda"]["watch"]["router"];
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut told = Vec::new();
    for (pattern, routes) in router.as_object().unwrap() {
        for route in routes.as_array().unwrap() {
            let method = text(&route["method"]);
            told.push((format!("{method} {pattern}"), text(&route["function"])));
        }
    }
    let ours = ROUTES.iter().chain(&*PAGES);
    let mut ours: Vec<_> = ours.map(|route| (route.key(), route.function.to_owned())).collect();
    told.sort();
    ours.sort();
    assert_eq!(told, ours);
}
