//! The Lambda function `feedback`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    lambda_api::event::main(env!("CARGO_BIN_NAME"), actions::feedback::handle).await
}
