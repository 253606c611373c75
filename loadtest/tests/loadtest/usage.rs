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

const CERTIFICATE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../standalone/tests/process/tls/localhost.crt"
);

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

/// `validate` says what `run` would, and connects to nothing.
fn invalid(scenario: &str, sets: &[&str], words: &[&str]) {
    let sets = sets.iter().flat_map(|set| ["--set", set]);
    let arguments: Vec<&str> = ["validate", scenario].into_iter().chain(sets).collect();
    refused(&arguments, words);
    let said = tool(&arguments).stderr;
    let lines = String::from_utf8_lossy(&said).lines().count();
    assert_eq!(lines, 1, "{arguments:?}: {}", String::from_utf8_lossy(&said));
}

#[test]
fn numbers_that_no_machine_could_serve_are_refused_with_what_to_give() {
    let rates = "from 0.001 to 10000000";
    let week = "7days";
    for (set, said) in [
        ("connect.rate=1e-300", rates),
        ("connect.rate=inf", rates),
        ("load.rate=1e-300", rates),
        ("load.rate=3e7", rates),
        ("load.rate=nan", rates),
        ("churn={ rate = 1e-300, away = '1s' }", rates),
        ("churn.rate=inf", rates),
        ("load.duration=500000000000years", week),
        ("load.warm_up=500000000000years", week),
        ("churn.away=500000000000years", week),
        (
            "storms=[{ at = '1s', share = 0.5, over = '500000000000years' }]",
            week,
        ),
        ("slow_readers={ share = 0.5, pause = '500000000000years' }", week),
        ("slow_readers={ share = 0.5, pause = '0s' }", "1ms"),
        ("load.duration=0s", "1ms"),
        ("users.count=4294967295", "from 1 to 4000000"),
        ("users.count=0", "from 1 to 4000000"),
        ("users={ count = 400000, devices = 32 }", "12800000 connections"),
        ("chats.groups=[{ count = 4294967295, members = 2 }]", "10000000"),
        (
            "chats.groups=[{ count = 9999990, members = 2 }]",
            "10000010 chats",
        ),
        (
            "chats.groups=[{ count = 9000000, members = 20 }]",
            "180000040 members",
        ),
        ("thresholds.event_p99_ms=inf", "thresholds.event_p99_ms is inf"),
        ("thresholds.event_p99_ms=-1", "from 0 to 1000000000"),
        ("thresholds.event_p99_ms=nan", "from 0 to 1000000000"),
        ("mix.send=1e308", "0, or from 0.000001 to 1000000"),
        (
            "churn={ rate = 100.0, away = '10s' }",
            "1000 connections away at a time",
        ),
        ("purpose=''", "purpose is one line"),
    ] {
        invalid("smoke", &[set], &["in smoke: ", said]);
    }
    let slow = ["users.count=4000000", "users.devices=1", "connect.rate=0.001"];
    invalid(
        "smoke",
        &slow,
        &["connect.rate is 0.001", "4000000 connections", "7 days"],
    );
}

#[test]
fn what_is_wrong_with_a_text_is_said_in_one_line_of_plain_words() {
    invalid(
        "smoke",
        &["load.rate=much"],
        &["\"much\"", "expected a number", "`load.rate`"],
    );
    invalid("smoke", &["users.count=1.5"], &["expected a whole number"]);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("broken.toml");
    std::fs::write(&file, "purpose = \"p\"\nusers = { count = \n").unwrap();
    invalid(
        file.to_str().unwrap(),
        &[],
        &["broken.toml is no TOML: line 2, column "],
    );
}

#[test]
fn what_cannot_be_split_is_refused_before_anything_connects() {
    let of_seven = ["--set", "users.count=7", "--set", "chats={ dialogs = 21 }"];
    for shard in ["1/2", "2/2"] {
        let run = [&["run", "smoke", "--shard", shard][..], &of_seven, &TARGET].concat();
        refused(
            &run,
            &[
                "smoke cannot be split",
                "shard 1/2",
                "4 of users.count make 6 dialogs at most",
            ],
        );
    }
    refused(
        &["validate", "chat-list", "--shard", "3/3"],
        &["chat-list cannot be split over 3 machines, over 2 it can", "3350"],
    );
    refused(
        &[
            "validate",
            "smoke",
            "--shard",
            "5/5",
            "--set",
            "chats={ dialogs = 4 }",
        ],
        &["over 4 it can", "shard 5/5", "no chat to act in"],
    );
    refused(
        &["validate", "smoke", "--shard", "1/30"],
        &["over 19 it can", "shard 4/30", "1 of users.count make 0 dialogs"],
    );
    refused(&["validate", "smoke", "--shard", "1/257"], &["256 at most"]);
    refused(&["validate", "--shard", "1/2"], &["SCENARIO"]);
}

#[test]
fn validate_says_what_a_shard_would_do() {
    for (scenario, shard, said) in [
        (
            "chat-list",
            "2/2",
            "shard 2/2: 101 users, 5025 dialogs, 0 groups, 550 actions a second",
        ),
        ("fanout-200", "1/2", "shard 1/2: 200 users, 0 dialogs, 4 groups"),
        (
            "slow-readers",
            "1/5",
            "shard 1/5: 50 users, 0 dialogs, 4 groups, 20 actions a second",
        ),
    ] {
        let output = tool(["validate", scenario, "--shard", shard]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && text.contains(said), "{text}");
    }
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
        &[&["run", "smoke", "--ca", CERTIFICATE][..], &TARGET].concat(),
        &["--ca", "wss://"],
    );
    refused(
        &["run", "smoke", "--target", "ws://127.0.0.1:99999"],
        &["from 1 to 65535"],
    );
    refused(
        &["compare", "a", "b", "--fail-above", "nan"],
        &["give it a number from 0"],
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
fn a_search_without_an_end_is_refused() {
    let capacity = |scenario, more: &[&'static str]| [&["capacity", scenario][..], &TARGET, more].concat();
    for from in ["--from=0", "--from=-1", "--from=nan", "--from=inf", "--from=1e8"] {
        refused(&capacity("smoke", &[from]), &["--from", "from 0.001 to 10000000"]);
    }
    for closeness in [
        "--closeness=0",
        "--closeness=-5",
        "--closeness=nan",
        "--closeness=1e9",
    ] {
        refused(
            &capacity("smoke", &[closeness]),
            &["--closeness", "from 0.1 to 1000"],
        );
    }
    refused(&capacity("idle-10k", &[]), &["load.rate is 100", "chats.dialogs"]);
    refused(&capacity("message-cost", &[]), &["open loop", "load.in_flight"]);
    refused(
        &capacity("smoke", &["--from=0.01", "--shard=1/19"]),
        &["load.rate", "from 0.001"],
    );
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
