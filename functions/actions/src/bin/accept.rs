//! The Lambda function `accept`: accepts an invitation. The handler is [`actions::accept`].

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    lambda_api::http::main(env!("CARGO_BIN_NAME"), actions::accept::INPUT, actions::accept::handle).await
}
