//! What a deployment costs per month without traffic: `infra/README.md` states the numbers of custom metrics, alarms and
//! dashboards, and every custom metric is in use.

use std::collections::BTreeSet;

use harness::template::{Template, read_file};
use harness::{Fault, World};
use serde_json::{Value, json};

use crate::every_route;
use crate::log_capture::{start_capture, take_lines};

/// Namespace, name and dimensions of a metric.
type Metric = Vec<String>;

/// Returns whether a namespace in the template is the one of Roster's metrics.
fn is_own(namespace: &Value) -> bool {
    *namespace == json!({ "Fn::Sub": "Roster/${AWS::StackName}" }) || *namespace == "Roster/${AWS::StackName}"
}

/// Returns the metric of an alarm or of an entry in an alarm's `Metrics`.
fn metric_of_alarm(properties: &Value) -> Option<Metric> {
    let name = properties["MetricName"].as_str()?;
    let namespace = properties["Namespace"].as_str().unwrap_or("Roster/${AWS::StackName}");
    let dimensions = properties["Dimensions"].as_array().into_iter().flatten();
    let dimensions = dimensions.flat_map(|it| [it["Name"].as_str().unwrap().to_owned(), plain(&it["Value"])]);
    Some([namespace, name].map(str::to_owned).into_iter().chain(dimensions).collect())
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Returns the metrics of each alarm in the template, with the alarm's condition.
fn alarms(template: &Template) -> Vec<(String, Vec<Metric>)> {
    let alarms = template.resources("AWS::CloudWatch::Alarm").into_iter();
    let metrics = |id: &str| {
        let properties = template.properties(id);
        let several = properties["Metrics"].as_array().into_iter().flatten();
        let several = several.map(|it| &it["MetricStat"]["Metric"]);
        several.chain([properties]).filter_map(metric_of_alarm).collect()
    };
    alarms.map(|id| (plain(&template.0["Resources"][id]["Condition"]), metrics(id))).collect()
}

/// Returns the widgets of the dashboard.
fn widgets(template: &Template) -> Vec<Value> {
    let body = &template.properties("Dashboard")["DashboardBody"]["Fn::Sub"][0];
    let body: Value = serde_json::from_str(body.as_str().unwrap()).expect("the dashboard's body is JSON");
    body["widgets"].as_array().unwrap().clone()
}

/// Returns every metric in the dashboard's widgets. A metric that is shown with two statistics is there twice.
fn metrics_of_dashboard(template: &Template) -> Vec<Metric> {
    let mut found = Vec::new();
    for widget in widgets(template) {
        let mut previous = Metric::new();
        for entry in widget["properties"]["metrics"].as_array().into_iter().flatten() {
            let fields: Vec<_> = entry.as_array().unwrap().iter().filter_map(Value::as_str).collect();
            assert!(!fields.is_empty(), "the number of an expression's metrics is unknown: {entry}");
            // `...` repeats the beginning of the entry before, and `.` one of its fields.
            let metric: Metric = if let Some((&"...", rest)) = fields.split_first() {
                let repeated = previous.len() - rest.len();
                previous[..repeated].iter().cloned().chain(rest.iter().map(|&it| it.to_owned())).collect()
            } else {
                let resolve = |(index, &field): (usize, &&str)| match field {
                    "." => previous[index].clone(),
                    field => field.to_owned(),
                };
                fields.iter().enumerate().map(resolve).collect()
            };
            previous.clone_from(&metric);
            found.push(metric);
        }
    }
    found
}

/// Returns Roster's own metrics in alarms and on the dashboard. CloudWatch charges for each of them.
fn custom_metrics(template: &Template) -> BTreeSet<Metric> {
    let of_alarms = alarms(template).into_iter().flat_map(|(_, metrics)| metrics);
    let all = of_alarms.chain(metrics_of_dashboard(template));
    all.filter(|metric| is_own(&json!(metric[0]))).map(|metric| metric[1..].to_vec()).collect()
}

/// Returns the metrics that metric filters of the template make from log lines.
fn filtered_metrics(template: &Template) -> BTreeSet<Metric> {
    let filters = template.resources("AWS::Logs::MetricFilter").into_iter();
    let transformations = filters.map(|id| &template.properties(id)["MetricTransformations"][0]);
    let name = |it: &Value| {
        assert!(is_own(&it["MetricNamespace"]) && it["Dimensions"].is_null(), "{it}");
        vec![plain(&it["MetricName"])]
    };
    transformations.map(name).collect()
}

/// CloudWatch charges for each metric that receives data, whether something uses it or not.
#[tokio::test]
async fn every_custom_metric_is_used_by_an_alarm_or_the_dashboard() {
    start_capture();
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    every_route::call_all_in_an_organization(&world).await;
    world.wire().inject_fault("SendEmail", Fault::Refused("MessageRejected"), 1);
    world.invited(&acme, &ada, "bob@example.com", "member").await;
    world.invited(&acme, &ada, "cyd@example.com", "member").await;
    ada.removes(&acme, "ada").await.refused(409, "last_owner");
    world.wait_until_idle().await;
    world.invoke("reconcile", json!({})).await.unwrap();
    let mut measured = BTreeSet::new();
    for line in take_lines() {
        for directive in line["_aws"]["CloudWatchMetrics"].as_array().into_iter().flatten() {
            for metric in directive["Metrics"].as_array().unwrap() {
                let dimensions = directive["Dimensions"][0].as_array().unwrap().iter();
                let dimensions =
                    dimensions.flat_map(|name| [plain(name), plain(&line[name.as_str().unwrap()])]);
                measured.insert([plain(&metric["Name"])].into_iter().chain(dimensions).collect::<Metric>());
            }
        }
    }
    let template = Template::load();
    measured.extend(filtered_metrics(&template));
    assert_eq!(measured, custom_metrics(&template));
    world.finish().await;
}

/// A dashboard with more metrics is never in CloudWatch's free tier.
#[test]
fn the_dashboard_has_at_most_50_metrics() {
    let metrics = metrics_of_dashboard(&Template::load());
    assert!((30..=50).contains(&metrics.len()), "{}", metrics.len());
}

/// The dashboard shows outcomes and durations from the function log, without a metric for each.
#[tokio::test]
async fn the_queries_of_the_dashboard_use_fields_of_the_log_lines() {
    start_capture();
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.invited(&acme, &ada, "bob@example.com", "member").await;
    world.wait_until_idle().await;
    let lines = take_lines();
    let batch = lines.iter().find(|line| line["records"].is_u64()).unwrap();
    let queries: Vec<_> = widgets(&Template::load())
        .iter()
        .filter(|widget| widget["type"] == "log")
        .map(|widget| plain(&widget["properties"]["query"]))
        .collect();
    assert_eq!(queries.len(), 2);
    let field = regex_lite::Regex::new(r"ispresent\((\w+)\)|pct\((\w+),|\bby (\w+)(?:, (\w+))?").unwrap();
    for query in queries {
        assert!(query.starts_with("SOURCE '${FunctionLogs}' | filter "), "{query}");
        assert!(query.contains("not ispresent(records)"), "{query} counts batches and their invitations");
        let fields: BTreeSet<_> = field
            .captures_iter(&query)
            .flat_map(|found| {
                found.iter().skip(1).flatten().map(|it| it.as_str().to_owned()).collect::<Vec<_>>()
            })
            .collect();
        assert!(fields.len() >= 3, "{fields:?}");
        for field in fields {
            assert!(!batch[&field].is_null(), "{query}: {batch}");
        }
    }
    world.finish().await;
}

/// Returns the cells of the rows in the tables of a Markdown text.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let rows = text.lines().filter_map(|line| line.strip_prefix('|')?.strip_suffix('|'));
    rows.map(|row| row.split('|').map(str::trim).collect()).collect()
}

/// The tables in `infra/README.md` contain the numbers of the template, and their sums are right.
#[test]
fn the_readme_states_the_fixed_costs() {
    let template = Template::load();
    let readme = read_file("infra/README.md");
    let costs = readme.split("\n## ").find(|section| section.starts_with("Cost\n")).unwrap();
    let (_, fixed) = costs.split_once("| fixed costs per month |").unwrap();
    let table = rows(fixed);
    let row = |name: &str| {
        let found = table.iter().find(|row| row[0].starts_with(name));
        found.unwrap_or_else(|| panic!("the table has no row {name}: {table:?}"))
    };
    // 12.3 USD are 12,300.
    let usd = |text: &str| -> Option<usize> {
        let (whole, fraction) = text.trim_matches('*').split_once('.')?;
        format!("{whole}{fraction:0<3}").parse().ok()
    };
    let (own, console): (Vec<_>, Vec<_>) =
        alarms(&template).into_iter().partition(|(condition, _)| condition == "IsProduction");
    assert!(console.iter().all(|(condition, _)| condition == "WatchesConsole"), "{console:?}");
    let count =
        |alarms: &[(String, Vec<Metric>)]| alarms.iter().map(|(_, metrics)| metrics.len()).sum::<usize>();
    let (metrics, with_console) = (count(&own), count(&own) + count(&console));
    let custom = custom_metrics(&template).len();
    // Metric filters exist only in production.
    let in_development = custom - filtered_metrics(&template).len();
    let alarms = format!(
        "{metrics} metrics in {} alarms ({with_console} in {} with the console)",
        own.len(),
        own.len() + console.len()
    );
    for (name, quantity, production, development) in [
        ("KMS", "1 key".to_owned(), 1_000, 1_000),
        (
            "custom metrics",
            format!("{custom} ({in_development} in `development`)"),
            custom * 300,
            in_development * 300,
        ),
        ("alarms", alarms, metrics * 100, 0),
        ("dashboard", format!("1 with {} metrics", metrics_of_dashboard(&template).len()), 3_000, 0),
    ] {
        let row = row(name);
        assert_eq!(row[1], quantity, "{name}");
        assert_eq!((usd(row[3]), usd(row[4])), (Some(production), Some(development)), "{name}");
    }
    // The Lambda row has the GB-seconds that `tests/bench/memory.py` computes.
    let memory_time = costs.split_once("9,000 invocations, ").unwrap().1.split_once(" with").unwrap().0;
    let computed = read_file("tests/bench/RESULTS.md");
    assert!(computed.contains(&format!("take 9,000 invocations and {memory_time}: 0.00")), "{memory_time}");
    for (table, columns) in
        [(table.clone(), vec![3, 4]), (rows(costs.split_once("| fixed costs").unwrap().0), vec![3])]
    {
        let (total, summands) =
            table.iter().rposition(|row| row[0] == "total").map(|at| (&table[at], &table[..at])).unwrap();
        for column in columns {
            let sum: usize = summands.iter().filter_map(|row| usd(row[column])).sum();
            assert_eq!(Some(sum), usd(total[column]), "the total is {}", total[column]);
        }
    }
}
