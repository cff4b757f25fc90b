//! The table's schema, for the laptop (the local server that `cargo run` starts) and the tests.
//!
//! In AWS, `infra/template.yaml` creates the table.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, StreamSpecification, StreamViewType,
};

/// The index of a user's organizations.
pub const BY_USER: &str = "by_user";
/// The index of pending invitations by `due_at`.
pub const BY_DUE: &str = "by_due";
/// The attribute for DynamoDB's time to live: closed invitations, stored responses and recipient days have it.
pub const TTL: &str = "ttl";

/// Builds the request that creates the table. Time to live on [`TTL`] needs a separate request.
pub fn create_table_request(client: &Client, table: &str) -> Result<CreateTableFluentBuilder, BuildError> {
    let (text, number) = (ScalarAttributeType::S, ScalarAttributeType::N);
    let mut create = client
        .create_table()
        .table_name(table)
        .billing_mode(BillingMode::PayPerRequest)
        .stream_specification(
            StreamSpecification::builder()
                .stream_enabled(true)
                .stream_view_type(StreamViewType::NewAndOldImages)
                .build()?,
        );
    for (name, kind) in
        [("pk", &text), ("sk", &text), ("person", &text), ("due_shard", &number), ("due_at", &number)]
    {
        create = create.attribute_definitions(
            AttributeDefinition::builder().attribute_name(name).attribute_type(kind.clone()).build()?,
        );
    }
    for element in key("pk", "sk")? {
        create = create.key_schema(element);
    }
    let projection = Projection::builder();
    let roles = projection.clone().projection_type(ProjectionType::Include).non_key_attributes("role");
    let keys = projection.projection_type(ProjectionType::KeysOnly);
    for (index, [hash, range], projection) in
        [(BY_USER, key("person", "pk")?, roles), (BY_DUE, key("due_shard", "due_at")?, keys)]
    {
        create = create.global_secondary_indexes(
            GlobalSecondaryIndex::builder()
                .index_name(index)
                .key_schema(hash)
                .key_schema(range)
                .projection(projection.build())
                .build()?,
        );
    }
    Ok(create)
}

fn key(hash: &str, range: &str) -> Result<[KeySchemaElement; 2], BuildError> {
    let element = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
    Ok([element(hash, KeyType::Hash)?, element(range, KeyType::Range)?])
}
