//! The Lambda function `mail`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    edge::event::main(env!("CARGO_BIN_NAME"), mail::handle).await
}
