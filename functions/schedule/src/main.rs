//! The Lambda function `schedule`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    lambda_api::event::main(env!("CARGO_BIN_NAME"), schedule::handle).await
}
