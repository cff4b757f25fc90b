//! The Lambda function `resend`: wiring only.

use lambda_http::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    edge::observe::start("resend");
    let app = edge::App::from_env()?;
    app.store.connect().await;
    edge::http::run("resend", app, resend::handle).await
}
