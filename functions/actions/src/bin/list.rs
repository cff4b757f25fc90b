//! The Lambda function `list`: lists organizations, members and invitations. The handler is [`actions::list`].

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    lambda_api::http::main(env!("CARGO_BIN_NAME"), actions::list::INPUT, actions::list::handle).await
}
