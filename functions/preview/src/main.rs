//! The Lambda function `preview`: wiring only.

use lambda_http::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    edge::observe::start("preview");
    let app = links::App::from_env()?;
    app.edge.store.connect().await;
    edge::http::run("preview", app, preview::handle).await
}
