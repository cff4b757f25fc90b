//! The Lambda function `console`: wiring only.

use lambda_http::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    edge::observe::start();
    edge::http::run("console", console::App::from_env(edge::env::Env::of_process())?, console::handle).await
}
