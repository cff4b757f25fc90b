//! Reads `infra/template.yaml` as JSON, with the short forms of `CloudFormation` (`!Ref`, `!Sub`) expanded.

use std::collections::BTreeMap;
use std::fs;
use std::sync::OnceLock;

use local::yaml;
use serde_json::{Value, json};

/// A `CloudFormation` template.
#[derive(Debug, Clone, PartialEq)]
pub struct Template(pub Value);

/// A function in the template.
#[derive(Debug, Clone, PartialEq)]
pub struct Function {
    /// The name: the binary, or the folder below `functions`.
    pub name: String,
    /// The logical id of its role.
    pub role: String,
    /// The routes: method, path, and whether the caller must be signed in.
    pub routes: Vec<(String, String, bool)>,
    /// Whether the function reads the table's stream.
    pub reads_stream: bool,
    /// Whether the function is invoked asynchronously.
    pub is_asynchronous: bool,
}

/// Reads a file of the repository.
pub fn read_file(path: &str) -> String {
    fs::read_to_string(crate::repository_root().join(path))
        .unwrap_or_else(|error| panic!("{path} cannot be read: {error}"))
}

/// Converts YAML to JSON. Expands the short forms of `CloudFormation`.
pub fn parse_yaml(text: &str) -> Value {
    yaml::to_json(text, |tag, inner| Some(expand_short_form(tag, inner)))
        .unwrap_or_else(|error| panic!("{error}"))
}

fn expand_short_form(tag: &str, inner: Value) -> Value {
    match (tag, inner) {
        ("Ref" | "Condition", inner) => json!({ tag: inner }),
        ("GetAtt", Value::String(path)) => {
            let (resource, attribute) =
                path.split_once('.').expect("!GetAtt has a resource and an attribute");
            json!({ "Fn::GetAtt": [resource, attribute] })
        }
        (_, inner) => json!({ format!("Fn::{tag}"): inner }),
    }
}

impl Template {
    /// Loads the template of this repository.
    pub fn load() -> Self {
        Self(parse_yaml(&read_file("infra/template.yaml")))
    }

    /// Returns the properties of a resource.
    pub fn properties(&self, resource: &str) -> &Value {
        let properties = &self.0["Resources"][resource]["Properties"];
        assert!(properties.is_object(), "the template has no resource {resource}");
        properties
    }

    /// Returns the logical ids of all resources of a type.
    pub fn resources(&self, kind: &str) -> Vec<&str> {
        let resources = self.0["Resources"].as_object().expect("the template has resources");
        resources.iter().filter(|(_, it)| it["Type"] == kind).map(|(name, _)| name.as_str()).collect()
    }

    /// Returns the template for these values of parameters: each `Fn::If` in a resource is replaced by its value.
    ///
    /// Other parameters have their defaults.
    #[must_use]
    pub fn with_parameters(&self, parameters: &[(&str, &str)]) -> Self {
        let deployed = Deployed { template: self, parameters: parameters.iter().copied().collect() };
        let mut template = self.clone();
        template.0["Resources"] = deployed.resolve(&self.0["Resources"]);
        template
    }

    /// Returns all functions by name.
    pub fn functions(&self) -> BTreeMap<String, Function> {
        let ids = self.resources("AWS::Serverless::Function");
        ids.into_iter().map(|id| self.function(id)).map(|it| (it.name.clone(), it)).collect()
    }

    fn function(&self, id: &str) -> Function {
        let properties = self.properties(id);
        let code = properties["CodeUri"].as_str().unwrap_or_default();
        let package = code
            .strip_prefix("../functions/")
            .unwrap_or_else(|| panic!("{id} has no code below ../functions/"));
        let binary = &self.0["Resources"][id]["Metadata"]["BuildProperties"]["Binary"];
        let name = binary.as_str().unwrap_or(package);
        // An action has the same name everywhere: RoleEditFunction deploys the binary role-edit.
        let words = id.strip_suffix("Function").unwrap_or_default();
        assert_eq!(words.to_lowercase(), name.replace('-', ""), "{id} deploys the binary {name} of {code}");
        let role = properties["Role"]["Fn::GetAtt"][0].as_str();
        let events = properties["Events"].as_object().cloned().unwrap_or_default();
        let events_of_type = |kind: &str| events.values().filter(|it| it["Type"] == kind).collect::<Vec<_>>();
        let route = |event: &&Value| {
            let text = |name: &str| event["Properties"][name].as_str().unwrap_or_default().to_owned();
            (text("Method"), text("Path"), event["Properties"]["Auth"]["Authorizer"] != "NONE")
        };
        Function {
            name: name.to_owned(),
            role: role.unwrap_or_else(|| panic!("{id} has no role of its own")).to_owned(),
            routes: events_of_type("HttpApi").iter().map(route).collect(),
            reads_stream: !events_of_type("DynamoDB").is_empty(),
            is_asynchronous: properties.get("EventInvokeConfig").is_some(),
        }
    }
}

/// The template, deployed with these values of parameters. All other parameters have their defaults.
#[derive(Debug)]
pub struct Deployed<'a> {
    /// The template.
    pub template: &'a Template,
    /// The values by parameter.
    pub parameters: BTreeMap<&'a str, &'a str>,
}

impl Deployed<'_> {
    /// Returns the environment variables of the function with this logical id. ARNs and ids that AWS would choose are
    /// invented.
    pub fn variables(&self, function: &str) -> BTreeMap<String, String> {
        let globals = &self.template.0["Globals"]["Function"]["Environment"]["Variables"];
        let own = &self.template.properties(function)["Environment"]["Variables"];
        let variables = [globals, own].into_iter().filter_map(Value::as_object).flatten();
        variables.filter_map(|(name, node)| Some((name.clone(), self.evaluate(node)?))).collect()
    }

    /// Replaces each `Fn::If` in a node by its value. Leaves out what is `AWS::NoValue`.
    fn resolve(&self, node: &Value) -> Value {
        let no_value = json!({ "Ref": "AWS::NoValue" });
        match (only(node), node) {
            (Some(("Fn::If", branches)), _) => {
                let holds = self.evaluate_condition(&json!({ "Condition": branches[0] }));
                self.resolve(&branches[if holds { 1 } else { 2 }])
            }
            (_, Value::Array(items)) => {
                items.iter().map(|item| self.resolve(item)).filter(|item| *item != no_value).collect()
            }
            (_, Value::Object(fields)) => {
                let fields = fields.iter().map(|(name, field)| (name.clone(), self.resolve(field)));
                Value::Object(fields.filter(|(_, field)| *field != no_value).collect())
            }
            (_, node) => node.clone(),
        }
    }

    /// Returns the value of a node, or `None` for `AWS::NoValue`.
    fn evaluate(&self, node: &Value) -> Option<String> {
        let Value::Object(object) = node else { return Some(plain(node)) };
        let (function, argument) = object.iter().next().expect("the object is a function of CloudFormation");
        match function.as_str() {
            "Ref" => self.reference(argument.as_str()?),
            "Fn::GetAtt" => Some(format!("arn:aws:made-up:{}", argument[0].as_str()?)),
            "Fn::If" => {
                let index = if self.evaluate_condition(&json!({ "Condition": argument[0] })) { 1 } else { 2 };
                self.evaluate(&argument[index])
            }
            "Fn::Select" => {
                let index = usize::try_from(argument[0].as_u64()?).ok()?;
                let Some(("Fn::Split", split)) = only(&argument[1]) else {
                    panic!("unsupported Fn::Select: {node}")
                };
                let whole = self.evaluate(&split[1])?;
                whole.split(split[0].as_str()?).nth(index).map(str::to_owned)
            }
            "Fn::Sub" => Some(self.substitute(argument)),
            other => panic!("unsupported function in a variable: {other}"),
        }
    }

    fn reference(&self, name: &str) -> Option<String> {
        if name == "AWS::NoValue" {
            return None;
        }
        let parameter = &self.template.0["Parameters"][name];
        if parameter.is_null() {
            // An invented id that begins with the name and looks like a UUID, as the id of a KMS key does.
            return Some(format!("{}-1234-1234-1234-123456789abc", name.to_lowercase().replace("::", "-")));
        }
        let given = self.parameters.get(name).map(|&given| given.to_owned());
        let default = || plain(parameter.get("Default").unwrap_or_else(|| panic!("{name} needs a value")));
        Some(given.unwrap_or_else(default))
    }

    fn substitute(&self, argument: &Value) -> String {
        let (text, named) = match argument {
            Value::Array(both) => (&both[0], &both[1]),
            text => (text, &Value::Null),
        };
        let mut rest = text.as_str().expect("this is a string");
        let mut result = String::new();
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after.split_once('}').expect("a closing brace ends the name");
            let value = match (named.get(name), name.split_once('.')) {
                (Some(node), _) => self.evaluate(node),
                (None, Some((resource, _))) => Some(format!("arn:aws:made-up:{resource}")),
                (None, None) => self.reference(name),
            };
            result.push_str(before);
            result.push_str(&value.unwrap_or_default());
            rest = after;
        }
        result + rest
    }

    fn evaluate_condition(&self, condition: &Value) -> bool {
        let Some((function, argument)) = only(condition) else {
            panic!("this is not a condition: {condition}")
        };
        let all = || argument.as_array().into_iter().flatten();
        match function {
            "Condition" => self.evaluate_condition(
                &self.template.0["Conditions"][argument.as_str().expect("the condition has a name")],
            ),
            "Fn::Equals" => self.evaluate(&argument[0]) == self.evaluate(&argument[1]),
            "Fn::Not" => !self.evaluate_condition(&argument[0]),
            "Fn::And" => all().all(|it| self.evaluate_condition(it)),
            "Fn::Or" => all().any(|it| self.evaluate_condition(it)),
            other => panic!("unsupported function in a condition: {other}"),
        }
    }
}

/// Returns the only entry of an object, or `None` if the node is not an object with one entry.
fn only(node: &Value) -> Option<(&str, &Value)> {
    let object = node.as_object().filter(|object| object.len() == 1)?;
    object.iter().next().map(|(name, value)| (name.as_str(), value))
}

fn plain(node: &Value) -> String {
    node.as_str().map_or_else(|| node.to_string(), str::to_owned)
}

/// Whether the template's filter patterns let this record of the table's stream through to a function.
pub fn stream_filter_accepts(function: &str, record: &Value) -> bool {
    static PATTERNS: OnceLock<BTreeMap<String, Vec<Value>>> = OnceLock::new();
    let patterns = PATTERNS.get_or_init(|| stream_patterns(&Template::load()));
    patterns[function].iter().any(|pattern| matches(pattern, record))
}

/// Returns the filter patterns of the functions that read the table's stream, by function.
fn stream_patterns(template: &Template) -> BTreeMap<String, Vec<Value>> {
    let pattern = |filter: &Value| -> Value {
        serde_json::from_str(filter["Pattern"].as_str().expect("the filter has a pattern"))
            .expect("the pattern is JSON")
    };
    let of = |id: &str| {
        let events = template.properties(id)["Events"].as_object().into_iter().flatten();
        let filters = events.filter(|(_, event)| event["Type"] == "DynamoDB").flat_map(|(_, event)| {
            event["Properties"]["FilterCriteria"]["Filters"].as_array().into_iter().flatten()
        });
        filters.map(pattern).collect::<Vec<_>>()
    };
    let ids = template.resources("AWS::Serverless::Function");
    ids.into_iter().map(|id| (template.function(id).name, of(id))).filter(|(_, it)| !it.is_empty()).collect()
}

/// Matches a record with a pattern of Lambda event filtering, as far as the template uses it.
///
/// For every field of the pattern, the record must have one of the listed values, or a value with a listed `prefix`.
fn matches(pattern: &Value, record: &Value) -> bool {
    match pattern {
        Value::Object(fields) => fields.iter().all(|(name, pattern)| matches(pattern, &record[name])),
        Value::Array(alternatives) => alternatives.iter().any(|alternative| match only(alternative) {
            Some(("prefix", prefix)) => record
                .as_str()
                .is_some_and(|text| text.starts_with(prefix.as_str().expect("this is a string"))),
            Some((other, _)) => panic!("unsupported comparison in a pattern: {other}"),
            None => alternative == record,
        }),
        other => panic!("this is not a pattern: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use local::function_table::FUNCTIONS;

    use super::*;

    #[test]
    fn expands_short_forms() {
        let read = parse_yaml(
            "a: !Ref B\nc: !GetAtt D.E.F\ng: !Sub \"${H}\"\ni: !If [J, !Ref K, 1]\nl: !Condition M\n",
        );
        assert_eq!(
            read,
            json!({
                "a": { "Ref": "B" },
                "c": { "Fn::GetAtt": ["D", "E.F"] },
                "g": { "Fn::Sub": "${H}" },
                "i": { "Fn::If": ["J", { "Ref": "K" }, 1] },
                "l": { "Condition": "M" },
            })
        );
    }

    #[test]
    fn a_pattern_matches_records_with_the_listed_values() {
        let pattern =
            json!({ "keys": { "sk": [{ "prefix": "A#" }] }, "new": { "status": ["pending", "queued"] } });
        let record = |sk: &str, status: &str| json!({ "keys": { "sk": sk }, "new": { "status": status } });
        assert!(matches(&pattern, &record("A#1", "pending")));
        assert!(matches(&pattern, &record("A#1", "queued")));
        assert!(!matches(&pattern, &record("B#1", "pending")));
        assert!(!matches(&pattern, &record("A#1", "sent")));
        assert!(!matches(&pattern, &json!({ "keys": { "sk": "A#1" } })));
    }

    /// Returns the names of files and folders in `folder`, without extensions.
    fn names(folder: &str) -> Vec<String> {
        let entries = fs::read_dir(crate::repository_root().join(folder)).unwrap();
        let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        entries.map(|entry| name(entry).split('.').next().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_template_deploys_every_function_of_the_function_table_and_every_binary() {
        let deployed: Vec<_> = Template::load().functions().into_keys().collect();
        let mut table: Vec<_> = FUNCTIONS.iter().map(|function| function.name).collect();
        table.sort_unstable();
        assert_eq!(deployed, table);
        let packages = names("functions").into_iter().filter(|package| package != "actions");
        let mut binaries: Vec<_> = packages.chain(names("functions/actions/src/bin")).collect();
        binaries.sort_unstable();
        assert_eq!(deployed, binaries);
    }
}
