//! The minimal program with which a function's instructions are compared.
//!
//! It has the same Lambda runtime and SDK configuration, sends the requests that the function sent, with the same
//! items, and returns the function's response. It decides nothing.
//!
//! The environment variable `BASELINE_RECORDING` contains the path of a JSON file with the requests (`operation` and
//! `body`) and the function's result (`statusCode` and `body`).

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Delete, Get, Put, TransactGetItem, TransactWriteItem, Update,
};
use aws_sdk_kms::types::MacAlgorithmSpec;
use lambda_http::{Body, Error, Request, Response, service_fn};
use serde_json::Value;

type Attributes = HashMap<String, AttributeValue>;

/// A request to AWS.
enum Call {
    Get { table: String, key: Attributes },
    TransactGet(Vec<TransactGetItem>),
    TransactWrite { items: Vec<TransactWriteItem>, token: String },
    Query(Query),
    VerifyMac { key: String, message: Blob, mac: Blob },
}

struct Query {
    table: String,
    condition: String,
    projection: Option<String>,
    names: Option<HashMap<String, String>>,
    values: Option<Attributes>,
    limit: Option<i32>,
}

struct Baseline {
    reads: aws_sdk_dynamodb::Client,
    writes: aws_sdk_dynamodb::Client,
    kms: aws_sdk_kms::Client,
    calls: Vec<Call>,
    status: u16,
    body: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let recording: Value =
        serde_json::from_str(&std::fs::read_to_string(std::env::var("BASELINE_RECORDING")?)?)?;
    let config = aws_client::config()?;
    let without_retries =
        aws_sdk_dynamodb::config::Builder::from(&config).retry_config(RetryConfig::disabled());
    let requests = recording["requests"].as_array().into_iter().flatten();
    let baseline = Arc::new(Baseline {
        reads: aws_sdk_dynamodb::Client::new(&config),
        writes: aws_sdk_dynamodb::Client::from_conf(without_retries.build()),
        kms: aws_sdk_kms::Client::new(&config),
        calls: requests.map(parse_call).collect::<Result<_, _>>()?,
        status: u16::try_from(recording["result"]["statusCode"].as_u64().unwrap_or(200))?,
        body: text(&recording["result"]["body"]),
    });
    let service = service_fn(move |_: Request| handle(Arc::clone(&baseline)));
    lambda_http::run(service).await
}

async fn handle(baseline: Arc<Baseline>) -> Result<Response<Body>, Error> {
    for call in &baseline.calls {
        match call {
            Call::Get { table, key } => {
                let get = baseline.reads.get_item().table_name(table).consistent_read(true);
                get.set_key(Some(key.clone())).send().await?;
            }
            Call::TransactGet(items) => {
                baseline.reads.transact_get_items().set_transact_items(Some(items.clone())).send().await?;
            }
            Call::TransactWrite { items, token } => {
                let write = baseline.writes.transact_write_items().set_transact_items(Some(items.clone()));
                write.client_request_token(token).send().await?;
            }
            Call::Query(query) => {
                let request = baseline.reads.query().table_name(&query.table).consistent_read(true);
                let request = request
                    .key_condition_expression(&query.condition)
                    .set_projection_expression(query.projection.clone())
                    .set_expression_attribute_names(query.names.clone())
                    .set_expression_attribute_values(query.values.clone())
                    .set_limit(query.limit);
                request.send().await?;
            }
            Call::VerifyMac { key, message, mac } => {
                let verify =
                    baseline.kms.verify_mac().key_id(key).mac_algorithm(MacAlgorithmSpec::HmacSha256);
                verify.message(message.clone()).mac(mac.clone()).send().await?;
            }
        }
    }
    let body = if baseline.body.is_empty() { Body::Empty } else { Body::from(baseline.body.as_str()) };
    let response = Response::builder().status(baseline.status).header("content-type", "application/json");
    Ok(response.body(body)?)
}

/// Parses a recorded request.
fn parse_call(request: &Value) -> Result<Call, Error> {
    let body = &request["body"];
    let table = text(&body["TableName"]);
    let items = || body["TransactItems"].as_array().into_iter().flatten();
    Ok(match request["operation"].as_str().unwrap_or_default() {
        "GetItem" => Call::Get { table, key: attributes(&body["Key"]) },
        "TransactGetItems" => Call::TransactGet(items().map(parse_get).collect::<Result<_, _>>()?),
        "TransactWriteItems" => Call::TransactWrite {
            items: items().map(parse_write).collect::<Result<_, _>>()?,
            token: text(&body["ClientRequestToken"]),
        },
        "Query" => Call::Query(Query {
            table,
            condition: text(&body["KeyConditionExpression"]),
            projection: body["ProjectionExpression"].as_str().map(str::to_owned),
            names: names(body),
            values: values(body),
            limit: body["Limit"].as_i64().map(i32::try_from).transpose()?,
        }),
        "VerifyMac" => Call::VerifyMac {
            key: text(&body["KeyId"]),
            message: blob(&body["Message"])?,
            mac: blob(&body["Mac"])?,
        },
        other => return Err(format!("the baseline does not support {other}").into()),
    })
}

fn parse_get(item: &Value) -> Result<TransactGetItem, Error> {
    let get = &item["Get"];
    let get = Get::builder().table_name(text(&get["TableName"])).set_key(Some(attributes(&get["Key"])));
    Ok(TransactGetItem::builder().get(get.build()?).build())
}

fn parse_write(item: &Value) -> Result<TransactWriteItem, Error> {
    let (kind, it) = item.as_object().and_then(|item| item.iter().next()).ok_or("an empty item")?;
    let (table, condition) = (text(&it["TableName"]), text(&it["ConditionExpression"]));
    let key = || Some(attributes(&it["Key"]));
    let write = TransactWriteItem::builder();
    let write = match kind.as_str() {
        "Put" => {
            let put = Put::builder().table_name(table).set_item(Some(attributes(&it["Item"])));
            let put = put.condition_expression(condition).set_expression_attribute_names(names(it));
            write.put(put.set_expression_attribute_values(values(it)).build()?)
        }
        "Update" => {
            let update = Update::builder().table_name(table).set_key(key()).condition_expression(condition);
            let update = update.update_expression(text(&it["UpdateExpression"]));
            let update = update.set_expression_attribute_names(names(it));
            write.update(update.set_expression_attribute_values(values(it)).build()?)
        }
        "Delete" => {
            let delete = Delete::builder().table_name(table).set_key(key()).condition_expression(condition);
            let delete = delete.set_expression_attribute_names(names(it));
            write.delete(delete.set_expression_attribute_values(values(it)).build()?)
        }
        _ => {
            let check = ConditionCheck::builder().table_name(table).set_key(key());
            let check = check.condition_expression(condition).set_expression_attribute_names(names(it));
            write.condition_check(check.set_expression_attribute_values(values(it)).build()?)
        }
    };
    Ok(write.build())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn blob(value: &Value) -> Result<Blob, Error> {
    Ok(Blob::new(data_encoding::BASE64.decode(text(value).as_bytes())?))
}

fn names(request: &Value) -> Option<HashMap<String, String>> {
    let names = request["ExpressionAttributeNames"].as_object()?;
    Some(names.iter().map(|(name, attribute)| (name.clone(), text(attribute))).collect())
}

fn values(request: &Value) -> Option<Attributes> {
    let values = &request["ExpressionAttributeValues"];
    values.is_object().then(|| attributes(values))
}

fn attributes(item: &Value) -> Attributes {
    let attributes = item.as_object().into_iter().flatten();
    attributes.map(|(name, value)| (name.clone(), attribute(value))).collect()
}

/// Parses a value in DynamoDB's JSON. Supports the types that Roster stores.
fn attribute(value: &Value) -> AttributeValue {
    let texts = |list: &Value| list.as_array().into_iter().flatten().map(text).collect();
    match value.as_object().and_then(|value| value.iter().next()) {
        Some((kind, value)) => match kind.as_str() {
            "S" => AttributeValue::S(text(value)),
            "N" => AttributeValue::N(text(value)),
            "BOOL" => AttributeValue::Bool(value.as_bool().unwrap_or_default()),
            "SS" => AttributeValue::Ss(texts(value)),
            "M" => AttributeValue::M(attributes(value)),
            _ => AttributeValue::Null(true),
        },
        None => AttributeValue::Null(true),
    }
}
