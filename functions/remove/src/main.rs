//! The Lambda function `remove`: wiring only.

use lambda_http::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    edge::observe::start("remove");
    let app = edge::App::from_env()?;
    app.store.connect().await;
    edge::http::run("remove", app, remove::handle).await
}
