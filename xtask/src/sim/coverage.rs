//! Which lines of the service a simulation reaches, and nothing else but a simulation.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::BUILT;

/// What is to be reached.
const CRATES: [&str; 3] = ["chat/src/", "worker/src/", "gateway/src/"];
/// The session code of the gateway: what stands for a socket, from its first frame to its last.
const SESSION: [&str; 4] = [
    "gateway/src/session",
    "gateway/src/registry.rs",
    "gateway/src/beat.rs",
    "gateway/src/gateway.rs",
];
/// A file of which less is reached is named.
const ENOUGH: f64 = 85.0;

/// Lines: how many there are, and how many were reached.
#[derive(Clone, Copy, Default)]
struct Lines {
    all: u64,
    reached: u64,
}

impl Lines {
    #[expect(clippy::cast_precision_loss, reason = "no count of lines comes near 2^52")]
    fn percent(self) -> f64 {
        self.reached as f64 * 100.0 / self.all.max(1) as f64
    }

    fn add(&mut self, other: Self) {
        self.all += other.all;
        self.reached += other.reached;
    }
}

/// Builds a simulation that counts, runs so many seeds of it, and says what they reached.
pub(super) fn measure(root: &Path, seeds: &str) -> Result<()> {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let counts = target.join("coverage");
    if counts.exists() {
        fs::remove_dir_all(&counts)?;
    }
    fs::create_dir_all(&counts)?;
    // What fails is for a run without counting to tell.
    let status = Command::new("cargo")
        .args(BUILT)
        .args(["seeds", "--count", seeds])
        .env(
            "RUSTC_WORKSPACE_WRAPPER",
            root.join("xtask/src/sim/instrumented.sh"),
        )
        .env("LLVM_PROFILE_FILE", counts.join("%8m.profraw"))
        .current_dir(root)
        .status()
        .context("starting cargo")?;
    println!("xtask: the seeds ended with {status}");
    let merged = counts.join("merged.profdata");
    let mut merge = llvm("LLVM_PROFDATA", "llvm-profdata");
    merge.args(["merge", "--sparse", "-o"]).arg(&merged);
    for file in fs::read_dir(&counts)? {
        let file = file?.path();
        if file.extension().is_some_and(|extension| extension == "profraw") {
            merge.arg(file);
        }
    }
    output(&mut merge)?;
    let mut profile = OsString::from("--instr-profile=");
    profile.push(&merged);
    let mut export = llvm("LLVM_COV", "llvm-cov");
    export
        .args(["export", "--summary-only"])
        .arg(profile)
        .arg(target.join("sim/confab-sim"));
    report(root, &serde_json::from_slice(&output(&mut export)?)?);
    Ok(())
}

/// A tool of the LLVM that the compiler is made with, or of a later one.
fn llvm(variable: &str, name: &str) -> Command {
    Command::new(env::var_os(variable).unwrap_or_else(|| name.into()))
}

fn output(command: &mut Command) -> Result<Vec<u8>> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("starting {name}"))?;
    if !output.status.success() {
        bail!("{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(output.stdout)
}

fn report(root: &Path, export: &Value) {
    let mut sums: BTreeMap<&str, Lines> = BTreeMap::new();
    for file in export["data"][0]["files"].as_array().into_iter().flatten() {
        let name = Path::new(file["filename"].as_str().unwrap_or_default());
        let name = name.strip_prefix(root).unwrap_or(name).to_string_lossy();
        let Some(of) = CRATES.into_iter().find(|of| name.starts_with(of)) else {
            continue;
        };
        let lines = &file["summary"]["lines"];
        let lines = Lines {
            all: lines["count"].as_u64().unwrap_or(0),
            reached: lines["covered"].as_u64().unwrap_or(0),
        };
        sums.entry(of).or_default().add(lines);
        if SESSION.iter().any(|session| name.starts_with(session)) {
            sums.entry("gateway's session code").or_default().add(lines);
        }
        if lines.percent() < ENOUGH {
            println!("  {name:<48}{}", shown(lines));
        }
    }
    println!("lines reached, above of each file with less than {ENOUGH} %:");
    for (what, lines) in sums {
        println!("  {what:<48}{}", shown(lines));
    }
}

fn shown(lines: Lines) -> String {
    format!(
        "{:>6.1} %  {:>5} of {:>5}",
        lines.percent(),
        lines.reached,
        lines.all
    )
}
