//! The Lambda function `reconcile`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    edge::event::main(env!("CARGO_BIN_NAME"), actions::reconcile::handle).await
}
