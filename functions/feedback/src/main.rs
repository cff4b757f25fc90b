//! The Lambda function `feedback`: wiring only.

use lambda_runtime::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    edge::observe::start("feedback");
    let app = edge::App::from_env()?;
    edge::event::run("feedback", app, feedback::handle).await
}
