//! The Lambda function `reconcile`: wiring only.

use std::sync::Arc;

use lambda_runtime::{Error, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    edge::init_tracing();
    let app = Arc::new(edge::App::from_env().await?);
    lambda_runtime::run(service_fn(|event| Box::pin(reconcile::handle(Arc::clone(&app), event)))).await
}
