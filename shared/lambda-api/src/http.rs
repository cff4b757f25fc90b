//! From an API Gateway event to a handler and back, for the real runtime and for the laptop alike.

use std::sync::Arc;

use domain::Clock;
use http::{HeaderValue, StatusCode, header};
use lambda_http::request::LambdaRequest;
use lambda_http::tower::Service;
use lambda_http::{Adapter, Body, Error, LambdaEvent, Request, Response, service_fn};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::Value;

use crate::app::{App, FromEnv};
use crate::env::Env;
use crate::headers;
use crate::observe::{self, Invocation, Outcome};
use crate::problem::{Code, Problem};
use crate::request::{BODY_BYTES_MAX, Unauthenticated, observe_ids};

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
pub enum HandlerError {
    /// A problem of the contract.
    Problem(Box<Problem>),
    /// As API Gateway's authorizer would have answered.
    Unauthenticated,
}

impl<P: Into<Problem>> From<P> for HandlerError {
    fn from(problem: P) -> Self {
        Self::Problem(Box::new(problem.into()))
    }
}

impl From<Unauthenticated> for HandlerError {
    fn from(_: Unauthenticated) -> Self {
        Self::Unauthenticated
    }
}

/// The whole of a function that is called over HTTP: configured by the environment, it serves `handle` as the function
/// `action` until the runtime ends the process.
pub async fn main<Services, Handle, Handling>(action: &'static str, handle: Handle) -> Result<(), Error>
where
    Services: FromEnv + Send + Sync + 'static,
    Handle: Fn(Arc<App<Services>>, Request) -> Handling + Clone + Send + Sync + 'static,
    Handling: Future<Output = Result<Response<Body>, HandlerError>> + Send + 'static,
{
    observe::start();
    let app = App::<Services>::from_env(Env::of_process())?;
    app.store.connect().await;
    run(action, app, handle).await
}

/// Serves `handle`, as the function `action`, to the Lambda runtime until it ends the process.
pub async fn run<Clocked, Handle, Handling>(
    action: &'static str,
    app: Clocked,
    handle: Handle,
) -> Result<(), Error>
where
    Clocked: Clock + 'static,
    Handle: Fn(Arc<Clocked>, Request) -> Handling + Clone + Send + Sync + 'static,
    Handling: Future<Output = Result<Response<Body>, HandlerError>> + Send + 'static,
{
    let app = Arc::new(app);
    let service = service_fn(move |event: LambdaEvent<LambdaRequest>| {
        serve(action, Arc::clone(&app), handle.clone(), event)
    });
    // A task of its own is woken by the connection that has read an answer, and runs next; what the runtime blocks on is
    // looked at only after the kernel has been asked for more, once for each answer.
    tokio::spawn(lambda_runtime::run(service)).await?
}

/// Hands one event to `handle`: the way that [`run`] goes, without a runtime.
pub async fn invoke<Clocked, Handle, Handling>(
    action: &'static str,
    app: Arc<Clocked>,
    handle: Handle,
    event: LambdaEvent<Value>,
) -> Result<Value, Error>
where
    Clocked: Clock + 'static,
    Handle: Fn(Arc<Clocked>, Request) -> Handling + Clone + Send + Sync + 'static,
    Handling: Future<Output = Result<Response<Body>, HandlerError>> + Send + 'static,
{
    let event = LambdaEvent::new(serde_json::from_value(event.payload)?, event.context);
    Ok(serde_json::to_value(serve(action, app, handle, event).await?)?)
}

async fn serve<Clocked, Handle, Handling>(
    action: &'static str,
    app: Arc<Clocked>,
    handle: Handle,
    event: LambdaEvent<LambdaRequest>,
) -> Result<impl Serialize + Send, Error>
where
    Clocked: Clock + 'static,
    Handle: Fn(Arc<Clocked>, Request) -> Handling + Clone + Send + Sync + 'static,
    Handling: Future<Output = Result<Response<Body>, HandlerError>> + Send + 'static,
{
    let invocation =
        Invocation::new(action, &event.context).through_gateway(gateway_request_id(&event.payload));
    let event = LambdaEvent::new(presentable(event.payload), event.context);
    let mut adapter = Adapter::from(service_fn(move |request: Request| {
        let (invocation, app, handle) = (invocation.clone(), Arc::clone(&app), handle.clone());
        async move {
            let clock = Arc::clone(&app);
            let work = async {
                observe_ids(&request);
                let answer = match request.body().len() {
                    // Boxed, since a handler's future is large and deep, and much is wrapped around it.
                    0..=BODY_BYTES_MAX => Box::pin(handle(app, request)).await,
                    _ => Err(Problem::new(Code::TooLarge, "A body may have up to 64 KiB.").into()),
                };
                let word = word(&answer);
                let response = answered(answer);
                (Outcome::new(word).answered(response.status().as_u16()), response)
            };
            Ok::<_, Error>(observe::invoked(invocation, &*clock, work).await)
        }
    }));
    adapter.call(event).await
}

fn gateway_request_id(request: &LambdaRequest) -> Option<String> {
    match request {
        LambdaRequest::ApiGatewayV2(event) => event.request_context.request_id.clone(),
        _ => None,
    }
}

/// What an answer is called where answers are counted.
fn word(answer: &Result<Response<Body>, HandlerError>) -> &'static str {
    match answer {
        Ok(_) => "ok",
        Err(HandlerError::Problem(problem)) => problem.code.as_str(),
        Err(HandlerError::Unauthenticated) => "unauthenticated",
    }
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

fn answered(answer: Result<Response<Body>, HandlerError>) -> Response<Body> {
    let mut response = match answer {
        Ok(response) => response,
        Err(HandlerError::Problem(problem)) => {
            problem.log();
            problem.into_response()
        }
        Err(HandlerError::Unauthenticated) => {
            tracing::error!("no authorizer stands before this function");
            let mut response = Response::new(Body::from(r#"{"message":"Unauthorized"}"#));
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, json);
            response
        }
    };
    headers::complete(response.headers_mut());
    response
}

/// 200 with `view`.
pub fn ok(view: &impl Serialize) -> Result<Response<Body>, HandlerError> {
    Ok(json_response(StatusCode::OK, to_json(view)?))
}

/// An answer of `status` with a JSON body.
#[must_use]
pub fn json_response(status: StatusCode, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// `view` as JSON.
pub fn to_json(view: &impl Serialize) -> Result<String, Problem> {
    serde_json::to_string(view).map_err(Problem::internal)
}

/// 204.
#[must_use]
pub fn no_content() -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}
