//! The Lambda function `create`: wiring only.

use lambda_http::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    edge::observe::start("create");
    let app = edge::App::from_env()?;
    app.store.connect().await;
    edge::http::run("create", app, create::handle).await
}
