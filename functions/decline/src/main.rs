//! The Lambda function `decline`: wiring only.

use lambda_http::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    edge::observe::start("decline");
    let app = links::App::from_env()?;
    app.edge.store.connect().await;
    edge::http::run("decline", app, decline::handle).await
}
