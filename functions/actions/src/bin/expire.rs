//! The Lambda function `expire`: closes an invitation at its expiry. The handler is [`actions::expire`].

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    lambda_api::event::main(env!("CARGO_BIN_NAME"), actions::expire::handle).await
}
