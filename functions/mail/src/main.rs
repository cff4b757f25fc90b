//! The Lambda function `mail`: wiring only.

use lambda_runtime::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    edge::observe::start("mail");
    let app = mail::App::from_env()?;
    edge::event::run("mail", app, mail::handle).await
}
