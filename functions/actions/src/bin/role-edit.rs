//! The Lambda function `role-edit`: changes the role of a member. The handler is [`actions::role_edit`].

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    lambda_api::http::main(env!("CARGO_BIN_NAME"), actions::role_edit::INPUT, actions::role_edit::handle)
        .await
}
