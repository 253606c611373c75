//! The settings that the chart renders and offers are settings of the program, with values that it takes.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::chart::{Chart, deploy};
use crate::left_out;
use crate::pod::Container;
use crate::support::server::confab;

/// What the chart does not offer, since it sets it by itself, by Secrets that values name, or since it has no use in a cluster.
const NOT_OFFERED: &[&str] = &[
    "admin_listen",
    "auth",
    "banned_file",
    "cache_size",
    "cql_ca",
    "cql_cert",
    "cql_key",
    "cql_password_file",
    "cql_user",
    "data_dir",
    "drain_time",
    "eddsa_keys",
    "hs256_keys",
    "insecure_anywhere",
    "listen",
    "nats_ca",
    "nats_cert",
    "nats_creds_file",
    "nats_key",
    "nats_nkey_file",
    "nats_password_file",
    "nats_token_file",
    "nats_user",
    "own_partitions",
    "rs256_keys",
    "tls_cert",
    "tls_key",
];

/// Files that are good as what their names say.
fn foreign(_: &str) -> Vec<(String, Vec<u8>)> {
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests");
    let file = |path: &str| fs::read(tests.join(path)).unwrap();
    let secret = b"a secret of these tests, of 32 bytes and more".to_vec();
    [
        ("hs256.key", secret.clone()),
        ("one.key", secret.clone()),
        ("two.key", secret),
        ("rs256.pem", file("e2e/keys/rs256.pub.pem")),
        ("ed25519.pem", file("e2e/keys/eddsa.pub.pem")),
        ("tls.crt", file("process/tls/localhost.crt")),
        ("tls.key", file("process/tls/localhost.key")),
        ("ca.crt", file("process/tls/localhost.crt")),
        ("password", b"secret".to_vec()),
        ("confab.creds", b"creds".to_vec()),
        ("banned.txt", b"mallory\n".to_vec()),
    ]
    .map(|(name, bytes)| (name.to_owned(), bytes))
    .to_vec()
}

#[test]
fn what_the_chart_renders_passes_check_config() {
    if left_out() {
        return;
    }
    let mut checked = 0;
    for entry in fs::read_dir(deploy().join("checks/accepted")).unwrap() {
        let values = entry.unwrap().path();
        let chart = Chart::render(std::slice::from_ref(&values));
        for part in ["gateway", "worker"] {
            let pod = &chart.object("Deployment", &format!("-{part}"))["spec"]["template"];
            let container = Container::new(&chart, pod, &foreign);
            let out = container
                .command_with(&["check-config".to_owned()])
                .output()
                .unwrap();
            let said = String::from_utf8([out.stdout, out.stderr].concat()).unwrap();
            assert!(out.status.success(), "{}: {part}: {said}", values.display());
            assert!(said.contains("the settings are good"), "{said}");
            checked += 1;
        }
    }
    assert!(checked >= 6);
}

/// Every setting of the program, by `confab config default`.
fn settings() -> BTreeSet<String> {
    let (status, text, _) = confab(&["config", "default"]);
    assert!(status.success());
    let name = |line: &str| {
        Some(
            line.trim_start_matches(['#', ' '])
                .split_once(" = ")?
                .0
                .to_owned(),
        )
    };
    let is_name = |name: &String| {
        name.chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    text.lines().filter_map(name).filter(is_name).collect()
}

#[test]
fn the_chart_offers_every_setting_or_says_why_not() {
    let schema = fs::read_to_string(deploy().join("helm/confab/values.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let values = &schema["properties"];
    let mut offered = BTreeSet::new();
    for group in [
        &values["settings"],
        &values["gateway"]["properties"]["settings"],
        &values["worker"]["properties"]["settings"],
    ] {
        assert_eq!(group["additionalProperties"], false);
        for name in group["properties"].as_object().unwrap().keys() {
            assert!(offered.insert(name.clone()), "{name} is offered twice");
        }
    }
    let known = settings();
    let unknown: Vec<_> = offered.difference(&known).collect();
    assert!(unknown.is_empty(), "offered, and no settings: {unknown:?}");
    let left: Vec<_> = known.difference(&offered).map(String::as_str).collect();
    assert_eq!(left, NOT_OFFERED);
}
