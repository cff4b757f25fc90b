//! The Lambda function `remove`: wiring only.

use lambda_http::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    edge::init_tracing();
    let app = edge::App::from_env().await?;
    edge::http::run(app, remove::handle).await
}
