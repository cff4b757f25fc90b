//! The Lambda function `organization-edit`: renames an organization. The handler is [`actions::organization_edit`].

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    lambda_api::http::main(
        env!("CARGO_BIN_NAME"),
        actions::organization_edit::INPUT,
        actions::organization_edit::handle,
    )
    .await
}
