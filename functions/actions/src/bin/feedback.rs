//! The Lambda function `feedback`: updates the delivery of a mail after an SES event. The handler is
//! [`actions::feedback`].

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    lambda_api::event::main(env!("CARGO_BIN_NAME"), actions::feedback::handle).await
}
