//! The table's shape, for whoever makes one outside of the template: the laptop and the tests.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, StreamSpecification, StreamViewType,
};

/// A user's organizations.
pub const BY_USER: &str = "by_user";
/// What is overdue.
pub const BY_DUE: &str = "by_due";
/// The attribute that DynamoDB deletes closed invitations by.
pub const TTL: &str = "ttl";

/// The request that makes the table; time to live is a request of its own, on [`TTL`].
pub fn create(client: &Client, table: &str) -> Result<CreateTableFluentBuilder, BuildError> {
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
