//! What dashboards and alerts ask for is there.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use crate::chart::deploy;
use crate::installation::Installation;
use crate::{alone, left_out};

/// What the names of ours begin with.
const OURS: [&str; 2] = ["confab_", "process_"];

/// The names of metrics in an expression.
fn names_in(expression: &str) -> BTreeSet<String> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours = |word: &&str| OURS.iter().any(|start| word.starts_with(start));
    words.filter(ours).map(str::to_owned).collect()
}

/// All strings that a JSON value holds under a key.
fn under<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match field.as_str() {
                    Some(text) if name == key => found.push(text),
                    _ => under(field, key, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| under(item, key, found)),
        _ => {}
    }
}

/// The names that dashboards and alerts ask for, each with where.
fn asked_for() -> BTreeSet<(String, String)> {
    let files = deploy().join("helm/confab/files");
    let mut asked = BTreeSet::new();
    let mut ask = |text: &str, place: &str| {
        asked.extend(names_in(text).into_iter().map(|name| (name, place.to_owned())));
    };
    for entry in fs::read_dir(files.join("dashboards")).unwrap() {
        let path = entry.unwrap().path();
        let dashboard: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let mut expressions = Vec::new();
        under(&dashboard, "expr", &mut expressions);
        under(&dashboard, "query", &mut expressions);
        assert!(expressions.len() > 8, "{}: few panels", path.display());
        for expression in expressions {
            ask(expression, &path.display().to_string());
        }
    }
    let alerts: Value =
        serde_saphyr::from_str(&fs::read_to_string(files.join("alerts.yaml")).unwrap()).unwrap();
    let mut expressions = Vec::new();
    under(&alerts, "expr", &mut expressions);
    for expression in expressions {
        ask(expression, "alerts.yaml");
    }
    // What an autoscaler is shown to look at.
    let example = fs::read_to_string(deploy().join("checks/accepted/everything.yaml")).unwrap();
    for line in example.lines().filter(|line| line.contains("metric: {name: ")) {
        ask(line, "everything.yaml");
    }
    asked
}

/// The names of the samples on a page of metrics.
fn samples(page: &str) -> BTreeSet<String> {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.split(['{', ' ']).next())
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn every_metric_that_is_asked_for_is_there() {
    if left_out() {
        return;
    }
    let _alone = alone().await;
    let installation = Installation::new();
    let worker = installation.start("worker").await;
    let gateway = installation.start("gateway").await;
    let connect = |user: &str| Installation::sign_in().connect(gateway.clients(), user);
    let mut alice = connect("alice").open().await;
    let mut bob = connect("bob").open().await;
    for _ in 0..3 {
        alice
            .request("new", json!({"chatId": "bob", "message": "Hello"}))
            .await;
        bob.until_text("Hello").await;
    }
    alice.request("messages", json!({"chatId": "bob"})).await;
    let mut there = samples(&gateway.metrics().await);
    there.extend(samples(&worker.metrics().await));
    let missing: Vec<_> = asked_for()
        .into_iter()
        .filter(|(name, _)| !there.contains(name))
        .collect();
    assert!(missing.is_empty(), "asked for, and not there: {missing:#?}");
}

#[test]
fn names_are_found_in_expressions() {
    let found = names_in("sum by (pod) (rate(confab_a_total{code=\"4009\"}[5m])) / process_b > 1");
    assert_eq!(
        found.into_iter().collect::<Vec<_>>(),
        ["confab_a_total", "process_b"]
    );
    assert!(asked_for().len() > 60);
}
