//! The Lambda function `schedule`: wiring only.

use lambda_runtime::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    edge::observe::start("schedule");
    let app = schedule::App::from_env()?;
    edge::event::run("schedule", app, schedule::handle).await
}
