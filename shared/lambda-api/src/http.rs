//! Passes API Gateway events to handlers and returns their responses, in the Lambda runtime and on the laptop.

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
use crate::input::Input;
use crate::observe::{self, Invocation, Outcome};
use crate::problem::{Code, Problem};
use crate::request::{BODY_BYTES_MAX, MissingClaims, log_ids};

/// The characters that must be percent-encoded in a decoded path.
const PATH_ENCODE_SET: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The characters that must be percent-encoded in a raw query. `%` is not one of them: a raw query is still encoded.
const QUERY_ENCODE_SET: &AsciiSet = &CONTROLS
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

/// The error of a handler.
pub enum HandlerError {
    /// A problem that the API contract defines.
    Problem(Box<Problem>),
    /// The request has no valid `sub` claim. The body of the response equals that of API Gateway's authorizer.
    MissingClaims,
}

impl<P: Into<Problem>> From<P> for HandlerError {
    fn from(problem: P) -> Self {
        Self::Problem(Box::new(problem.into()))
    }
}

impl From<MissingClaims> for HandlerError {
    fn from(_: MissingClaims) -> Self {
        Self::MissingClaims
    }
}

/// Reads the configuration from the environment, and runs the function `action` with the handler `handle`.
///
/// A function's `main` calls it. It serves events until the Lambda runtime ends the process. A request with more than
/// `input` gets 400, and does not reach the handler.
pub async fn main<Services, Handle, Handling>(
    action: &'static str,
    input: Input,
    handle: Handle,
) -> Result<(), Error>
where
    Services: FromEnv + Send + Sync + 'static,
    Handle: Fn(Arc<App<Services>>, Request) -> Handling + Clone + Send + Sync + 'static,
    Handling: Future<Output = Result<Response<Body>, HandlerError>> + Send + 'static,
{
    observe::start_log();
    let app = App::<Services>::from_env(Env::of_process())?;
    app.store.connect().await;
    run(action, app, input, handle).await
}

/// Runs the function `action` with the handler `handle` until the Lambda runtime ends the process.
pub async fn run<Clocked, Handle, Handling>(
    action: &'static str,
    app: Clocked,
    input: Input,
    handle: Handle,
) -> Result<(), Error>
where
    Clocked: Clock + 'static,
    Handle: Fn(Arc<Clocked>, Request) -> Handling + Clone + Send + Sync + 'static,
    Handling: Future<Output = Result<Response<Body>, HandlerError>> + Send + 'static,
{
    let app = Arc::new(app);
    let service = service_fn(move |event: LambdaEvent<LambdaRequest>| {
        serve(action, Arc::clone(&app), input, handle.clone(), event)
    });
    // A separate task saves system calls. When the connection's task has read a response of AWS, tokio next runs the
    // task that waits for it. The future of `block_on` runs only after another poll of the kernel, once per response.
    tokio::spawn(lambda_runtime::run(service)).await?
}

/// Passes one event to `handle` as [`run`] does, but without the Lambda runtime.
pub async fn invoke<Clocked, Handle, Handling>(
    action: &'static str,
    app: Arc<Clocked>,
    input: Input,
    handle: Handle,
    event: LambdaEvent<Value>,
) -> Result<Value, Error>
where
    Clocked: Clock + 'static,
    Handle: Fn(Arc<Clocked>, Request) -> Handling + Clone + Send + Sync + 'static,
    Handling: Future<Output = Result<Response<Body>, HandlerError>> + Send + 'static,
{
    let event = LambdaEvent::new(serde_json::from_value(event.payload)?, event.context);
    Ok(serde_json::to_value(serve(action, app, input, handle, event).await?)?)
}

async fn serve<Clocked, Handle, Handling>(
    action: &'static str,
    app: Arc<Clocked>,
    input: Input,
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
    let event = LambdaEvent::new(with_valid_uri(event.payload), event.context);
    let mut adapter = Adapter::from(service_fn(move |request: Request| {
        let (invocation, app, handle) = (invocation.clone(), Arc::clone(&app), handle.clone());
        async move {
            let clock = Arc::clone(&app);
            let work = async {
                log_ids(&request);
                let result = match check(&request, input) {
                    // Boxed, because a handler's future is large, and several layers wrap it.
                    Ok(()) => Box::pin(handle(app, request)).await,
                    Err(problem) => Err(problem.into()),
                };
                let word = outcome_word(&result);
                let response = to_response(result);
                (Outcome::new(word).with_status(response.status().as_u16()), response)
            };
            Ok::<_, Error>(observe::run_invocation(invocation, &*clock, work).await)
        }
    }));
    adapter.call(event).await
}

/// Checks the query and the body by themselves. The response depends on nothing but the request.
fn check(request: &Request, input: Input) -> Result<(), Problem> {
    input.check(request)?;
    match request.body().len() {
        0..=BODY_BYTES_MAX => Ok(()),
        _ => Err(Problem::new(Code::TooLarge, "A request body may have at most 64 KiB.")),
    }
}

fn gateway_request_id(request: &LambdaRequest) -> Option<String> {
    match request {
        LambdaRequest::ApiGatewayV2(event) => event.request_context.request_id.clone(),
        _ => None,
    }
}

/// Returns the outcome word of a result, for the log and the metrics.
fn outcome_word(result: &Result<Response<Body>, HandlerError>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(HandlerError::Problem(problem)) => problem.code.as_str(),
        Err(HandlerError::MissingClaims) => "unauthenticated",
    }
}

/// Encodes path and query and removes the host, so that they form a valid URI.
///
/// `lambda_http` builds a URI from host, path and query, and panics if it is invalid. An HTTP API passes the path
/// *decoded*, so a user id with a space would cause a panic. Handlers do not use the host, and take the path parameters
/// from the event.
fn with_valid_uri(request: LambdaRequest) -> LambdaRequest {
    match request {
        LambdaRequest::ApiGatewayV2(mut event) => {
            event.headers.remove(header::HOST);
            event.request_context.domain_name = None;
            let path = event.raw_path.as_deref().unwrap_or_default().trim_start_matches('/');
            event.raw_path = Some(format!("/{}", utf8_percent_encode(path, PATH_ENCODE_SET)));
            let query = event.raw_query_string.as_deref().unwrap_or_default();
            event.raw_query_string = Some(utf8_percent_encode(query, QUERY_ENCODE_SET).to_string());
            LambdaRequest::ApiGatewayV2(event)
        }
        other => other,
    }
}

fn to_response(result: Result<Response<Body>, HandlerError>) -> Response<Body> {
    let mut response = match result {
        Ok(response) => response,
        Err(HandlerError::Problem(problem)) => {
            problem.log();
            problem.into_response()
        }
        Err(HandlerError::MissingClaims) => {
            tracing::error!(
                "the request has no valid `sub` claim: the route has no authorizer, or the token has no `sub`"
            );
            let mut response = Response::new(Body::from(r#"{"message":"Unauthorized"}"#));
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, json);
            response
        }
    };
    headers::add_security_headers(response.headers_mut());
    response
}

/// Returns a 200 response with `view` as JSON.
pub fn ok(view: &impl Serialize) -> Result<Response<Body>, HandlerError> {
    Ok(json_response(StatusCode::OK, to_json(view)?))
}

/// Returns a response with the status `status` and the JSON text `body`.
#[must_use]
pub fn json_response(status: StatusCode, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Converts `view` to JSON text.
pub fn to_json(view: &impl Serialize) -> Result<String, Problem> {
    serde_json::to_string(view).map_err(Problem::internal)
}

/// Returns a 204 response.
#[must_use]
pub fn no_content() -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}
