//! The real service, and the tool, as processes.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

/// The `confab` command, built as these tests were.
pub(crate) fn confab() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let build = escargot::CargoBuild::new()
            .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
            .package("confab")
            .bin("confab");
        let build = if cfg!(debug_assertions) {
            build
        } else {
            build.release()
        };
        build.run().expect("the service builds").path().to_owned()
    })
}

/// A service of its own, on a directory of its own.
pub(crate) struct Service {
    child: Child,
    pub(crate) address: String,
    pub(crate) dir: TempDir,
}

impl Service {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    pub(crate) fn start_with(more: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut child = command("127.0.0.1:0", dir.path())
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the service starts");
        let output = child.stdout.take().expect("its output");
        let mut lines = BufReader::new(output).lines();
        let address = loop {
            let line = lines.next().expect("it says where it listens").expect("a line");
            let listens = line.split_once("ws://").or_else(|| line.split_once("wss://"));
            if let Some((_, rest)) = listens {
                break rest.split('/').next().expect("an address").to_owned();
            }
        };
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address, dir }
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `confab serve`, without the limits that a load would meet.
pub(crate) fn command(listen: &str, dir: &Path) -> Command {
    let mut command = Command::new(confab());
    command
        .args([
            "serve",
            "--listen",
            listen,
            "--admin-listen",
            "off",
            "--log",
            "warn",
        ])
        .args(["--rate-limit", "1000000", "--rate-burst", "1000000"])
        .arg("--data-dir")
        .arg(dir);
    command
}

/// Runs the tool, and waits for its end.
pub(crate) fn tool<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_confab-loadtest"))
        .args(arguments)
        .output()
        .expect("the tool runs")
}

/// A run of a scenario: its exit code, what it said, and its summary.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) said: String,
    pub(crate) out: TempDir,
}

impl Ran {
    pub(crate) fn summary(&self) -> serde_json::Value {
        let text = std::fs::read_to_string(self.out.path().join("summary.json"));
        serde_json::from_str(&text.unwrap_or_else(|_| panic!("no summary; the tool said: {}", self.said)))
            .expect("JSON")
    }

    /// The kinds of all violations.
    pub(crate) fn violations(&self) -> Vec<String> {
        let summary = self.summary();
        let kept = summary["ledger"]["kept"].as_array().expect("violations").iter();
        kept.map(|one| one["kind"].as_str().expect("a kind").to_owned())
            .collect()
    }
}

/// Runs a scenario, quietly.
pub(crate) fn run(scenario: &str, target: &str, more: &[&str]) -> Ran {
    let out = tempfile::tempdir().expect("a directory");
    let path = out.path().to_string_lossy().into_owned();
    let mut arguments = vec!["run", scenario, "--target", target, "--quiet", "--out", &path];
    arguments.extend(more);
    let output = tool(&arguments);
    let said = [output.stdout, output.stderr].concat();
    Ran {
        code: output.status.code(),
        said: String::from_utf8_lossy(&said).into_owned(),
        out,
    }
}
