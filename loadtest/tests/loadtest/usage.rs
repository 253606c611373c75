//! Bad input is refused with what to do, and exit code 64.

use crate::service::tool;

fn refused(arguments: &[&str], words: &[&str]) {
    let output = tool(arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(64), "{arguments:?}: {said}");
    for word in words {
        assert!(said.contains(word), "{arguments:?} says no {word:?}: {said}");
    }
}

const TARGET: [&str; 2] = ["--target", "ws://127.0.0.1:1"];

fn run_with(set: &str) -> Vec<&str> {
    [&["run", "smoke", "--set", set][..], &TARGET].concat()
}

#[test]
fn a_scenario_that_cannot_be_is_refused() {
    refused(&run_with("users.cuont=3"), &["unknown field `cuont`"]);
    refused(
        &run_with("load.in_flight=2"),
        &["load.rate", "load.in_flight", "only one"],
    );
    refused(&run_with("chats.dialogs=1000"), &["190 dialogs at most"]);
    refused(
        &run_with("message.bytes=[1, 20]"),
        &["message.bytes", "from 20 to 16384"],
    );
    refused(
        &run_with("chats.groups=[{ count = 1, members = 50 }]"),
        &["members is from 1 to 20"],
    );
    refused(
        &run_with("churn.away=40s"),
        &["load.settle is 30s", "churn.away, 40s", "make it 40s or longer"],
    );
    refused(
        &run_with("slow_readers={ share = 0.1, pause = \"31s\" }"),
        &["slow_readers.pause, 31s"],
    );
    // Five of ten seconds are over when it begins.
    refused(
        &run_with("storms=[{ at = \"5s\", share = 0.5, over = \"36s\" }]"),
        &["what a storm", "beyond the end of the load, 31s"],
    );
    refused(&run_with("load.duration=3 apples"), &["smoke"]);
    refused(&run_with("load"), &["path.to.key=value"]);
    refused(
        &[&["run", "no-such"][..], &TARGET].concat(),
        &["ready scenarios", "dialogs"],
    );
}

#[test]
fn somebody_elses_service_is_not_loaded_by_accident() {
    refused(
        &["run", "smoke", "--target", "ws://192.0.2.1:80"],
        &["not on this machine", "--allow-remote"],
    );
    refused(
        &["run", "smoke", "--target", "http://127.0.0.1:80"],
        &["ws:// or wss://"],
    );
}

#[test]
fn bad_arguments_are_refused() {
    refused(&["run", "smoke"], &["--target"]);
    refused(
        &[&["run", "smoke", "--shard", "3/2"][..], &TARGET].concat(),
        &["I/N"],
    );
    refused(&["fly"], &["fly"]);
    refused(
        &["run", "smoke", "--target", "ws://127.0.0.1:99999"],
        &["from 1 to 65535"],
    );
    refused(
        &["compare", "a", "b", "--fail-above", "nan"],
        &["a number of percent"],
    );
}

#[test]
fn where_nothing_can_be_left_nothing_is_begun() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "mine").unwrap();
    let file = file.to_string_lossy().into_owned();
    refused(
        &[&["run", "smoke", "--out", &file][..], &TARGET].concat(),
        &["--out", "cannot be made"],
    );
    let known = dir.path().join("summary.json");
    std::fs::write(&known, "mine").unwrap();
    let known_dir = dir.path().to_string_lossy().into_owned();
    refused(
        &[&["run", "smoke", "--out", &known_dir][..], &TARGET].concat(),
        &["has a summary.json already", "another directory"],
    );
    assert_eq!(std::fs::read_to_string(known).unwrap(), "mine");
}

#[test]
fn a_service_that_lets_nobody_in_is_given_up_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let out_text = out.to_string_lossy().into_owned();
    let output = tool([&["run", "smoke", "--quiet", "--out", &out_text][..], &TARGET].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("0 of 40 connections came about"), "{said}");
    assert!(said.contains("refused"), "{said}");
    assert!(!out.exists());
}

#[test]
fn a_service_that_is_not_there_is_no_failure_of_the_scenario() {
    let output = tool([
        "run",
        "smoke",
        "--target",
        "ws://127.0.0.1:1",
        "--pid",
        "4000000000",
    ]);
    assert_eq!(output.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no such process"));
}

#[test]
fn every_ready_scenario_is_valid_and_says_what_it_is_for() {
    let output = tool(["validate"]);
    assert!(output.status.success());
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let ready = [
        "smoke",
        "dialogs",
        "groups",
        "fanout-200",
        "idle-10k",
        "connect-storm",
        "reconnect-storm",
        "chat-list",
        "slow-readers",
        "soak",
    ];
    for name in ready {
        let line = said.lines().find(|line| line.starts_with(name));
        assert!(
            line.is_some_and(|line| line.len() > name.len() + 20),
            "{name}: {said}"
        );
    }
}
