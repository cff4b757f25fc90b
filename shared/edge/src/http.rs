//! From an API Gateway event to a handler and back, for the real runtime and for the laptop alike.

use std::sync::Arc;

use http::{HeaderValue, StatusCode, header};
use lambda_http::request::LambdaRequest;
use lambda_http::tower::Service;
use lambda_http::{Adapter, Body, Context, Error, LambdaEvent, Request, Response, service_fn};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::Value;

use crate::problem::{Code, Problem};
use crate::request::{BODY_BYTES_MAX, Unauthenticated};

/// What a decoded path needs to be a path again.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// What must not stand in a query as it is; `%` is left alone, since a raw query is still encoded.
const QUERY: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// An answer that is no success: a problem, or that nobody is signed in.
pub enum Failure {
    /// A problem of the contract.
    Problem(Box<Problem>),
    /// As API Gateway's authorizer would have answered.
    Unauthenticated,
}

impl<P: Into<Problem>> From<P> for Failure {
    fn from(problem: P) -> Self {
        Self::Problem(Box::new(problem.into()))
    }
}

impl From<Unauthenticated> for Failure {
    fn from(_: Unauthenticated) -> Self {
        Self::Unauthenticated
    }
}

/// Serves `handle` to the Lambda runtime until it ends the process.
pub async fn run<App, Handle, Handling>(app: App, handle: Handle) -> Result<(), Error>
where
    App: Send + Sync + 'static,
    Handle: Fn(Arc<App>, Request) -> Handling + Clone + Send + Sync + 'static,
    Handling: Future<Output = Result<Response<Body>, Failure>> + Send + 'static,
{
    let app = Arc::new(app);
    lambda_runtime::run(service_fn(move |event: LambdaEvent<LambdaRequest>| {
        serve(Arc::clone(&app), handle.clone(), event)
    }))
    .await
}

/// Hands one event, as JSON, to `handle`: the way that [`run`] goes, without a runtime.
pub async fn invoke<App, Handle, Handling>(
    app: Arc<App>,
    handle: Handle,
    event: Value,
) -> Result<Value, Error>
where
    App: Send + Sync + 'static,
    Handle: Fn(Arc<App>, Request) -> Handling + Clone + Send + Sync + 'static,
    Handling: Future<Output = Result<Response<Body>, Failure>> + Send + 'static,
{
    let event = LambdaEvent::new(serde_json::from_value(event)?, Context::default());
    Ok(serde_json::to_value(serve(app, handle, event).await?)?)
}

async fn serve<App, Handle, Handling>(
    app: Arc<App>,
    handle: Handle,
    event: LambdaEvent<LambdaRequest>,
) -> Result<impl Serialize + Send, Error>
where
    App: Send + Sync + 'static,
    Handle: Fn(Arc<App>, Request) -> Handling + Clone + Send + Sync + 'static,
    Handling: Future<Output = Result<Response<Body>, Failure>> + Send + 'static,
{
    let event = LambdaEvent::new(presentable(event.payload), event.context);
    let mut adapter = Adapter::from(service_fn(move |request: Request| {
        let app = Arc::clone(&app);
        let handle = handle.clone();
        async move {
            let answer = match request.body().len() {
                0..=BODY_BYTES_MAX => handle(app, request).await,
                _ => Err(Problem::new(Code::TooLarge, "A body may have up to 64 KiB.").into()),
            };
            Ok::<_, Error>(answered(answer))
        }
    }));
    adapter.call(event).await
}

/// `lambda_http` makes a URI of host, path and query, and panics where they make none. HTTP APIs hand over
/// the path *decoded*, so a user id with a space in it would do. Nothing here needs the host, and the path
/// parameters are taken as they come.
fn presentable(request: LambdaRequest) -> LambdaRequest {
    match request {
        LambdaRequest::ApiGatewayV2(mut event) => {
            event.headers.remove(header::HOST);
            event.request_context.domain_name = None;
            let path = event.raw_path.as_deref().unwrap_or_default().trim_start_matches('/');
            event.raw_path = Some(format!("/{}", utf8_percent_encode(path, PATH)));
            let query = event.raw_query_string.as_deref().unwrap_or_default();
            event.raw_query_string = Some(utf8_percent_encode(query, QUERY).to_string());
            LambdaRequest::ApiGatewayV2(event)
        }
        other => other,
    }
}

fn answered(answer: Result<Response<Body>, Failure>) -> Response<Body> {
    let mut response = match answer {
        Ok(response) => response,
        Err(Failure::Problem(problem)) => {
            problem.log();
            problem.into_response()
        }
        Err(Failure::Unauthenticated) => {
            tracing::error!("no authorizer stands before this function");
            let mut response = Response::new(Body::from(r#"{"message":"Unauthorized"}"#));
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, json);
            response
        }
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// 200 with `view`.
pub fn ok(view: &impl Serialize) -> Result<Response<Body>, Failure> {
    json(StatusCode::OK, view)
}

/// 201 with `view`.
pub fn created(view: &impl Serialize) -> Result<Response<Body>, Failure> {
    json(StatusCode::CREATED, view)
}

/// 204.
pub fn no_content() -> Result<Response<Body>, Failure> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

fn json(status: StatusCode, view: &impl Serialize) -> Result<Response<Body>, Failure> {
    let body = serde_json::to_string(view).map_err(Problem::internal)?;
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
