use std::fs;
use std::process::Command;
use std::time::Duration;

use super::{Identity, launch, run, tail, wait_until};

const SOON: Duration = Duration::from_secs(20);

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

#[test]
fn a_process_that_heeds_sigterm_is_stopped_by_it() {
    let folder = tempfile::tempdir().unwrap();
    let process = launch(shell("exec sleep 600"), &folder.path().join("log")).unwrap();
    assert!(process.alive());
    assert!(process.stop(SOON).unwrap().starts_with("stopped in "));
    assert!(!process.alive());
    assert!(process.stop(SOON).unwrap().starts_with("was gone already"));
}

#[test]
fn a_process_that_ignores_sigterm_is_killed_after_the_grace_with_all_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let process = launch(shell("trap '' TERM; sleep 600 & echo $!; wait"), &log).unwrap();
    assert!(wait_until(SOON, || fs::read_to_string(&log)
        .unwrap()
        .ends_with('\n')));
    let below = Identity::of(fs::read_to_string(&log).unwrap().trim().parse().unwrap()).unwrap();
    assert!(
        process
            .stop(Duration::from_millis(100))
            .unwrap()
            .contains("killed")
    );
    assert!(wait_until(SOON, || !below.alive()));
}

#[test]
fn a_stopped_process_can_be_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let process = launch(shell("exec sleep 600"), &folder.path().join("log")).unwrap();
    assert!(process.signal(rustix::process::Signal::STOP).unwrap());
    assert!(process.stop(SOON).unwrap().starts_with("stopped in "));
}

#[test]
fn another_process_with_the_same_pid_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let process = launch(shell("exec sleep 600"), &folder.path().join("log")).unwrap();
    let earlier = Identity {
        pid: process.pid(),
        started: "long ago".into(),
    };
    assert!(!earlier.alive());
    assert!(earlier.kill().unwrap().starts_with("was gone already"));
    assert!(process.alive());
    process.kill().unwrap();
}

#[test]
fn the_log_of_the_time_before_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("nats.log");
    for word in ["first", "second"] {
        let process = launch(shell(&format!("echo {word}; exec sleep 600")), &log).unwrap();
        assert!(wait_until(SOON, || fs::read_to_string(&log).unwrap().trim() == word));
        process.kill().unwrap();
    }
    assert_eq!(
        fs::read_to_string(folder.path().join("nats.log.old")).unwrap(),
        "first\n"
    );
}

#[test]
fn a_tool_says_what_it_printed_when_it_succeeds_fails_or_hangs() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    assert_eq!(
        run(shell("echo one; echo two >&2"), &log, SOON).unwrap(),
        "one\ntwo\n"
    );
    let failed = run(shell("echo broken; exit 3"), &log, SOON)
        .unwrap_err()
        .to_string();
    assert!(
        failed.starts_with("sh failed: ") && failed.ends_with("broken"),
        "{failed}"
    );
    let hung = run(shell("exec sleep 600"), &log, Duration::from_millis(50))
        .unwrap_err()
        .to_string();
    assert!(hung.starts_with("sh did not end within 0 s"), "{hung}");
    let absent = run(Command::new("confab-no-such-tool"), &log, SOON)
        .unwrap_err()
        .to_string();
    assert_eq!(absent, "starting confab-no-such-tool");
}

#[test]
fn only_the_end_of_a_log_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    fs::write(
        &log,
        (0..5_000).map(|n| format!("line {n}\n\n")).collect::<String>(),
    )
    .unwrap();
    let shown = tail(&log);
    assert!(
        shown.ends_with("line 4999") && shown.contains("line 4988\n") && !shown.contains("line 4987\n"),
        "{shown}"
    );
}
