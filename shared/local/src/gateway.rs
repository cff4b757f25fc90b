//! API Gateway's HTTP API: routes, JWT authorizer, and the payload format 2.0 between HTTP and a function.

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
    clock::LocalClock,
    function_table::{PAGES, ROUTES, Route},
    functions::{Functions, InvokeError},
    issuer::{Issuer, Unauthorized},
    query::{decode, query_pairs},
    random,
};

/// API Gateway's limit for a body.
const BODY_BYTES_MAX: usize = 10 * 1024 * 1024;

/// The gateway in front of the functions.
pub struct Gateway {
    paths: matchit::Router<Vec<&'static Route>>,
    issuer: Issuer,
    functions: Arc<dyn Functions>,
    clock: LocalClock,
}

/// A route that fits a request, with what the path says.
struct Matched {
    route: &'static Route,
    parameters: BTreeMap<String, String>,
}

impl Gateway {
    /// A gateway for [`ROUTES`] and [`PAGES`].
    pub fn new(
        issuer: Issuer,
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
        Ok(Self { paths, issuer, functions, clock })
    }

    /// A router that answers every path, as the fallback of the laptop's own.
    pub fn router(self) -> Router {
        async fn handle(
            extract::State(gateway): extract::State<Arc<Gateway>>,
            request: Request<Body>,
        ) -> Response {
            gateway.handle(request).await
        }
        Router::new().fallback(handle).with_state(Arc::new(self))
    }

    /// Answers a request as API Gateway would.
    pub async fn handle(&self, request: Request<Body>) -> Response {
        let id = random::base64::<11>();
        let mut answer = self.answer(request, &id).await.unwrap_or_else(Refusal::into_response);
        if let Ok(id) = HeaderValue::from_str(&id) {
            answer.headers_mut().insert("apigw-requestid", id);
        }
        // What pages count what is left of an invitation from.
        if let Ok(date) = HeaderValue::from_str(&http_date(self.clock.now_unix())) {
            answer.headers_mut().insert(header::DATE, date);
        }
        answer
    }

    async fn answer(&self, request: Request<Body>, request_id: &str) -> Result<Response, Refusal> {
        let (parts, body) = request.into_parts();
        let matched = self.find(&parts.method, parts.uri.path()).ok_or(Refusal::NotFound)?;
        let claims = if matched.route.authorized {
            let token = parts.headers.get(header::AUTHORIZATION).and_then(|token| token.to_str().ok());
            Some(self.issuer.authorize(token).await.map_err(Refusal::Unauthorized)?)
        } else {
            None
        };
        let body = read(body).await?;
        let event = event(&matched, &parts, &body, claims.as_ref(), self.clock.now_unix_millis(), request_id);
        let function = matched.route.function;
        let answer = self.functions.invoke(function, event).await.map_err(|e| {
            tracing::error!(function, request_id, "{e}");
            match e {
                InvokeError::TimedOut(_) => Refusal::TimedOut,
                _ => Refusal::Failed,
            }
        })?;
        response(&answer).ok_or_else(|| {
            tracing::error!(function, request_id, %answer, "the function's answer is no response");
            Refusal::Failed
        })
    }

    /// The route for a path as it came, still encoded: an encoded slash doesn't end a segment.
    fn find(&self, method: &Method, path: &str) -> Option<Matched> {
        let found = self.paths.at(path).ok()?;
        let route = *found.value.iter().find(|route| route.method == *method)?;
        if found.params.iter().any(|(_, value)| value.is_empty()) {
            return None;
        }
        let parameters = found.params.iter().map(|(name, value)| (name.to_owned(), decode(value))).collect();
        Some(Matched { route, parameters })
    }
}

/// What API Gateway says itself, without a function.
enum Refusal {
    NotFound,
    Unauthorized(Unauthorized),
    BadRequest,
    TooLarge,
    Failed,
    TimedOut,
}

impl Refusal {
    fn into_response(self) -> Response {
        let (status, message) = match self {
            Self::NotFound => (StatusCode::NOT_FOUND, "Not Found"),
            Self::Unauthorized(_) => (StatusCode::UNAUTHORIZED, "Unauthorized"),
            Self::BadRequest => (StatusCode::BAD_REQUEST, "Bad Request"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large"),
            Self::Failed => (StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
            Self::TimedOut => (StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
        };
        let mut answer = Response::new(Body::from(json!({"message": message}).to_string()));
        *answer.status_mut() = status;
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Self::Unauthorized(why) = self
            && let Ok(challenge) = HeaderValue::from_str(&why.challenge())
        {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        answer
    }
}

async fn read(body: Body) -> Result<Bytes, Refusal> {
    match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(e) if e.is::<LengthLimitError>() => Err(Refusal::TooLarge),
        Err(_) => Err(Refusal::BadRequest),
    }
}

/// The event of payload format 2.0. API Gateway leaves out what is empty, and so does this.
fn event(
    matched: &Matched,
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
            "userAgent": parts.headers.get(header::USER_AGENT).map_or_else(String::new, text),
        },
        "requestId": request_id,
        "routeKey": route_key,
        "stage": "$default",
        "time": clock_time(now_millis),
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
    let cookies: Vec<String> = parts.headers.get_all(header::COOKIE).iter().map(text).collect();
    if !cookies.is_empty() {
        event["cookies"] = cookies.iter().flat_map(|line| line.split(';')).map(str::trim).collect();
    }
    let query = query_pairs(query);
    if !query.is_empty() {
        event["queryStringParameters"] = json!(joined(query));
    }
    if !matched.parameters.is_empty() {
        event["pathParameters"] = json!(matched.parameters);
    }
    if !body.is_empty() {
        let content_type = parts.headers.get(header::CONTENT_TYPE).map(text);
        let text = std::str::from_utf8(body).ok().filter(|_| is_text(content_type.as_deref()));
        event["isBase64Encoded"] = json!(text.is_none());
        event["body"] = json!(text.map_or_else(|| STANDARD.encode(body), str::to_owned));
    }
    event
}

/// The function's answer as a response; none if it isn't one. An answer without a status is the body of a
/// 200, which is how API Gateway reads it.
fn response(answer: &Value) -> Option<Response> {
    let Some(status) = answer.get("statusCode") else {
        let mut response = Response::new(Body::from(match answer {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        return Some(response);
    };
    let status = StatusCode::from_u16(u16::try_from(status.as_u64()?).ok()?).ok()?;
    let body = match answer.get("body") {
        None | Some(Value::Null) => Bytes::new(),
        Some(Value::String(text)) if answer["isBase64Encoded"] == true => STANDARD.decode(text).ok()?.into(),
        Some(Value::String(text)) => text.clone().into(),
        Some(_) => return None,
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    if let Some(headers) = answer.get("headers").and_then(Value::as_object) {
        for (name, value) in headers {
            let value = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let name = HeaderName::try_from(name).ok()?;
            response.headers_mut().insert(name, HeaderValue::from_str(&value).ok()?);
        }
    }
    if let Some(cookies) = answer.get("cookies").and_then(Value::as_array) {
        for cookie in cookies {
            let cookie = HeaderValue::from_str(cookie.as_str()?).ok()?;
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
    Some(response)
}

/// The headers as a function gets them: lower-case, repeated ones joined, cookies elsewhere.
fn headers(parts: &Parts, source: &str) -> BTreeMap<String, String> {
    let skipped = [header::COOKIE, header::CONNECTION, header::TRANSFER_ENCODING];
    let sent = parts.headers.iter().filter(|(name, _)| !skipped.contains(name));
    let sent = sent.map(|(name, value)| (name.as_str().to_owned(), text(value)));
    let mut headers = joined(sent.chain([("x-forwarded-for".to_owned(), source.to_owned())]));
    let port = authority(parts).and_then(|authority| authority.port_u16()).unwrap_or(80);
    headers.insert("x-forwarded-port".to_owned(), port.to_string());
    headers.insert("x-forwarded-proto".to_owned(), "http".to_owned());
    headers
}

fn joined(pairs: impl IntoIterator<Item = (String, String)>) -> BTreeMap<String, String> {
    let mut joined = BTreeMap::<String, String>::new();
    for (name, value) in pairs {
        joined
            .entry(name)
            .and_modify(|so_far| {
                so_far.push(',');
                so_far.push_str(&value);
            })
            .or_insert(value);
    }
    joined
}

fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

fn authority(parts: &Parts) -> Option<Authority> {
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()?.parse().ok());
    host.or_else(|| parts.uri.authority().cloned())
}

fn domain(parts: &Parts) -> String {
    authority(parts).map_or_else(|| "127.0.0.1".to_owned(), |authority| authority.host().to_owned())
}

/// What API Gateway passes on as text. A form is not among it.
fn is_text(content_type: Option<&str>) -> bool {
    let Some(content_type) = content_type else { return true };
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind.starts_with("text/")
        || kind.ends_with("+json")
        || kind.ends_with("+xml")
        || matches!(kind.as_str(), "application/json" | "application/xml" | "application/javascript")
}

/// As in an access log: `12/Mar/2026:19:03:58 +0000`.
fn clock_time(millis: i64) -> String {
    let moment = OffsetDateTime::from_unix_timestamp(millis / 1000).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let month = moment.month().to_string();
    let (hour, minute, second) = moment.to_hms();
    format!("{:02}/{}/{}:{hour:02}:{minute:02}:{second:02} +0000", moment.day(), &month[..3], moment.year())
}

/// As in a `Date`: `Thu, 12 Mar 2026 19:03:58 GMT`.
fn http_date(unix: i64) -> String {
    let moment = OffsetDateTime::from_unix_timestamp(unix).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let form = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    moment.format(form).unwrap_or_default()
}

#[cfg(test)]
mod tests;
