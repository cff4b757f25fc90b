//! The Lambda function `revoke`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    edge::http::main(env!("CARGO_BIN_NAME"), actions::revoke::handle).await
}
