//! How a run may end otherwise than at its end, and what is said of what was not seen.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::service::{Ran, Service, run, tool};

const SHORT: [&str; 6] = [
    "--set",
    "load.duration=1s",
    "--set",
    "load.warm_up=0s",
    "--set",
    "storms=[]",
];

fn short(service: &Service, more: &[&str]) -> Ran {
    run("smoke", &service.url(), &[&SHORT[..], more].concat())
}

/// Begins a command that takes minutes, and interrupts it as soon as it says that it is in a phase: its exit code, and what it said.
fn interrupted(phase: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let mut tool = Command::new(env!("CARGO_BIN_EXE_confab-loadtest"))
        .args(arguments)
        .args(["--set", "load.duration=300s", "--set", "load.warm_up=0s"])
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the tool starts");
    let mut lines = BufReader::new(tool.stderr.take().expect("its progress")).lines();
    assert!(lines.any(|line| line.expect("a line").starts_with(phase)));
    let rest = std::thread::spawn(move || lines.map_while(Result::ok).collect::<String>());
    let interrupted = Command::new("kill")
        .args(["-INT", &tool.id().to_string()])
        .status();
    assert!(interrupted.expect("kill").success());
    let ended = tool.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    (ended.status.code(), said + &rest.join().expect("its other lines"))
}

#[test]
fn a_load_that_is_interrupted_is_judged_as_far_as_it_came() {
    let service = Service::start();
    let out = tempfile::tempdir().expect("a directory");
    let path = out.path().to_string_lossy();
    let (code, said) = interrupted(
        "load",
        &["run", "smoke", "--target", &service.url(), "--out", &path],
    );
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("interrupted before the end"), "{said}");
    let text = std::fs::read_to_string(out.path().join("summary.json")).expect("a summary");
    let summary: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(summary["verdict"], "interrupted");
    assert!(summary["counts"]["sent"].as_u64() > Some(0));
    assert_eq!(summary["ledger"]["violations"], 0);
    assert_eq!(summary["read_back"], true);
}

#[test]
fn a_run_can_be_ended_before_its_load() {
    let service = Service::start();
    let (code, said) = interrupted(
        "preparing",
        &[
            "run",
            "smoke",
            "--target",
            &service.url(),
            "--set",
            "users.count=500",
            "--set",
            "chats.dialogs=100000",
        ],
    );
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("interrupted before the load began"), "{said}");
}

#[test]
fn a_hook_that_fails_is_no_disturbance() {
    let service = Service::start();
    let ran = short(&service, &["--chaos-hook", "exit 3"]);
    assert_eq!(ran.code, Some(1), "{}", ran.said);
    assert!(ran.said.contains("MISSED: chaos_hook_exit 3"), "{}", ran.said);
}

#[test]
fn a_hook_that_does_not_end_is_no_disturbance_that_came_about() {
    let service = Service::start();
    let marker = service.dir.path().join("pid");
    let hook = format!(
        "echo $$ > '{}'; exec sleep 300 > /dev/null 2>&1",
        marker.display()
    );
    let ran = short(&service, &["--chaos-hook", &hook]);
    let pid = std::fs::read_to_string(&marker).expect("the hook ran");
    let ended = Command::new("kill").arg(pid.trim()).status().expect("kill");
    assert!(ended.success(), "it is not the tool's to end");
    assert_eq!(ran.code, Some(1), "{}", ran.said);
    assert!(
        ran.said.contains("MISSED: chaos_hook_exit not measured"),
        "{}",
        ran.said
    );
    assert_eq!(ran.summary()["chaos_command"], hook.as_str());
}

#[test]
fn a_search_that_is_interrupted_says_so() {
    let service = Service::start();
    let (code, said) = interrupted("load", &["capacity", "smoke", "--target", &service.url()]);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("interrupted before any rate held"), "{said}");
}

#[test]
fn a_process_that_ends_during_the_run_has_no_figures() {
    let service = Service::start();
    let mut other = Command::new("sleep").arg("100").spawn().expect("sleep");
    let pid = other.id().to_string();
    let hook = format!("kill {pid}");
    let ran = short(
        &service,
        &[
            "--pid",
            &pid,
            "--chaos-hook",
            &hook,
            "--set",
            "thresholds.memory_growth=1000.0",
        ],
    );
    other.wait().expect("it has ended");
    assert_eq!(ran.code, Some(1), "{}", ran.said);
    assert!(ran.said.contains("a process of --pid ended"), "{}", ran.said);
    assert!(
        ran.said.contains("MISSED: memory_growth not measured"),
        "{}",
        ran.said
    );
    assert_eq!(ran.summary()["target"], Value::Null);
}

#[test]
fn what_was_not_judged_is_said() {
    let service = Service::start();
    let ran = short(
        &service,
        &["--no-read-back", "--set", "thresholds.memory_growth=0.001"],
    );
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    assert!(
        ran.said
            .contains("for want of --pid or --calibrate: memory_growth"),
        "{}",
        ran.said
    );
    assert!(ran.said.contains("were not read back"), "{}", ran.said);
    let report = std::fs::read_to_string(ran.out.path().join("report.html")).expect("a report");
    assert!(report.contains("which were not read back"));
}

#[test]
fn a_service_that_stops_reading_is_not_taken_for_a_slow_tool() {
    let service = Service::start();
    let hook = format!("kill -STOP {0}; sleep 3; kill -CONT {0}", service.pid());
    let ran = run(
        "dialogs",
        &service.url(),
        &[
            "--chaos-hook",
            &hook,
            "--set",
            "users.count=4",
            "--set",
            "chats.dialogs=4",
            "--set",
            // So large that what the system keeps for the service is soon full.
            "message.bytes=[12000, 16000]",
            "--set",
            "load.rate=600.0",
            "--set",
            "load.warm_up=0s",
            "--set",
            "load.duration=6s",
        ],
    );
    assert_eq!(ran.code, Some(1), "{}", ran.said);
    let longest = ran.summary()["times"]["response"]["max_ms"].as_f64();
    assert!(longest > Some(2500.0), "{}", ran.said);
}

/// A run's summary with something else in it, in a directory of its own.
fn doctored(of: &Ran, change: impl Fn(&mut Value)) -> tempfile::TempDir {
    let mut summary = of.summary();
    change(&mut summary);
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("summary.json"), summary.to_string()).expect("written");
    dir
}

fn compared(before: &Path, after: &Path) -> (Option<i32>, String) {
    let output = tool([
        "compare".as_ref(),
        before,
        after,
        "--fail-above".as_ref(),
        "1000".as_ref(),
    ]);
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn a_comparison_sees_what_is_gone_and_what_came_of_nothing() {
    let service = Service::start();
    let ran = short(&service, &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    let before = ran.out.path();
    assert_eq!(compared(before, before).0, Some(0));
    let violated = doctored(&ran, |summary| summary["ledger"]["violations"] = json!(7));
    let (code, said) = compared(before, violated.path());
    assert_eq!(code, Some(1), "{said}");
    let silent = doctored(&ran, |summary| {
        summary["times"].as_object_mut().expect("times").remove("event");
    });
    let (code, said) = compared(before, silent.path());
    assert!(code == Some(1) && said.contains("gone"), "{said}");
    let worse = doctored(&ran, |summary| summary["verdict"] = json!("violated"));
    assert_eq!(compared(before, worse.path()).0, Some(1));
}

#[test]
fn a_merge_hides_neither_a_bad_shard_nor_another_scenario() {
    let service = Service::start();
    let ran = short(&service, &[]);
    let shard = |index: &'static str, change: fn(&mut Value)| {
        doctored(&ran, move |summary| {
            summary["shards"] = json!([index]);
            change(summary);
        })
    };
    let merged = |one: &Path, other: &Path| {
        let out = tempfile::tempdir().expect("a directory");
        let output = tool(["merge".as_ref(), one, other, "--out".as_ref(), out.path()]);
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    };
    let good = shard("1/2", |_| {});
    let saturated = shard("2/2", |summary| summary["own_cores"] = json!(0.99));
    let (code, said) = merged(good.path(), saturated.path());
    assert_eq!(code, Some(3), "{said}");
    let broken = shard("2/2", |summary| summary["ledger"]["violations"] = json!(150));
    let (code, said) = merged(good.path(), broken.path());
    assert!(
        code == Some(2) && said.contains("150 violations, the first"),
        "{said}"
    );
    let changed = shard("2/2", |summary| summary["scenario"]["seed"] = json!(99));
    let (code, said) = merged(good.path(), changed.path());
    assert!(code == Some(64) && said.contains("of two scenarios"), "{said}");
    let faster = shard("2/2", |summary| {
        summary["scenario"]["load"]["rate"] = json!(7777.0);
    });
    let (code, said) = merged(good.path(), faster.path());
    assert!(code == Some(64) && said.contains("of two scenarios"), "{said}");
    let watching = |index, pid: &'static [u32]| {
        doctored(&ran, move |summary| {
            (summary["shards"], summary["pids"]) = (json!([index]), json!(pid));
        })
    };
    let (one, other) = (watching("1/2", &[1]), watching("2/2", &[1, 2]));
    let (code, said) = merged(one.path(), other.path());
    assert!(code == Some(64) && said.contains("different processes"), "{said}");
    let foreign = shard("2/3", |_| {});
    let (code, said) = merged(good.path(), foreign.path());
    assert!(code == Some(64) && said.contains("different divisions"), "{said}");
}
