//! The Lambda function `resend`: resends an invitation. The handler is [`actions::resend`].

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    lambda_api::http::main(env!("CARGO_BIN_NAME"), actions::resend::INPUT, actions::resend::handle).await
}
