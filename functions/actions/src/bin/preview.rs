//! The Lambda function `preview`: shows the invitation of a link. The handler is [`actions::preview`].

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    lambda_api::http::main(env!("CARGO_BIN_NAME"), actions::preview::INPUT, actions::preview::handle).await
}
