//! The Lambda function `accept`: wiring only.

use lambda_http::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    edge::observe::start("accept");
    let app = links::App::from_env()?;
    app.edge.store.connect().await;
    edge::http::run("accept", app, accept::handle).await
}
