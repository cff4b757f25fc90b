//! Conversion of YAML to JSON.

use saphyr::{LoadableYamlNode as _, Scalar, Yaml};
use serde_json::{Map, Value, json};

/// The text is not one YAML document that JSON can represent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this YAML cannot be converted to JSON: {0}")]
pub struct YamlError(String);

/// Converts a YAML document to JSON.
///
/// `expand` converts a value with a local tag, such as `!Ref`. It gets the tag's name without the `!`, and returns `None`
/// for a tag that it does not support.
pub fn to_json(text: &str, expand: fn(&str, Value) -> Option<Value>) -> Result<Value, YamlError> {
    let documents = Yaml::load_from_str(text).map_err(|error| YamlError(error.to_string()))?;
    match documents.as_slice() {
        [document] => value(document, expand),
        others => Err(YamlError(format!("expected one document, not {}", others.len()))),
    }
}

fn value(yaml: &Yaml<'_>, expand: fn(&str, Value) -> Option<Value>) -> Result<Value, YamlError> {
    let unsupported = || YamlError(format!("unsupported: {yaml:?}"));
    Ok(match yaml {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(value)) => json!(value),
        Yaml::Value(Scalar::Integer(value)) => json!(value),
        Yaml::Value(Scalar::FloatingPoint(value)) => json!(value.into_inner()),
        Yaml::Value(Scalar::String(value)) => json!(value),
        Yaml::Sequence(items) => {
            items.iter().map(|item| value(item, expand)).collect::<Result<_, YamlError>>()?
        }
        Yaml::Mapping(entries) => {
            let entry = |(key, item): (&Yaml<'_>, &Yaml<'_>)| {
                let key = match value(key, expand)? {
                    Value::String(key) => key,
                    // For example the status codes of the contract, which are numbers in YAML.
                    key => key.to_string(),
                };
                Ok((key, value(item, expand)?))
            };
            Value::Object(entries.iter().map(entry).collect::<Result<Map<_, _>, YamlError>>()?)
        }
        Yaml::Tagged(tag, inner) if tag.handle == "!" => {
            expand(&tag.suffix, value(inner, expand)?).ok_or_else(unsupported)?
        }
        _ => return Err(unsupported()),
    })
}
