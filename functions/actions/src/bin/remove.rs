//! The Lambda function `remove`: removes a member. The handler is [`actions::remove`].

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    lambda_api::http::main(env!("CARGO_BIN_NAME"), actions::remove::INPUT, actions::remove::handle).await
}
