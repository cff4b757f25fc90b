//! The Lambda function `create`: creates an organization. The handler is [`actions::create`].

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    lambda_api::http::main(env!("CARGO_BIN_NAME"), actions::create::INPUT, actions::create::handle).await
}
