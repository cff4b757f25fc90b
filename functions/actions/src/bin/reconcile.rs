//! The Lambda function `reconcile`: finds and repairs overdue work. The handler is [`actions::reconcile`].

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    lambda_api::event::main(env!("CARGO_BIN_NAME"), actions::reconcile::handle).await
}
