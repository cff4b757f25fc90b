//! The Lambda function `decline`: declines an invitation. The handler is [`actions::decline`].

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    lambda_api::http::main(env!("CARGO_BIN_NAME"), actions::decline::INPUT, actions::decline::handle).await
}
