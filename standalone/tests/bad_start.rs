//! A service that cannot start says why in one line, with an exit code that tells what to do about it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod process;

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use process::Process;

/// Starts a service that must not come up; its exit code and the line that says why.
fn bad_start(data: &Path, arguments: &[&str]) -> (i32, String) {
    bad_start_of("serve", data, arguments)
}

/// The same of any of the commands that run on.
fn bad_start_of(command: &str, data: &Path, arguments: &[&str]) -> (i32, String) {
    let home = tempfile::tempdir().unwrap();
    let mut all = vec![command, "--data-dir", data.to_str().unwrap(), "--log", "warn"];
    for (flag, value) in [("--listen", "127.0.0.1:0"), ("--admin-listen", "off")] {
        if !arguments.contains(&flag) {
            all.extend([flag, value]);
        }
    }
    all.extend(arguments);
    let mut process = Process::start(home.path(), &[], &all);
    let code = process.wait();
    let text = process.seen.join("\n");
    assert_eq!(process.seen.len(), 1, "not one line:\n{text}");
    assert!(text.starts_with("confab: "), "{text}");
    assert!(!text.contains("panic") && !text.contains("backtrace"), "{text}");
    (code, text)
}

#[test]
fn a_taken_port() {
    let data = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, line) = bad_start(data.path(), &["--listen", &address]);
    assert_eq!(code, 69);
    assert!(line.contains(&format!("cannot listen on {address}")), "{line}");

    let (code, line) = bad_start(data.path(), &["--admin-listen", &address]);
    assert_eq!(code, 69);
    assert!(
        line.contains(&format!("cannot serve health on {address}")),
        "{line}"
    );
}

#[test]
fn a_data_directory_that_cannot_be_made_or_written() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [
        file.clone(),
        file.join("below"),
        Path::new("/proc/confab").to_owned(),
    ] {
        let (code, line) = bad_start(&path, &[]);
        assert_eq!(code, 73, "{line}");
        assert!(line.contains(path.to_str().unwrap()), "{line}");
    }
}

#[test]
fn a_data_directory_of_something_else() {
    let data = tempfile::tempdir().unwrap();
    fs::write(data.path().join("letter.txt"), "dear").unwrap();
    let (code, line) = bad_start(data.path(), &[]);
    assert_eq!(code, 73);
    assert!(line.contains("is not Confab's"), "{line}");
    assert_eq!(
        fs::read_dir(data.path()).unwrap().count(),
        1,
        "it has left something there"
    );
}

#[test]
fn a_data_directory_of_another_version() {
    let data = tempfile::tempdir().unwrap();
    fs::write(data.path().join("CONFAB"), "confab data directory, layout 9\n").unwrap();
    let (code, line) = bad_start(data.path(), &[]);
    assert_eq!(code, 73);
    assert!(line.contains("layout 9"), "{line}");
}

#[test]
fn a_data_directory_in_use() {
    let data = tempfile::tempdir().unwrap();
    let (_first, _) = Process::serve(data.path(), &[]);
    let (code, line) = bad_start(data.path(), &[]);
    assert_eq!(code, 75);
    assert!(line.contains("in use by another process"), "{line}");
}

#[test]
fn damaged_data() {
    let data = tempfile::tempdir().unwrap();
    let (mut first, _) = Process::serve(data.path(), &[]);
    first.signal("INT");
    assert_eq!(first.wait(), 0);
    let log = data.path().join("log");
    let mut segments: Vec<_> = fs::read_dir(&log)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    segments.sort();
    assert!(!segments.is_empty());
    for segment in segments {
        fs::write(segment, "this is no journal").unwrap();
    }
    let (code, line) = bad_start(data.path(), &[]);
    assert_eq!(code, 65, "{line}");
    assert!(line.contains(log.to_str().unwrap()), "{line}");
}

#[test]
fn bad_key_files() {
    let data = tempfile::tempdir().unwrap();
    let keys = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| {
        let path = keys.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let short = write("short", "secret");
    let garbage = write(
        "garbage.pem",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
    );
    let missing = keys.path().join("missing").to_str().unwrap().to_owned();
    for (flag, file) in [
        ("--hs256-keys", &short),
        ("--hs256-keys", &missing),
        ("--rs256-keys", &garbage),
        ("--rs256-keys", &missing),
        ("--eddsa-keys", &garbage),
        ("--eddsa-keys", &short),
    ] {
        let (code, line) = bad_start(data.path(), &["--auth", "jwt", flag, file]);
        assert_eq!(code, 66, "{flag} {file}: {line}");
        assert!(line.contains(file.as_str()), "{line}");
    }
    for (cert, key) in [(&missing, &garbage), (&garbage, &garbage)] {
        let (code, line) = bad_start(data.path(), &["--tls-cert", cert, "--tls-key", key]);
        assert_eq!(code, 66, "{line}");
    }
}

#[test]
fn bad_settings() {
    let data = tempfile::tempdir().unwrap();
    for arguments in [
        &["--listen", "0.0.0.0:0"][..],
        &["--ping-timeout", "never"],
        &["--no-such-thing"],
        &["--trusted-proxies", "10.0.0.0/99"],
        &["--banned", "g:nobody"],
        &["--config", "/nowhere/confab.toml"],
    ] {
        let (code, line) = bad_start(data.path(), arguments);
        assert_eq!(code, 64, "{arguments:?}: {line}");
    }
}

#[test]
fn a_process_of_a_cluster_without_its_engines() {
    let data = tempfile::tempdir().unwrap();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (nats, cql) = (format!("nats://{nobody}"), nobody.to_string());
    for (command, arguments, code, says) in [
        ("gateway", vec![], 64, "name its servers with --nats"),
        ("worker", vec![], 64, "name its servers with --nats"),
        ("worker", vec!["--nats", &nats], 64, "name its nodes with --cql"),
        ("serve", vec!["--nats", &nats], 64, "name its nodes with --cql"),
        ("serve", vec!["--cql", &cql], 64, "name its servers with --nats"),
        ("gateway", vec!["--nats", &nats], 68, "no NATS server answers at"),
    ] {
        let (ended, line) = bad_start_of(command, data.path(), &arguments);
        assert_eq!(ended, code, "{line}");
        assert!(line.contains(says), "{line}");
    }
    assert!(
        fs::read_dir(data.path()).unwrap().next().is_none(),
        "the data directory is left alone"
    );
}

#[test]
fn settings_of_a_cluster_that_do_not_go_together() {
    let data = tempfile::tempdir().unwrap();
    for (arguments, says) in [
        (
            ["--nats", "nats://ann:secret@127.0.0.1"],
            "use nats_user and nats_password_file",
        ),
        (["--nats-user", "ann"], "nats_password_file"),
        (["--cql-ca", "/etc/ca.pem"], "set cql_tls too"),
        (["--log-partitions", "0"], "log_partitions is 1 to 1024"),
        (["--log-replicas", "7"], "log_replicas is 1 to 5"),
        (["--cql-replication", "three"], "cql_replication"),
        (["--own-partitions", "5-2"], "own_partitions"),
        (
            ["--own-partitions", "3,64"],
            "there is no partition 64, the last is 63",
        ),
    ] {
        let (code, line) = bad_start_of("gateway", data.path(), &arguments);
        assert_eq!(code, 64, "{line}");
        assert!(line.contains(says) && !line.contains("secret@"), "{line}");
    }
}
