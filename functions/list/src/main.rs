//! The Lambda function `list`: wiring only.

use lambda_http::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    edge::observe::start("list");
    let app = edge::App::from_env()?;
    app.store.connect().await;
    edge::http::run("list", app, list::handle).await
}
