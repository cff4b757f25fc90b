//! The laptop's replacement for API Gateway's HTTP API: routes, JWT authorizer, and payload format 2.0.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{self, ConnectInfo},
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, header, request::Parts, uri::Authority};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::{Value, json};
use time::{OffsetDateTime, macros::format_description};

use crate::{
    authorizer::Authorizer,
    clock::LocalClock,
    function_table::{PAGES, ROUTES, Route},
    functions::{Functions, InvokeError},
    jwt::Unauthorized,
    query::{decode, query_pairs},
    random,
};

/// API Gateway's maximum size of the request line and all header values together.
const HEAD_BYTES_MAX: usize = 10_240;
/// API Gateway's maximum size of a request body.
const BODY_BYTES_MAX: usize = 10 * 1024 * 1024;

/// The gateway in front of the functions.
pub struct Gateway {
    paths: matchit::Router<Vec<&'static Route>>,
    authorizer: Authorizer,
    functions: Arc<dyn Functions>,
    clock: LocalClock,
}

/// The route of a request, and the parameters in its path.
struct RouteMatch {
    route: &'static Route,
    parameters: BTreeMap<String, String>,
}

impl Gateway {
    /// Creates a gateway for [`ROUTES`] and [`PAGES`].
    pub fn new(
        authorizer: Authorizer,
        functions: Arc<dyn Functions>,
        clock: LocalClock,
    ) -> Result<Self, matchit::InsertError> {
        let mut by_pattern = BTreeMap::<_, Vec<_>>::new();
        for route in ROUTES.iter().chain(&*PAGES) {
            by_pattern.entry(route.pattern).or_default().push(route);
        }
        let mut paths = matchit::Router::new();
        for (pattern, routes) in by_pattern {
            paths.insert(pattern, routes)?;
        }
        Ok(Self { paths, authorizer, functions, clock })
    }

    /// Returns a router that handles every path, for use as the fallback of the laptop's own routes.
    pub fn router(self) -> Router {
        async fn handle(
            extract::State(gateway): extract::State<Arc<Gateway>>,
            request: Request<Body>,
        ) -> Response {
            gateway.handle(request).await
        }
        Router::new().fallback(handle).with_state(Arc::new(self))
    }

    /// Handles a request as API Gateway does.
    pub async fn handle(&self, request: Request<Body>) -> Response {
        let id = random::base64::<11>();
        let mut response = self.respond(request, &id).await.unwrap_or_else(GatewayError::into_response);
        if let Ok(id) = HeaderValue::from_str(&id) {
            response.headers_mut().insert("apigw-requestid", id);
        }
        // Pages compute the remaining time of an invitation from this header.
        if let Ok(date) = HeaderValue::from_str(&http_date(self.clock.now_unix())) {
            response.headers_mut().insert(header::DATE, date);
        }
        response
    }

    async fn respond(&self, request: Request<Body>, request_id: &str) -> Result<Response, GatewayError> {
        let (parts, body) = request.into_parts();
        if head_bytes(&parts) > HEAD_BYTES_MAX {
            return Err(GatewayError::HeadTooLarge);
        }
        let matched = self.find(&parts.method, parts.uri.path()).ok_or(GatewayError::NotFound)?;
        let claims = if matched.route.authorized {
            let token = parts.headers.get(header::AUTHORIZATION).and_then(|token| token.to_str().ok());
            Some(self.authorizer.authorize(token).await.map_err(GatewayError::Unauthorized)?)
        } else {
            None
        };
        let body = read_body(body).await?;
        let event = event(&matched, &parts, &body, claims.as_ref(), self.clock.now_unix_millis(), request_id);
        let function = matched.route.function;
        let result = self.functions.invoke(function, event).await.map_err(|e| {
            tracing::error!(function, request_id, "{e}");
            match e {
                InvokeError::TimedOut(_) => GatewayError::TimedOut,
                _ => GatewayError::Failed,
            }
        })?;
        response(&result).ok_or_else(|| {
            tracing::error!(function, request_id, answer = %result, "the function's response is not valid");
            GatewayError::Failed
        })
    }

    /// Finds the route for a path. The path is still percent-encoded, so an encoded slash does not end a segment.
    fn find(&self, method: &Method, path: &str) -> Option<RouteMatch> {
        let found = self.paths.at(path).ok()?;
        let route = *found.value.iter().find(|route| route.method == *method)?;
        if found.params.iter().any(|(_, value)| value.is_empty()) {
            return None;
        }
        let parameters = found.params.iter().map(|(name, value)| (name.to_owned(), decode(value))).collect();
        Some(RouteMatch { route, parameters })
    }
}

/// An error response that API Gateway creates itself, without a response of a function.
enum GatewayError {
    NotFound,
    Unauthorized(Unauthorized),
    BadRequest,
    TooLarge,
    HeadTooLarge,
    Failed,
    TimedOut,
}

impl GatewayError {
    fn into_response(self) -> Response {
        let (status, message) = match self {
            Self::NotFound => (StatusCode::NOT_FOUND, "Not Found"),
            Self::Unauthorized(_) => (StatusCode::UNAUTHORIZED, "Unauthorized"),
            Self::BadRequest => (StatusCode::BAD_REQUEST, "Bad Request"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large"),
            Self::HeadTooLarge => {
                (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "Request Header Fields Too Large")
            }
            Self::Failed => (StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
            Self::TimedOut => (StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
        };
        let mut response = Response::new(Body::from(json!({"message": message}).to_string()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Self::Unauthorized(reason) = self
            && let Ok(challenge) = HeaderValue::from_str(&reason.challenge())
        {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// Returns the size of the request line and of all header values, in bytes.
fn head_bytes(parts: &Parts) -> usize {
    let target = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let line = parts.method.as_str().len() + " ".len() + target.len() + " HTTP/1.1".len();
    line + parts.headers.values().map(HeaderValue::len).sum::<usize>()
}

async fn read_body(body: Body) -> Result<Bytes, GatewayError> {
    match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(e) if e.is::<LengthLimitError>() => Err(GatewayError::TooLarge),
        Err(_) => Err(GatewayError::BadRequest),
    }
}

/// Builds the event in payload format 2.0. Empty members are left out, as in API Gateway.
fn event(
    matched: &RouteMatch,
    parts: &Parts,
    body: &[u8],
    claims: Option<&BTreeMap<String, String>>,
    now_millis: i64,
    request_id: &str,
) -> Value {
    let path = decode(parts.uri.path());
    let query = parts.uri.query().unwrap_or_default();
    let source = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let source = source.map_or_else(|| "127.0.0.1".to_owned(), |info| info.ip().to_string());
    let domain = domain(parts);
    let route_key = matched.route.key();

    let mut context = json!({
        "accountId": "000000000000",
        "apiId": "laptop",
        "authentication": null,
        "domainName": domain,
        "domainPrefix": domain.split('.').next().unwrap_or_default(),
        "http": {
            "method": parts.method.as_str(),
            "path": path,
            "protocol": format!("{:?}", parts.version),
            "sourceIp": source,
            "userAgent": parts.headers.get(header::USER_AGENT).map_or_else(String::new, header_text),
        },
        "requestId": request_id,
        "routeKey": route_key,
        "stage": "$default",
        "time": access_log_time(now_millis),
        "timeEpoch": now_millis,
    });
    if let Some(claims) = claims {
        context["authorizer"] = json!({"jwt": {"claims": claims, "scopes": null}});
    }

    let mut event = json!({
        "version": "2.0",
        "routeKey": route_key,
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers(parts, &source),
        "requestContext": context,
        "isBase64Encoded": false,
    });
    let cookies: Vec<String> = parts.headers.get_all(header::COOKIE).iter().map(header_text).collect();
    if !cookies.is_empty() {
        event["cookies"] = cookies.iter().flat_map(|line| line.split(';')).map(str::trim).collect();
    }
    let query = query_pairs(query);
    if !query.is_empty() {
        event["queryStringParameters"] = json!(join_repeated(query));
    }
    if !matched.parameters.is_empty() {
        event["pathParameters"] = json!(matched.parameters);
    }
    if !body.is_empty() {
        let content_type = parts.headers.get(header::CONTENT_TYPE).map(header_text);
        let text = std::str::from_utf8(body).ok().filter(|_| is_text(content_type.as_deref()));
        event["isBase64Encoded"] = json!(text.is_none());
        event["body"] = json!(text.map_or_else(|| STANDARD.encode(body), str::to_owned));
    }
    event
}

/// Converts the result of a function to a response. Returns `None` if the result is not a valid response.
///
/// A result without `statusCode` becomes the body of a response with status 200, as in API Gateway.
fn response(result: &Value) -> Option<Response> {
    let Some(status) = result.get("statusCode") else {
        let mut response = Response::new(Body::from(match result {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        return Some(response);
    };
    let status = StatusCode::from_u16(u16::try_from(status.as_u64()?).ok()?).ok()?;
    let body = match result.get("body") {
        None | Some(Value::Null) => Bytes::new(),
        Some(Value::String(text)) if result["isBase64Encoded"] == true => STANDARD.decode(text).ok()?.into(),
        Some(Value::String(text)) => text.clone().into(),
        Some(_) => return None,
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    if let Some(headers) = result.get("headers").and_then(Value::as_object) {
        for (name, value) in headers {
            let value = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let name = HeaderName::try_from(name).ok()?;
            response.headers_mut().insert(name, HeaderValue::from_str(&value).ok()?);
        }
    }
    if let Some(cookies) = result.get("cookies").and_then(Value::as_array) {
        for cookie in cookies {
            let cookie = HeaderValue::from_str(cookie.as_str()?).ok()?;
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
    Some(response)
}

/// The headers in an event: names in lower case, repeated headers joined, no cookies (the event has a member for them).
fn headers(parts: &Parts, source: &str) -> BTreeMap<String, String> {
    let excluded = [header::COOKIE, header::CONNECTION, header::TRANSFER_ENCODING];
    let sent = parts.headers.iter().filter(|(name, _)| !excluded.contains(name));
    let sent = sent.map(|(name, value)| (name.as_str().to_owned(), header_text(value)));
    let mut headers = join_repeated(sent.chain([("x-forwarded-for".to_owned(), source.to_owned())]));
    let port = authority(parts).and_then(|authority| authority.port_u16()).unwrap_or(80);
    headers.insert("x-forwarded-port".to_owned(), port.to_string());
    headers.insert("x-forwarded-proto".to_owned(), "http".to_owned());
    headers
}

/// Joins the values of a repeated name with commas.
fn join_repeated(pairs: impl IntoIterator<Item = (String, String)>) -> BTreeMap<String, String> {
    let mut joined = BTreeMap::<String, String>::new();
    for (name, value) in pairs {
        joined
            .entry(name)
            .and_modify(|values| {
                values.push(',');
                values.push_str(&value);
            })
            .or_insert(value);
    }
    joined
}

fn header_text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

fn authority(parts: &Parts) -> Option<Authority> {
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()?.parse().ok());
    host.or_else(|| parts.uri.authority().cloned())
}

fn domain(parts: &Parts) -> String {
    authority(parts).map_or_else(|| "127.0.0.1".to_owned(), |authority| authority.host().to_owned())
}

/// Whether API Gateway passes a body of this type on as text. It passes a form on in base64.
fn is_text(content_type: Option<&str>) -> bool {
    let Some(content_type) = content_type else { return true };
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind.starts_with("text/")
        || kind.ends_with("+json")
        || kind.ends_with("+xml")
        || matches!(kind.as_str(), "application/json" | "application/xml" | "application/javascript")
}

/// Formats a time as in an access log: `12/Mar/2026:19:03:58 +0000`.
fn access_log_time(millis: i64) -> String {
    let moment = OffsetDateTime::from_unix_timestamp(millis / 1000).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let month = moment.month().to_string();
    let (hour, minute, second) = moment.to_hms();
    format!("{:02}/{}/{}:{hour:02}:{minute:02}:{second:02} +0000", moment.day(), &month[..3], moment.year())
}

/// Formats a time as in a `Date` header: `Thu, 12 Mar 2026 19:03:58 GMT`.
fn http_date(unix: i64) -> String {
    let moment = OffsetDateTime::from_unix_timestamp(unix).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let form = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    moment.format(form).unwrap_or_default()
}

#[cfg(test)]
mod tests;
