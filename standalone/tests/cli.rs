//! The command line beside `serve`: help, tokens, and the commands that need a service when there is none.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::Value;

/// Runs the command; its exit code, what it printed and what it complained.
fn confab(home: &Path, arguments: &[&str]) -> (i32, String, String) {
    let ended = Command::new(env!("CARGO_BIN_EXE_confab"))
        .args(arguments)
        .env_clear()
        .env("HOME", home)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        ended.status.code().unwrap(),
        text(ended.stdout),
        text(ended.stderr),
    )
}

/// Prints a token, which must work.
fn token(home: &Path, arguments: &[&str]) -> String {
    let (code, out, err) = confab(home, &[&["token"], arguments].concat());
    assert_eq!((code, err.as_str()), (0, ""));
    out.trim_end().to_owned()
}

fn claims(token: &str, key: &Path, audience: Option<&str>) -> Value {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.validate_aud = audience.is_some();
    validation.set_audience(&audience.into_iter().collect::<Vec<_>>());
    let key = DecodingKey::from_secret(&fs::read(key).unwrap());
    jsonwebtoken::decode::<Value>(token, &key, &validation)
        .unwrap()
        .claims
}

#[test]
fn help_and_version_are_printed() {
    let home = tempfile::tempdir().unwrap();
    for flag in ["--help", "-h"] {
        let (code, out, _) = confab(home.path(), &[flag]);
        assert_eq!(code, 0);
        for command in ["serve", "check-config", "config", "token", "chat", "health"] {
            assert!(out.contains(command), "{command}");
        }
    }
    let (code, out, _) = confab(home.path(), &["--version"]);
    assert_eq!(
        (code, out),
        (0, format!("confab {}\n", env!("CARGO_PKG_VERSION")))
    );
}

#[test]
fn a_wrong_command_is_refused_in_one_line() {
    let home = tempfile::tempdir().unwrap();
    for arguments in [
        &["srve"][..],
        &["token"],
        &["chat", "--user", "alice"],
        &["chat", "--to", "bob"],
        &["config"],
    ] {
        let (code, out, err) = confab(home.path(), arguments);
        assert_eq!((code, out.as_str()), (64, ""), "{arguments:?}");
        assert_eq!(err.lines().count(), 1, "{err}");
        assert!(err.starts_with("confab: "), "{err}");
    }
}

#[test]
fn a_token_is_signed_with_a_development_key_of_its_owner_alone() {
    let home = tempfile::tempdir().unwrap();
    let token = token(
        home.path(),
        &["--user", "alice", "--name", "Alice A.", "--ttl", "90s"],
    );
    let directory = home.path().join(".local/share/confab");
    let key = directory.join("development.key");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(
        fs::metadata(&directory).unwrap().permissions().mode() & 0o777,
        0o700
    );
    let claims = claims(&token, &key, None);
    assert_eq!(
        (&claims["sub"], &claims["name"]),
        (&"alice".into(), &"Alice A.".into())
    );
    assert_eq!(
        claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(),
        90
    );
}

#[test]
fn the_development_key_stays_the_same_and_differs_between_directories() {
    let home = tempfile::tempdir().unwrap();
    let (one, two) = (home.path().join("one"), home.path().join("two"));
    let sign = |directory: &Path| {
        token(
            home.path(),
            &["--user", "alice", "--data-dir", directory.to_str().unwrap()],
        );
        fs::read(directory.join("development.key")).unwrap()
    };
    let first = sign(&one);
    assert_eq!(first, sign(&one));
    assert_ne!(first, sign(&two));
    assert!(first.len() >= 32);
}

#[test]
fn a_development_key_that_others_can_read_is_refused() {
    let home = tempfile::tempdir().unwrap();
    token(home.path(), &["--user", "alice"]);
    let key = home.path().join(".local/share/confab/development.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let (code, out, err) = confab(home.path(), &["token", "--user", "alice"]);
    assert_eq!((code, out.as_str()), (66, ""));
    assert!(err.contains("can be read by others"), "{err}");
}

#[test]
fn the_data_directory_follows_the_xdg_variable() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("elsewhere");
    let ended = Command::new(env!("CARGO_BIN_EXE_confab"))
        .args(["token", "--user", "alice"])
        .env_clear()
        .env("HOME", home.path())
        .env("XDG_DATA_HOME", &data)
        .output()
        .unwrap();
    assert!(ended.status.success());
    assert!(data.join("confab/development.key").exists());
}

#[test]
fn a_token_carries_what_the_service_asks_for_and_is_signed_with_its_key() {
    let home = tempfile::tempdir().unwrap();
    let key = home.path().join("secret");
    fs::write(&key, "a secret of more than thirty-two bytes").unwrap();
    let key_flag = key.to_str().unwrap();
    let wanted = ["--user", "al|ce@é", "--issuer", "me", "--audience", "confab"];
    for by in [["--hs256-keys", key_flag], ["--key", key_flag]] {
        let claims = claims(
            &token(home.path(), &[&wanted[..], &by].concat()),
            &key,
            Some("confab"),
        );
        assert_eq!(
            (&claims["sub"], &claims["iss"]),
            (&"al|ce@é".into(), &"me".into())
        );
    }
    assert!(
        !home.path().join(".local").exists(),
        "a data directory was made without need"
    );
}

#[test]
fn a_token_that_the_service_would_refuse_is_not_signed() {
    let home = tempfile::tempdir().unwrap();
    for (arguments, code) in [
        (&["--user", "g:group"][..], 64),
        (&["--user", "a b"], 64),
        (&["--user", "alice", "--ttl", "soon"], 64),
        (
            &["--user", "alice", "--jwks-url", "https://id.example.org/jwks"],
            64,
        ),
        (&["--user", "alice", "--key", "/nowhere/key"], 66),
    ] {
        let (ended, out, err) = confab(home.path(), &[&["token"], arguments].concat());
        assert_eq!((ended, out.as_str()), (code, ""), "{arguments:?}: {err}");
        assert_eq!(err.lines().count(), 1, "{err}");
    }
}

#[test]
fn health_is_bad_when_nothing_runs() {
    let home = tempfile::tempdir().unwrap();
    let (code, _, err) = confab(home.path(), &["health"]);
    assert_eq!(code, 1);
    assert!(err.contains("no service runs here"), "{err}");
    let (code, _, err) = confab(home.path(), &["health", "--admin-listen", "off"]);
    assert_eq!(code, 64);
    assert!(err.contains("admin_listen is off"), "{err}");
}
