//! The Lambda function `revoke`: wiring only.

use lambda_http::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    edge::observe::start("revoke");
    let app = edge::App::from_env()?;
    app.store.connect().await;
    edge::http::run("revoke", app, revoke::handle).await
}
