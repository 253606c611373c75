//! Settings, through the command: precedence, refusals, the printed defaults.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;

struct Confab {
    directory: tempfile::TempDir,
    variables: Vec<(&'static str, String)>,
}

/// How a command ended.
struct Ended {
    code: i32,
    out: String,
    err: String,
}

impl Confab {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            variables: Vec::new(),
        }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    fn file(&self, text: &str) -> PathBuf {
        let path = self.directory.path().join("confab.toml");
        std::fs::write(&path, text).unwrap();
        path
    }

    fn home(&self) -> &Path {
        self.directory.path()
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_confab"));
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.home())
            .envs(self.variables.clone());
        let ended = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ended {
            code: ended.status.code().unwrap(),
            out: text(ended.stdout),
            err: text(ended.stderr),
        }
    }

    /// Runs `check-config`, which must find the settings good, and returns what it shows.
    fn good(&self, arguments: &[&str]) -> String {
        let ended = self.run(&[&["check-config"], arguments].concat());
        assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{}", ended.out);
        ended.out
    }

    /// Runs `check-config`, which must refuse the settings in one line, and returns that.
    fn bad(&self, arguments: &[&str]) -> String {
        let ended = self.run(&[&["check-config"], arguments].concat());
        assert_eq!((ended.code, ended.out.as_str()), (64, ""), "{}", ended.err);
        assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
        ended.err
    }
}

#[test]
fn a_flag_beats_a_variable_beats_the_file_beats_the_default() {
    let confab = Confab::new()
        .with("CONFAB_RATE_LIMIT", "2")
        .with("CONFAB_RATE_BURST", "20");
    let file = confab.file("rate_limit = 3\nrate_burst = 30\nmax_connections = 300\n");
    let out = confab.good(&["--config", file.to_str().unwrap(), "--rate-limit", "1"]);
    assert!(out.contains("rate_limit = 1  # --rate-limit\n"), "{out}");
    assert!(out.contains("rate_burst = 20  # CONFAB_RATE_BURST\n"), "{out}");
    assert!(
        out.contains(&format!("max_connections = 300  # {}:3\n", file.display())),
        "{out}"
    );
    assert!(!out.contains("ping_timeout"), "{out}");
}

#[test]
fn the_file_may_be_named_by_a_variable() {
    let confab = Confab::new();
    let file = confab.file("rate_limit = 3\n");
    let confab = confab.with("CONFAB_CONFIG", file.to_str().unwrap());
    assert!(confab.good(&[]).contains("rate_limit = 3"));
}

#[test]
fn lists_and_switches_have_a_form_in_each_place() {
    let confab = Confab::new().with("CONFAB_ORIGINS", "https://a.example, https://b.example");
    let out = confab.good(&["--banned", "mallory,trudy", "--insecure-anywhere"]);
    assert!(
        out.contains(r#"origins = ["https://a.example", "https://b.example"]"#),
        "{out}"
    );
    assert!(out.contains(r#"banned = ["mallory", "trudy"]"#), "{out}");
    assert!(out.contains("insecure_anywhere = true"), "{out}");
    assert!(
        confab
            .good(&["--insecure-anywhere=false"])
            .contains("insecure_anywhere = false")
    );
}

#[test]
fn an_unknown_key_is_refused_with_its_place_and_the_nearest_one() {
    let confab = Confab::new();
    let file = confab.file("# a comment\nlistne = \"127.0.0.1:1\"\n");
    let err = confab.bad(&["--config", file.to_str().unwrap()]);
    assert_eq!(
        err,
        format!(
            "confab: {}:2: unknown setting listne: did you mean listen?\n",
            file.display()
        )
    );

    let file = confab.file("[section]\nx = 1\n");
    let err = confab.bad(&["--config", file.to_str().unwrap()]);
    assert!(err.contains(":1: unknown setting section"), "{err}");
}

#[test]
fn an_unknown_variable_is_refused() {
    let err = Confab::new().with("CONFAB_DATADIR", "/x").bad(&[]);
    assert_eq!(
        err,
        "confab: unknown variable CONFAB_DATADIR: did you mean CONFAB_DATA_DIR?\n"
    );
}

#[test]
fn an_unknown_flag_is_refused() {
    let err = Confab::new().bad(&["--lissten", "127.0.0.1:1"]);
    assert!(err.contains("'--lissten'") && err.contains("'--listen'"), "{err}");
}

#[test]
fn a_bad_value_is_refused_with_where_it_stands_though_it_is_overruled() {
    let confab = Confab::new();
    let file = confab.file("rate_limit = \"many\"\n");
    let err = confab.bad(&["--config", file.to_str().unwrap(), "--rate-limit", "1"]);
    assert!(err.contains(":1: rate_limit: "), "{err}");

    assert!(
        confab
            .bad(&["--listen", "nowhere"])
            .starts_with("confab: --listen: ")
    );
    assert!(
        confab
            .bad(&["--ping-timeout", "20"])
            .contains("\"20\" is no span of time")
    );
    assert!(confab.bad(&["--auth", "trust"]).contains("insecure"));
    assert!(confab.bad(&["--rate-limit", "fast"]).contains("no whole number"));
    assert!(
        confab
            .bad(&["--rate-limit=-1"])
            .starts_with("confab: --rate-limit: ")
    );
    assert!(confab.bad(&["--log", "confab=loudly"]).contains("log filter"));
    let err = Confab::new().with("CONFAB_LOG_FORMAT", "xml").bad(&[]);
    assert!(err.starts_with("confab: CONFAB_LOG_FORMAT: "), "{err}");
}

#[test]
fn a_file_that_is_no_toml_or_is_missing_is_refused_in_one_line() {
    let confab = Confab::new();
    let file = confab.file("rate_limit = 3\nlisten = \n");
    let err = confab.bad(&["--config", file.to_str().unwrap()]);
    assert!(
        err.starts_with(&format!("confab: {}:2: ", file.display())),
        "{err}"
    );
    assert!(
        confab
            .bad(&["--config", "/nowhere/confab.toml"])
            .starts_with("confab: /nowhere/confab.toml: ")
    );
}

#[test]
fn settings_that_do_not_go_together_are_refused() {
    let confab = Confab::new();
    let err = confab.bad(&["--listen", "0.0.0.0:8080"]);
    assert!(
        err.contains("--auth jwt") && err.contains("--insecure-anywhere"),
        "{err}"
    );
    confab.good(&["--listen", "0.0.0.0:8080", "--insecure-anywhere"]);
    confab.good(&["--listen", "0.0.0.0:8080", "--auth", "jwt"]);
    confab.good(&["--listen", "[::1]:8080"]);
    assert!(confab.bad(&["--tls-cert", "/x"]).contains("tls_key"));
    assert!(
        confab
            .bad(&["--ping-timeout", "10ms"])
            .contains("ping_timeout is at least")
    );
    assert!(
        confab
            .bad(&["--max-connections", "0"])
            .contains("max_connections is at least 1")
    );
    assert!(
        confab
            .bad(&["--threads", "0"])
            .contains("threads is 1 to 1024, not 0")
    );
}

#[test]
fn the_printed_defaults_are_good_and_change_nothing() {
    let confab = Confab::new();
    let printed = confab.run(&["config", "default"]);
    assert_eq!(printed.code, 0);
    let file = confab.file(&printed.out);
    let shown = confab.good(&["--config", file.to_str().unwrap()]);
    for line in shown.lines().filter(|line| !line.starts_with('#')) {
        let (setting, _) = line.split_once("  # ").unwrap();
        assert!(
            printed.out.lines().any(|line| line == setting),
            "{setting} is not as printed"
        );
    }
    assert!(shown.lines().count() > 20, "{shown}");
}

/// The examples that stand in comments must be good values too.
#[test]
fn the_printed_examples_have_the_right_form() {
    let confab = Confab::new();
    let printed = confab.run(&["config", "default"]).out;
    let mut examples = 0;
    for line in printed.lines() {
        let Some((name, value)) = line.strip_prefix("# ").and_then(|line| line.split_once(" = ")) else {
            continue;
        };
        if name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit())
        {
            examples += 1;
            let file = confab.file(&format!("{name} = {value}\n"));
            let ended = confab.run(&["check-config", "--config", file.to_str().unwrap()]);
            // The file it names does not exist, or its partner is missing: the value itself is not what is wrong.
            assert!(!ended.err.contains(&format!(":1: {name}:")), "{}", ended.err);
        }
    }
    assert!(examples >= 10, "{examples} examples");
}

#[test]
fn every_setting_has_its_flag_in_the_help() {
    let confab = Confab::new();
    let help = confab.run(&["serve", "--help"]).out;
    let printed = confab.run(&["config", "default"]).out;
    for line in printed.lines().filter(|line| !line.starts_with('#')) {
        let Some((name, _)) = line.split_once(" = ") else {
            continue;
        };
        assert!(help.contains(&format!("--{}", name.replace('_', "-"))), "{name}");
        assert!(
            help.contains(&format!("[env: CONFAB_{}]", name.to_ascii_uppercase())),
            "{name}"
        );
    }
}
