//! The Lambda function `list`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    edge::http::main(env!("CARGO_BIN_NAME"), actions::list::handle).await
}
