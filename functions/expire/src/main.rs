//! The Lambda function `expire`: wiring only.

use lambda_runtime::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    edge::observe::start("expire");
    let app = edge::App::from_env()?;
    edge::event::run("expire", app, expire::handle).await
}
