//! The Lambda function `reconcile`: wiring only.

use lambda_runtime::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    edge::observe::start("reconcile");
    let app = edge::App::from_env()?;
    edge::event::run("reconcile", app, reconcile::handle).await
}
