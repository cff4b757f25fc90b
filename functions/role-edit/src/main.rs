//! The Lambda function `role-edit`: wiring only.

use lambda_http::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    edge::observe::start("role-edit");
    let app = edge::App::from_env()?;
    app.store.connect().await;
    edge::http::run("role-edit", app, role_edit::handle).await
}
