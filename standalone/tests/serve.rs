//! The running service as a process: how it stops, its health, its tokens, and the terminal client.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod process;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use process::{Process, address_after};
use tempfile::tempdir;

fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// A terminal client, connected: its history is there.
fn chat(user: &str, to: &str, address: SocketAddr, variables: &[(&str, &str)]) -> Process {
    let home = tempdir().unwrap();
    let url = format!("ws://{address}/ws");
    let mut chat = Process::start(
        home.path(),
        variables,
        &["chat", "--user", user, "--to", to, "--url", &url],
    );
    chat.wait_for("type a message");
    chat
}

fn run(data: &Path, arguments: &[&str]) -> (i32, Vec<String>) {
    let mut process = Process::start(data, &[], arguments);
    (process.wait(), std::mem::take(&mut process.seen))
}

#[test]
fn it_serves_without_a_command_and_says_how_to_try_it() {
    let data = tempdir().unwrap();
    let flags = [
        "--listen",
        "127.0.0.1:0",
        "--admin-listen",
        "off",
        "--data-dir",
        data.path().to_str().unwrap(),
    ];
    let mut process = Process::start(data.path(), &[], &flags);
    let address = address_after(&process.wait_for("listens on ws://"), "ws://");
    let invitation = process.wait_for(" chat --user alice --to bob");
    assert!(
        invitation.contains(&format!("--url ws://{address}/ws")),
        "{invitation}"
    );
    process.wait_for(" chat --user bob --to alice");
    process.signal("INT");
    assert_eq!(process.wait(), 0);
}

/// How many threads of a process have this name.
#[cfg(target_os = "linux")]
fn threads(process: u32, name: &str) -> usize {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let names =
        tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).unwrap_or_default());
    names.filter(|other| other.trim_end() == name).count()
}

#[cfg(target_os = "linux")]
#[test]
fn it_has_as_many_threads_for_messages_as_it_is_told() {
    for count in [1, 5] {
        let data = tempdir().unwrap();
        let (process, _) = Process::serve(data.path(), &["--threads", &count.to_string()]);
        let deadline = Instant::now() + Duration::from_secs(30);
        // A thread gives itself its name, after whoever starts it has gone on.
        while threads(process.pid(), "confab-messages") < count && Instant::now() < deadline {
            std::thread::yield_now();
        }
        assert_eq!(threads(process.pid(), "confab-messages"), count);
    }
}

#[test]
fn health_readiness_and_metrics_are_served_and_asked_for() {
    let data = tempdir().unwrap();
    let (mut process, _) = Process::serve(data.path(), &[]);
    let admin = address_after(&process.wait_for("http://"), "http://");
    assert!(get(admin, "/healthz").starts_with("HTTP/1.1 200"));
    assert!(get(admin, "/readyz").starts_with("HTTP/1.1 200"));
    let page = get(admin, "/metrics");
    assert!(page.contains("process_resident_memory_bytes"), "{page}");
    assert!(page.contains("\nconfab_"), "{page}");

    let directory = data.path().to_str().unwrap();
    for arguments in [
        &["health", "--data-dir", directory][..],
        &["health", "--data-dir", directory, "--ready"],
        &["health", "--admin-listen", &admin.to_string()],
    ] {
        assert_eq!(run(data.path(), arguments), (0, Vec::new()));
    }
    process.signal("INT");
    assert_eq!(process.wait(), 0);
    assert_eq!(run(data.path(), &["health", "--data-dir", directory]).0, 1);
}

#[test]
fn the_usual_health_address_gives_way_when_it_is_taken() {
    let data = tempdir().unwrap();
    // Where this fails it is taken already, which serves as well.
    let _taken = TcpListener::bind("127.0.0.1:8081");
    let (mut process, _) = Process::serve(data.path(), &["--admin-listen", "auto"]);
    let admin = address_after(&process.wait_for("http://"), "http://");
    assert_ne!(admin.port(), 8081);
    assert!(get(admin, "/readyz").starts_with("HTTP/1.1 200"));
}

#[test]
fn the_terminal_clients_talk_to_each_other_also_after_a_kill() {
    let data = tempdir().unwrap();
    // A port of one's own, to come back to.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let (service, address) = Process::serve(data.path(), &["--listen", &port]);
    let (mut alice, mut bob) = (
        chat("alice", "bob", address, &[]),
        chat("bob", "alice", address, &[]),
    );

    alice.type_line("hello bob");
    alice.wait_for("#1 alice: hello bob ✓");
    bob.wait_for("#1 alice: hello bob");
    alice.wait_for("✓✓ bob has read all up to #1");
    bob.type_line("hello alice");
    alice.wait_for("#2 bob: hello alice");
    bob.type_line("/typing");
    alice.wait_for("bob is typing");
    alice.type_line("/edit 1 good day bob");
    bob.wait_for("alice edited #1: good day bob");

    service.kill();
    alice.wait_for("connection lost");
    alice.type_line("written while it is away");
    let (_service, _) = Process::serve(data.path(), &["--listen", &port]);
    bob.wait_for("#3 alice: written while it is away");
    alice.wait_for("✓✓ bob has read all up to #3");

    bob.type_line("/quit");
    assert_eq!(bob.wait(), 0);
    alice.wait_for("bob is offline");
    alice.type_line("bye");
    alice.end_input();
    assert_eq!(alice.wait(), 0);
    assert!(
        alice.seen.iter().any(|line| line == "#4 alice: bye ✓"),
        "{:?}",
        alice.seen
    );
    let mut bob = chat("bob", "alice", address, &[]);
    bob.wait_for("#1 alice: good day bob");
    bob.wait_for("#4 alice: bye");
}

#[test]
fn a_development_token_is_let_in_and_nothing_else_is() {
    let data = tempdir().unwrap();
    let (mut service, address) = Process::serve(data.path(), &["--auth", "jwt"]);
    let invitation = service.wait_for("chat --user alice");
    assert!(invitation.contains("CONFAB_TOKEN="), "{invitation}");
    let directory = data.path().to_str().unwrap();
    let token = |directory: &str| {
        run(
            data.path(),
            &["token", "--user", "alice", "--data-dir", directory],
        )
        .1
        .remove(0)
    };
    let mut alice = chat("alice", "alice", address, &[("CONFAB_TOKEN", &token(directory))]);
    alice.type_line("a note");
    alice.wait_for("#1 alice: a note");

    let other = tempdir().unwrap();
    let foreign = token(other.path().to_str().unwrap());
    let url = format!("ws://{address}/ws");
    for flags in [&["--user", "alice"][..], &["--token", &foreign]] {
        let (code, lines) = run(
            data.path(),
            &[&["chat", "--to", "bob", "--url", &url], flags].concat(),
        );
        assert_eq!(code, 1);
        assert!(lines.last().unwrap().contains("401"), "{lines:?}");
    }
}

#[test]
fn sigterm_drains_and_sigint_does_not_wait() {
    let data = tempdir().unwrap();
    let (mut service, address) = Process::serve(data.path(), &["--drain-time", "2s"]);
    let admin = address_after(&service.wait_for("http://"), "http://");
    let mut alice = chat("alice", "bob", address, &[]);
    alice.type_line("kept");
    alice.wait_for("#1 alice: kept");
    service.signal("TERM");
    service.wait_for("stopping");
    assert!(!get(admin, "/readyz").starts_with("HTTP/1.1 200"));
    assert_eq!(service.wait(), 0);

    let (mut service, address) = Process::serve(data.path(), &["--drain-time", "10m"]);
    let mut alice = chat("alice", "bob", address, &[]);
    alice.wait_for("#1 alice: kept");
    let asked = Instant::now();
    service.signal("INT");
    assert_eq!(service.wait(), 0);
    assert!(asked.elapsed() < Duration::from_secs(10), "it has waited");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let data = tempdir().unwrap();
    let (mut service, address) = Process::serve(data.path(), &["--drain-time", "10m"]);
    let _clients: Vec<Process> = ["alice", "bob"]
        .map(|user| chat(user, "carol", address, &[]))
        .into();
    service.signal("TERM");
    service.wait_for("stopping");
    service.signal("TERM");
    assert_eq!(service.wait(), 143);
}

#[test]
fn logs_can_be_json_and_hold_no_text_and_no_token() {
    let data = tempdir().unwrap();
    let (mut service, address) = Process::serve(
        data.path(),
        &["--auth", "jwt", "--log-format", "json", "--log", "trace"],
    );
    let directory = data.path().to_str().unwrap();
    let token = run(
        data.path(),
        &["token", "--user", "alice", "--data-dir", directory],
    )
    .1
    .remove(0);
    let mut alice = chat("alice", "alice", address, &[("CONFAB_TOKEN", &token)]);
    alice.type_line("a-secret-text");
    alice.wait_for("#1 alice: a-secret-text");
    service.signal("INT");
    assert_eq!(service.wait(), 0);
    let printed = service.seen.join("\n");
    assert!(!printed.contains("a-secret-text"), "a text is in the logs");
    assert!(!printed.contains(&token), "a token is in the logs");
    let logs: Vec<&String> = service.seen.iter().filter(|line| line.starts_with('{')).collect();
    assert!(!logs.is_empty());
    for line in logs {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
}

#[test]
fn clients_connect_by_tls_and_do_not_trust_a_stranger() {
    let data = tempdir().unwrap();
    let tls = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/process/tls");
    let (cert, key) = (tls.join("localhost.crt"), tls.join("localhost.key"));
    let (cert, key) = (cert.to_str().unwrap(), key.to_str().unwrap());
    let directory = data.path().to_str().unwrap();
    let flags = [
        "--listen",
        "127.0.0.1:0",
        "--admin-listen",
        "off",
        "--data-dir",
        directory,
    ];
    let mut service = Process::start(
        data.path(),
        &[],
        &[&flags[..], &["--tls-cert", cert, "--tls-key", key]].concat(),
    );
    let address = address_after(&service.wait_for("listens on wss://"), "wss://");
    let url = format!("wss://{address}/ws");
    let me = ["chat", "--user", "alice", "--to", "alice", "--url", &url];
    let mut alice = Process::start(data.path(), &[], &[&me[..], &["--ca", cert]].concat());
    alice.type_line("a note");
    alice.wait_for("#1 alice: a note");
    let mut wary = Process::start(data.path(), &[], &me);
    assert_eq!(wary.wait(), 1);
    assert!(
        wary.seen.last().unwrap().contains("invalid peer certificate"),
        "{:?}",
        wary.seen
    );
}
