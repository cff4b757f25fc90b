//! The Lambda function `invite`: invites addresses. The handler is [`actions::invite`].

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    lambda_api::http::main(env!("CARGO_BIN_NAME"), actions::invite::INPUT, actions::invite::handle).await
}
