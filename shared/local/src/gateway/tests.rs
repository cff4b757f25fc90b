use dynoxide::Database;

use http::HeaderMap;

use super::*;
use crate::{
    functions::fake::{FakeFunctions, failed},
    issuer::{Issuer, Person},
    state::State,
    testing::send,
};

struct Fixture {
    gateway: Router,
    functions: Arc<FakeFunctions>,
    token: String,
}

/// Creates a gateway. All its functions return `result`.
async fn fixture(result: impl Fn(&str) -> Result<Value, InvokeError> + Send + 'static) -> Fixture {
    let state = State::open(Database::memory().unwrap()).unwrap();
    crate::issuer::store_key(&state, crate::testing::key()).unwrap();
    let clock = LocalClock::new();
    let issuer = Issuer::start("http://127.0.0.1:4000", clock.clone(), state).unwrap();
    let ada =
        Person { sub: "ada".into(), email: Some("ada@acme.example".into()), email_verified: Some(true) };
    let token = issuer.token(&ada).await.unwrap();
    let functions = Arc::new(FakeFunctions::new(move |name, _| result(name)));
    let gateway = Gateway::new(Authorizer::new(issuer, None), functions.clone(), clock).unwrap().router();
    Fixture { gateway, functions, token }
}

impl Fixture {
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

    /// Sends a request. Returns the function that the gateway invoked, and the event.
    async fn event(&self, request: Request<Body>) -> (String, Value) {
        let (status, _, body) = self.send(request).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        self.functions.calls().pop().unwrap()
    }
}

fn without_body(builder: http::request::Builder) -> Request<Body> {
    builder.body(Body::empty()).unwrap()
}

async fn successful() -> Fixture {
    fixture(|_| Ok(json!({"statusCode": 200, "body": "{}"}))).await
}

#[tokio::test]
async fn routes_each_request_to_its_function() {
    let fixture = successful().await;
    for route in ROUTES.iter().chain(&*PAGES) {
        let path = route.pattern.replace(['{', '}'], "");
        let (function, event) =
            fixture.event(without_body(fixture.request(route.method.as_str(), &path))).await;
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
async fn claims_are_in_the_authorizer_context_of_the_event() {
    let fixture = successful().await;
    let (_, event) = fixture.event(without_body(fixture.request("GET", "/v1/organizations"))).await;
    let jwt = &event["requestContext"]["authorizer"]["jwt"];
    assert_eq!(jwt["claims"]["sub"], "ada");
    assert_eq!(jwt["claims"]["email_verified"], "true");
    assert_eq!(jwt["scopes"], Value::Null);
}

#[tokio::test]
async fn event_has_payload_format_2_0() {
    let fixture = successful().await;
    let request = fixture
        .request("GET", "/v1/organizations/org_1/members?role=a%2Cb&role=c&cursor=x+y%3D")
        .header("X-Twice", "1")
        .header("X-Twice", "2")
        .header("Cookie", "a=1; b=2")
        .header("User-Agent", "test/1");
    let (_, event) = fixture.event(without_body(request)).await;
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
async fn event_without_query_and_body_has_no_such_members() {
    // These members must be absent, not null.
    let fixture = successful().await;
    let (_, event) = fixture.event(without_body(fixture.request("GET", "/v1/organizations"))).await;
    for absent in ["queryStringParameters", "pathParameters", "cookies", "body"] {
        assert_eq!(event.get(absent), None, "{absent}");
    }
    assert_eq!(event["rawQueryString"], "");
}

#[tokio::test]
async fn decodes_a_path_once_and_keeps_an_encoded_slash_in_its_segment() {
    let fixture = successful().await;
    let path = "/v1/organizations/org_1/members/auth0%7Ca%2Fb%2520c";
    let (function, event) = fixture.event(without_body(fixture.request("DELETE", path))).await;
    assert_eq!(function, "remove");
    assert_eq!(event["pathParameters"]["user_id"], "auth0|a/b%20c");
    assert_eq!(event["rawPath"], "/v1/organizations/org_1/members/auth0|a/b%20c");
}

#[tokio::test]
async fn body_is_text_or_base64_by_its_content_type() {
    let fixture = successful().await;
    for (content_type, body, expected, is_base64) in [
        (Some("application/json; charset=utf-8"), "{\"ü\":1}".as_bytes(), "{\"ü\":1}", false),
        (Some("text/plain"), b"a", "a", false),
        (None, b"a", "a", false),
        (Some("application/x-www-form-urlencoded"), b"a=1", "YT0x", true),
        (Some("application/octet-stream"), b"a", "YQ==", true),
        (Some("application/json"), b"\xff", "/w==", true),
    ] {
        let mut request = fixture.request("POST", "/v1/organizations");
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let (_, event) = fixture.event(request.body(Body::from(body)).unwrap()).await;
        assert_eq!(event["body"], expected, "{content_type:?}");
        assert_eq!(event["isBase64Encoded"], is_base64, "{content_type:?}");
    }
}

#[tokio::test]
async fn responds_404_to_an_unknown_route_without_checking_a_token() {
    let fixture = successful().await;
    for (method, path) in [
        ("GET", "/index/html"),
        ("POST", "/accept"),
        ("POST", "/index.html"),
        ("GET", "/assets/"),
        ("GET", "/assets/a/b"),
        ("GET", "/v1/organizations/"),
        ("PUT", "/v1/organizations"),
        ("GET", "/v1/invitations/preview"),
        ("GET", "/v1/organizations//members"),
    ] {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let (status, headers, body) = fixture.send(request).await;
        assert_eq!((status, body.as_str()), (StatusCode::NOT_FOUND, r#"{"message":"Not Found"}"#), "{path}");
        assert!(headers.contains_key("apigw-requestid"));
    }
    // A route has one method, as in API Gateway: `GET` does not include `HEAD`. The pages have routes for it.
    for path in ["/v1/organizations", "/index/html", "/assets/a.js"] {
        let head = Request::head(path).body(Body::empty()).unwrap();
        assert_eq!(fixture.send(head).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    assert!(fixture.functions.calls().is_empty());
}

#[tokio::test]
async fn responds_401_without_invoking_the_function_if_the_token_is_missing_or_invalid() {
    let fixture = successful().await;
    let request = Request::get("/v1/organizations").body(Body::empty()).unwrap();
    let (status, headers, body) = fixture.send(request).await;
    assert_eq!((status, body.as_str()), (StatusCode::UNAUTHORIZED, r#"{"message":"Unauthorized"}"#));
    assert_eq!(headers["www-authenticate"], "Bearer");

    let request = Request::get("/v1/organizations").header("authorization", "Bearer x.y.z");
    let (status, headers, _) = fixture.send(without_body(request)).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(headers["www-authenticate"].to_str().unwrap().contains("invalid_token"));
    assert!(fixture.functions.calls().is_empty());
}

#[tokio::test]
async fn accepts_a_body_of_10_mib_and_rejects_a_larger_one() {
    let fixture = successful().await;
    for (size, expected) in
        [(BODY_BYTES_MAX, StatusCode::OK), (BODY_BYTES_MAX + 1, StatusCode::PAYLOAD_TOO_LARGE)]
    {
        let request =
            fixture.request("POST", "/v1/organizations").body(Body::from(vec![b' '; size])).unwrap();
        let (status, _, body) = fixture.send(request).await;
        assert_eq!(status, expected, "{body}");
    }
}

#[tokio::test]
async fn accepts_a_request_head_of_10_240_bytes_and_rejects_a_larger_one() {
    let fixture = successful().await;
    let line = "GET /v1/organizations HTTP/1.1".len();
    let others = "127.0.0.1:4000".len() + "Bearer ".len() + fixture.token.len();
    let padding = HEAD_BYTES_MAX - line - others;
    for (size, expected) in [(padding, 200), (padding + 1, 431)] {
        let header = fixture.request("GET", "/v1/organizations").header("x-padding", "a".repeat(size));
        assert_eq!(fixture.send(without_body(header)).await.0, expected, "a header of {size} bytes");
        let path = format!("/v1/organizations?{}", "a".repeat(size - "?".len()));
        let query = without_body(fixture.request("GET", &path));
        assert_eq!(fixture.send(query).await.0, expected, "a query of {size} bytes");
    }
    // A token of 18 kB is too large even if it is valid, and on routes without a token.
    let token = format!("Bearer {}", "a".repeat(18_000));
    let request = Request::get("/accept").header("authorization", token).body(Body::empty()).unwrap();
    let (status, _, body) = fixture.send(request).await;
    assert_eq!((status.as_u16(), body.as_str()), (431, r#"{"message":"Request Header Fields Too Large"}"#));
}

#[tokio::test]
async fn reads_the_scheme_bearer_as_api_gateway_documents_it() {
    let fixture = successful().await;
    for (scheme, expected) in
        [("Bearer ", 200), ("", 200), ("bearer ", 401), ("BEARER ", 401), ("Basic ", 401)]
    {
        let header = format!("{scheme}{}", fixture.token);
        let request = Request::get("/v1/organizations").header("authorization", header);
        assert_eq!(fixture.send(without_body(request)).await.0, expected, "{scheme:?}");
    }
}

#[tokio::test]
async fn responds_500_if_the_function_fails_and_503_if_it_times_out() {
    for (result, status) in [
        (Err(failed()), StatusCode::INTERNAL_SERVER_ERROR),
        (Err(InvokeError::TimedOut(std::time::Duration::from_secs(30))), StatusCode::SERVICE_UNAVAILABLE),
        (Ok(json!({"statusCode": 99})), StatusCode::INTERNAL_SERVER_ERROR),
        (Ok(json!({"statusCode": "fine"})), StatusCode::INTERNAL_SERVER_ERROR),
        (Ok(json!({"statusCode": 200, "body": {}})), StatusCode::INTERNAL_SERVER_ERROR),
        (Ok(json!({"statusCode": 200, "headers": {"a b": "c"}})), StatusCode::INTERNAL_SERVER_ERROR),
    ] {
        let fixture = fixture(move |_| result.clone()).await;
        let (got, _, _) = fixture.send(without_body(fixture.request("GET", "/v1/organizations"))).await;
        assert_eq!(got, status);
    }
}

#[tokio::test]
async fn converts_a_function_result_to_the_response_that_it_describes() {
    let fixture = fixture(|_| {
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
    let (status, headers, body) =
        fixture.send(without_body(fixture.request("GET", "/v1/organizations"))).await;
    assert_eq!((status, body.as_str()), (StatusCode::CONFLICT, "{}"));
    assert_eq!(headers["content-type"], "application/problem+json");
    assert_eq!(headers["retry-after"], "3");
    assert_eq!(headers.get_all("set-cookie").iter().collect::<Vec<_>>(), ["a=1", "b=2"]);
}

#[tokio::test]
async fn function_result_without_a_status_becomes_the_body() {
    let fixture = fixture(|_| Ok(json!({"a": 1}))).await;
    let (status, headers, body) =
        fixture.send(without_body(fixture.request("GET", "/v1/organizations"))).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, r#"{"a":1}"#));
    assert_eq!(headers["content-type"], "application/json");
}

#[test]
fn formats_times_for_the_access_log_and_the_date_header() {
    assert_eq!(access_log_time(1_583_348_638_390), "04/Mar/2020:19:03:58 +0000");
    assert_eq!(http_date(1_583_348_638), "Wed, 04 Mar 2020 19:03:58 GMT");
}

#[test]
fn cargo_lambda_watch_has_the_same_routes() {
    let manifest = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml"));
    let manifest: Value = toml::from_str(manifest).unwrap();
    let watch = &manifest["workspace"]["metadata"]["lambda"]["watch"]["router"];
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut configured = Vec::new();
    for (pattern, routes) in watch.as_object().unwrap() {
        for route in routes.as_array().unwrap() {
            let method = text(&route["method"]);
            configured.push((format!("{method} {pattern}"), text(&route["function"])));
        }
    }
    let routes = ROUTES.iter().chain(&*PAGES);
    let mut expected: Vec<_> = routes.map(|route| (route.key(), route.function.to_owned())).collect();
    configured.sort();
    expected.sort();
    assert_eq!(configured, expected);
}
