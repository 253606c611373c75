//! Whole runs against the real service.

use std::process::Command;

use crate::service::{Service, command, run, tool};

#[test]
fn the_smoke_scenario_passes_and_leaves_its_files() {
    let service = Service::start();
    let pid = service.pid().to_string();
    let ran = run(
        "smoke",
        &service.url(),
        &[
            "--pid",
            &pid,
            "--calibrate",
            "--set",
            "load.duration=6s",
            "--set",
            "thresholds.memory_drift=100.0",
        ],
    );
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    let summary = ran.summary();
    assert_eq!(summary["version"], 1);
    assert_eq!(summary["verdict"], "passed");
    for what in ["response", "event", "connect", "resume", "change", "history"] {
        assert!(
            summary["times"][what]["count"].as_u64() > Some(0),
            "no times of {what}"
        );
    }
    assert!(summary["target"]["cpu_cores"].as_f64() > Some(0.0));
    let mut checks = summary["checks"].as_array().into_iter().flatten();
    let drift = checks.find(|check| check["name"] == "memory_drift");
    assert!(
        drift.is_some_and(|check| check["actual"].as_f64() > Some(0.0)),
        "{drift:?}"
    );
    assert!(
        summary["series"]
            .as_array()
            .is_some_and(|series| series.len() >= 6)
    );
    // It has one thread for the load, and what it measured the floor with belongs to no point.
    let first = summary["series"][0]["own_cores"].as_f64();
    assert!(first.is_some_and(|cores| cores < 1.3), "{first:?} cores");
    let floor = &summary["floor"]["one"];
    let of_run = |at: usize| floor["before_and_after"][at].as_f64().unwrap_or_default();
    assert!(of_run(0) > 0.0 && of_run(1) > 0.0, "{floor}");
    // What is read of a number may be another one in its last digit.
    let mean = f64::midpoint(of_run(0), of_run(1));
    assert!(
        floor["cpu_us_per_message"]
            .as_f64()
            .is_some_and(|floor| (floor - mean).abs() < 1e-9),
        "{floor}"
    );
    let report = std::fs::read_to_string(ran.out.path().join("report.html")).expect("a report");
    assert!(report.contains("smoke: passed") && report.contains("<svg"));
    assert!(report.contains("99.99%"), "percentiles, too");
    for outside in ["http:", "https:", "src=", "href=", "@import"] {
        assert!(!report.contains(outside), "the report needs {outside}");
    }
}

#[test]
fn a_service_killed_and_started_again_loses_nothing() {
    let service = Service::start();
    let again = command(&service.address, service.dir.path());
    let again = std::iter::once(again.get_program()).chain(again.get_args());
    let again: Vec<_> = again
        .map(|word| format!("'{}'", word.to_string_lossy()))
        .collect();
    let pid_file = service.dir.path().join("second.pid");
    let hook = format!(
        "kill -9 {} && {{ {} > /dev/null 2>&1 & echo $! > '{}'; }}",
        service.pid(),
        again.join(" "),
        pid_file.display()
    );
    let ran = run(
        "smoke",
        &service.url(),
        &[
            "--chaos-hook",
            &hook,
            "--set",
            "load.duration=6s",
            "--set",
            "storms=[]",
            "--set",
            "churn.rate=0.001",
        ],
    );
    let second = std::fs::read_to_string(&pid_file).expect("the hook ran");
    let ended = Command::new("kill").arg(second.trim()).status().expect("kill");
    assert!(ended.success());
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    let summary = ran.summary();
    assert!(
        summary["counts"]["lost"].as_u64() >= Some(40),
        "every connection was lost: {}",
        ran.said
    );
    assert_eq!(summary["ledger"]["violations"], 0);
    // A connection is late from the moment on at which it was lost, as a message is from the moment of the plan.
    let longest = |what: &str| summary["times"][what]["max_ms"].as_f64().expect("a time");
    assert!(longest("resume") < longest("response") + 1000.0, "{}", ran.said);
}

#[test]
fn a_threshold_that_is_missed_has_a_code_of_its_own() {
    let service = Service::start();
    let ran = run(
        "smoke",
        &service.url(),
        &[
            "--set",
            "load.duration=1s",
            "--set",
            "storms=[]",
            "--set",
            "thresholds.response_p99_ms=0.0001",
        ],
    );
    assert_eq!(ran.code, Some(1), "{}", ran.said);
    assert!(ran.said.contains("MISSED: response_p99_ms"), "{}", ran.said);
}

#[test]
fn slow_readers_miss_nothing() {
    let service = Service::start();
    let ran = run(
        "slow-readers",
        &service.url(),
        &[
            "--set",
            "users.count=20",
            "--set",
            "chats.groups=[{ count = 4, members = 10 }]",
            "--set",
            "slow_readers.pause=700ms",
            // It is about what is missed, not about time.
            "--set",
            "thresholds.event_p99_ms=60000.0",
            "--set",
            "load.warm_up=0s",
            "--set",
            "load.duration=3s",
        ],
    );
    assert_eq!(ran.code, Some(0), "{}", ran.said);
}

#[test]
fn what_cannot_be_read_back_does_not_hide_what_was_found() {
    let service = Service::start();
    let hook = format!("kill -9 {}", service.pid());
    let ran = run(
        "smoke",
        &service.url(),
        &[
            "--chaos-hook",
            &hook,
            "--set",
            "load.duration=2s",
            "--set",
            "load.settle=1s",
            "--set",
            "storms=[]",
        ],
    );
    assert_ne!(ran.code, Some(0), "{}", ran.said);
    let summary = ran.summary();
    assert_eq!(summary["ledger"]["settled"], false);
    assert!(summary["refusals"]["reading back"][1].is_string(), "{}", ran.said);
    assert!(ran.said.contains("were not read back"), "{}", ran.said);
    // Of a send without an answer nobody knows what became of it; and what was never begun is told.
    assert_eq!(summary["ledger"]["ambiguous_absent"], 0);
    assert!(summary["counts"]["unbegun"].as_u64() > Some(0), "{}", ran.said);
}

#[test]
fn a_saturated_generator_says_so() {
    let service = Service::start();
    let ran = run(
        "dialogs",
        &service.url(),
        &[
            "--set",
            "load.rate=3000000.0",
            "--set",
            "load.warm_up=0s",
            "--set",
            "load.duration=1s",
            "--set",
            "mix={ typing = 1.0, send = 0.001 }",
            "--set",
            "users.count=50",
            "--set",
            "chats.dialogs=50",
        ],
    );
    assert_eq!(ran.code, Some(3), "{}", ran.said);
    assert_eq!(ran.summary()["verdict"], "generator_saturated");
}

#[test]
fn a_load_that_was_not_made_is_not_passed() {
    let service = Service::start();
    let ran = run(
        "smoke",
        &service.url(),
        &[
            "--set",
            "load.rate=1e7",
            "--set",
            "load.warm_up=0s",
            "--set",
            "load.duration=1s",
            "--set",
            "mix={ typing = 1.0 }",
            "--set",
            "storms=[]",
        ],
    );
    assert_eq!(ran.code, Some(3), "{}", ran.said);
    let counts = &ran.summary()["counts"];
    let count = |name: &str| counts[name].as_u64().expect("a number");
    assert!((9_900_000..10_100_000).contains(&count("planned")), "{counts}");
    assert!((1..count("planned")).contains(&count("dropped")), "{counts}");
    let said = format!("{} dropped, for which the tool was too slow", count("dropped"));
    assert!(ran.said.contains(&said), "{}", ran.said);
}

/// What the service used counts for the messages and the 40 connections of both shards.
fn cost_is_shared(whole: &serde_json::Value) {
    let figure = |of: &serde_json::Value, name: &str| of[name].as_f64().expect("a number");
    let target = &whole["target"];
    let each = (figure(target, "mb_connected") - figure(target, "mb_before")) * 1e3 / 40.0;
    assert!((figure(target, "kb_per_connection") - each).abs() < 1e-6);
    let cost = figure(target, "cpu_cores") * 1e6 / figure(whole, "messages_per_second");
    assert!((figure(target, "cpu_us_per_message") - cost).abs() < 1e-6);
}

#[test]
fn shards_are_merged_into_one_run() {
    let service = Service::start();
    let quick = [
        "--set",
        "load.duration=6s",
        "--set",
        "storms=[]",
        "--set",
        "load.warm_up=0s",
    ];
    let pid = service.pid().to_string();
    let shard = |shard| {
        let which = ["--shard", shard, "--pid", &pid];
        run("smoke", &service.url(), &[&which[..], &quick].concat())
    };
    let parts: Vec<_> = std::thread::scope(|scope| {
        ["1/2", "2/2"]
            .map(|which| scope.spawn(move || shard(which)))
            .map(|part| part.join().expect("a run"))
            .into()
    });
    let out = tempfile::tempdir().expect("a directory");
    let paths: Vec<&std::path::Path> = parts.iter().map(|ran| ran.out.path()).collect();
    let merged = tool(["merge".as_ref(), paths[0], paths[1], "--out".as_ref(), out.path()]);
    assert!(
        merged.status.success(),
        "{}",
        String::from_utf8_lossy(&merged.stdout)
    );
    let text = std::fs::read_to_string(out.path().join("summary.json")).expect("a summary");
    let whole: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let sum =
        |what: &dyn Fn(&serde_json::Value) -> u64| parts.iter().map(|ran| what(&ran.summary())).sum::<u64>();
    let sent = |summary: &serde_json::Value| summary["counts"]["sent"].as_u64().expect("a number");
    let timed =
        |summary: &serde_json::Value| summary["times"]["response"]["count"].as_u64().expect("a number");
    assert_eq!(sent(&whole), sum(&sent));
    assert_eq!(timed(&whole), sum(&timed));
    assert_eq!(whole["scenario"]["users"]["count"], 20);
    assert_eq!(whole["scenario"]["churn"]["rate"], 1.0);
    let mut shards: Vec<_> = whole["shards"].as_array().expect("a list").iter().collect();
    shards.sort_by_key(|shard| shard.to_string());
    assert_eq!(shards, ["1/2", "2/2"]);
    cost_is_shared(&whole);
    assert_eq!(
        parts[0].summary()["target"]["cpu_us_per_message"],
        serde_json::Value::Null
    );

    let later = shard("2/2");
    let later = tool([
        "merge".as_ref(),
        paths[0],
        later.out.path(),
        "--out".as_ref(),
        out.path(),
    ]);
    let said = String::from_utf8_lossy(&later.stderr).into_owned();
    assert!(said.contains("start them together"), "{said}");

    let twice = tool(["merge".as_ref(), paths[0], paths[0], "--out".as_ref(), out.path()]);
    assert!(String::from_utf8_lossy(&twice.stderr).contains("shard 1/2 is there twice"));

    let alone = tool(["merge".as_ref(), paths[0], "--out".as_ref(), out.path()]);
    assert!(String::from_utf8_lossy(&alone.stderr).contains("shards are missing: 2/2"));

    let compared = tool(["compare".as_ref(), paths[0], paths[1]]);
    let table = String::from_utf8_lossy(&compared.stdout).into_owned();
    assert!(
        compared.status.success() && table.contains("send to event, p99 ms"),
        "{table}"
    );
}

#[test]
fn a_service_that_demands_tls_and_tokens_of_an_issuer_can_be_loaded() {
    let tls = |name: &str| {
        format!(
            "{}/../standalone/tests/process/tls/localhost.{name}",
            env!("CARGO_MANIFEST_DIR")
        )
    };
    let (certificate, tls_key) = (tls("crt"), tls("key"));
    let keys = tempfile::tempdir().expect("a directory");
    let secret = keys.path().join("hs256.key");
    std::fs::write(&secret, "a secret of these tests, of 32 bytes and more").expect("written");
    let secret = secret.to_string_lossy().into_owned();
    let tokens = [
        "--auth",
        "jwt",
        "--issuer",
        "us",
        "--audience",
        "them",
        "--hs256-keys",
        &secret,
    ];
    let encrypted = ["--tls-cert", &certificate, "--tls-key", &tls_key];
    let service = Service::start_with(&[&tokens[..], &encrypted].concat());
    let target = format!("wss://{}", service.address);
    let short = [
        "--set",
        "load.duration=1s",
        "--set",
        "storms=[]",
        "--hs256-secret-file",
        &secret,
    ];
    let trust = ["--ca", &certificate];
    let named = ["--token-issuer", "us", "--token-audience", "them"];
    let ran = run("smoke", &target, &[&short[..], &trust, &named].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    let ran = run("smoke", &target, &[&short[..], &trust].concat());
    assert_eq!(ran.code, Some(4), "{}", ran.said);
    assert!(ran.said.contains("401"), "{}", ran.said);
    let ran = run("smoke", &target, &[&short[..], &named].concat());
    assert_eq!(ran.code, Some(4), "{}", ran.said);
    let missing = ["--ca", "/nowhere/ca.pem"];
    let ran = run("smoke", &target, &[&short[..], &missing].concat());
    assert!(
        ran.code == Some(64) && ran.said.contains("--ca /nowhere/ca.pem"),
        "{}",
        ran.said
    );
}

#[test]
fn capacity_finds_a_rate_that_holds() {
    let service = Service::start();
    let target = service.url();
    let found = tool([
        "capacity",
        "smoke",
        "--target",
        &target,
        "--quiet",
        "--from",
        "50",
        "--closeness",
        "60",
        "--set",
        "load.duration=1s",
        "--set",
        "load.warm_up=0s",
        "--set",
        "storms=[]",
        // No service answers so much in a debug build.
        "--set",
        "thresholds.response_p50_ms=30.0",
        "--set",
        "load.settle=10s",
    ]);
    let said = String::from_utf8_lossy(&found.stdout).into_owned();
    assert_eq!(
        found.status.code(),
        Some(0),
        "{said}{}",
        String::from_utf8_lossy(&found.stderr)
    );
    assert!(said.contains("50/s: passed"), "{said}");
}

#[test]
fn the_floor_of_the_machine_is_measured() {
    let dir = tempfile::tempdir().expect("a directory");
    let output = tool([
        "calibrate".as_ref(),
        "--json".as_ref(),
        "--dir".as_ref(),
        dir.path(),
    ]);
    let floor: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    for in_flight in ["one", "sixteen"] {
        assert!(floor[in_flight]["messages_per_second"].as_f64() > Some(0.0));
        assert!(floor[in_flight]["cpu_us_per_message"].as_f64() > Some(0.0));
    }
}
