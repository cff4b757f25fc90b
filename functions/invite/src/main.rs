//! The Lambda function `invite`: wiring only.

use lambda_http::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    edge::observe::start("invite");
    let app = edge::App::from_env()?;
    app.store.connect().await;
    edge::http::run("invite", app, invite::handle).await
}
