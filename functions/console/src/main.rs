//! The Lambda function `console`.

use lambda_http::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_api::observe::start_log();
    lambda_api::http::run(
        "console",
        console::App::from_env(lambda_api::env::Env::of_process())?,
        console::INPUT,
        console::handle,
    )
    .await
}
