//! `infra/template.yaml` as a tree, with `CloudFormation`'s short forms (`!Ref`, `!Sub`) written out.

use std::collections::BTreeMap;
use std::fs;

use saphyr::{LoadableYamlNode as _, Scalar, Yaml};
use serde_json::{Map, Value, json};

/// The template.
#[derive(Debug, Clone, PartialEq)]
pub struct Template(pub Value);

/// A function that it deploys.
#[derive(Debug, Clone, PartialEq)]
pub struct Function {
    /// Its name: the folder below `functions`.
    pub name: String,
    /// The logical id of its role.
    pub role: String,
    /// What calls reach it: method, path, and whether they need sign-in.
    pub routes: Vec<(String, String, bool)>,
    /// Whether it reads the table's stream.
    pub reads_stream: bool,
    /// Whether it is invoked asynchronously.
    pub is_asynchronous: bool,
}

/// A file of the repository.
pub fn file(path: &str) -> String {
    fs::read_to_string(crate::top().join(path))
        .unwrap_or_else(|error| panic!("{path} cannot be read: {error}"))
}

/// A YAML text as JSON.
pub fn yaml(text: &str) -> Value {
    let documents = Yaml::load_from_str(text).unwrap_or_else(|error| panic!("this is no YAML: {error}"));
    let [document] = documents.as_slice() else { panic!("there is one document, not {}", documents.len()) };
    value(document)
}

fn value(yaml: &Yaml<'_>) -> Value {
    match yaml {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(value)) => json!(value),
        Yaml::Value(Scalar::Integer(value)) => json!(value),
        Yaml::Value(Scalar::FloatingPoint(value)) => json!(value.into_inner()),
        Yaml::Value(Scalar::String(value)) => json!(value),
        Yaml::Sequence(items) => items.iter().map(value).collect(),
        Yaml::Mapping(entries) => {
            let entry = |(key, item): (&Yaml<'_>, &Yaml<'_>)| match value(key) {
                Value::String(key) => (key, value(item)),
                key => (key.to_string(), value(item)),
            };
            Value::Object(entries.iter().map(entry).collect::<Map<_, _>>())
        }
        Yaml::Tagged(tag, inner) if tag.handle == "!" => written_out(&tag.suffix, value(inner)),
        other => panic!("this does not belong into a template: {other:?}"),
    }
}

fn written_out(tag: &str, inner: Value) -> Value {
    match (tag, inner) {
        ("Ref" | "Condition", inner) => json!({ tag: inner }),
        ("GetAtt", Value::String(path)) => {
            let (resource, attribute) = path.split_once('.').expect("!GetAtt names an attribute");
            json!({ "Fn::GetAtt": [resource, attribute] })
        }
        (_, inner) => json!({ format!("Fn::{tag}"): inner }),
    }
}

impl Template {
    /// The one of this repository.
    pub fn load() -> Self {
        Self(yaml(&file("infra/template.yaml")))
    }

    /// A resource's properties.
    pub fn properties(&self, resource: &str) -> &Value {
        let properties = &self.0["Resources"][resource]["Properties"];
        assert!(properties.is_object(), "the template has no resource {resource}");
        properties
    }

    /// The logical ids of all resources of that type.
    pub fn resources(&self, kind: &str) -> Vec<&str> {
        let resources = self.0["Resources"].as_object().expect("a template has resources");
        resources.iter().filter(|(_, it)| it["Type"] == kind).map(|(name, _)| name.as_str()).collect()
    }

    /// All functions, by name.
    pub fn functions(&self) -> BTreeMap<String, Function> {
        let ids = self.resources("AWS::Serverless::Function");
        ids.into_iter().map(|id| self.function(id)).map(|it| (it.name.clone(), it)).collect()
    }

    fn function(&self, id: &str) -> Function {
        let properties = self.properties(id);
        let code = properties["CodeUri"].as_str().unwrap_or_default();
        let package = code.strip_prefix("../functions/").unwrap_or_else(|| panic!("{id} has no code"));
        let binary = &self.0["Resources"][id]["Metadata"]["BuildProperties"]["Binary"];
        let name = binary.as_str().unwrap_or(package);
        // The words of an action are the same everywhere: RoleEditFunction is the binary role-edit.
        let words = id.strip_suffix("Function").unwrap_or_default();
        assert_eq!(words.to_lowercase(), name.replace('-', ""), "{id} deploys {name} of {code}");
        let role = properties["Role"]["Fn::GetAtt"][0].as_str();
        let events = properties["Events"].as_object().cloned().unwrap_or_default();
        let of_kind = |kind: &str| events.values().filter(|it| it["Type"] == kind).collect::<Vec<_>>();
        let route = |event: &&Value| {
            let text = |name: &str| event["Properties"][name].as_str().unwrap_or_default().to_owned();
            (text("Method"), text("Path"), event["Properties"]["Auth"]["Authorizer"] != "NONE")
        };
        Function {
            name: name.to_owned(),
            role: role.unwrap_or_else(|| panic!("{id} has no role of its own")).to_owned(),
            routes: of_kind("HttpApi").iter().map(route).collect(),
            reads_stream: !of_kind("DynamoDB").is_empty(),
            is_asynchronous: properties.get("EventInvokeConfig").is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use dev::function_table::FUNCTIONS;

    use super::*;

    #[test]
    fn short_forms_are_written_out() {
        let read =
            yaml("a: !Ref B\nc: !GetAtt D.E.F\ng: !Sub \"${H}\"\ni: !If [J, !Ref K, 1]\nl: !Condition M\n");
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

    /// Names of files and folders below `folder`, without what follows a dot.
    fn names(folder: &str) -> Vec<String> {
        let entries = fs::read_dir(crate::top().join(folder)).unwrap();
        let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        entries.map(|entry| name(entry).split('.').next().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_template_deploys_the_table_of_functions_and_every_binary() {
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
