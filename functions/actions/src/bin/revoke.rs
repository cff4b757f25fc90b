//! The Lambda function `revoke`: revokes an invitation. The handler is [`actions::revoke`].

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    lambda_api::http::main(env!("CARGO_BIN_NAME"), actions::revoke::INPUT, actions::revoke::handle).await
}
