//! `cargo xtask`: the one entry point to everything that is run on this repository.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it talks to whoever runs it"
)]

mod house;
mod services;

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};

const HELP: &str = "\
cargo xtask <command>

  test [--embedded-only] [-- <arguments of cargo test>]
             run every test of the workspace
  lint       formatting, clippy with every warning an error, the rules of the house
  ci         lint, then test: what a change must pass
";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let (ours, passed_on) = match arguments.iter().position(|argument| argument == "--") {
        Some(at) => (&arguments[..at], &arguments[at + 1..]),
        None => (arguments, &arguments[arguments.len()..]),
    };
    match ours.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["test"] => test(passed_on),
        ["test", "--embedded-only"] => {
            println!("xtask: --embedded-only changes nothing yet: every test runs on the embedded forms");
            test(passed_on)
        }
        ["lint"] => lint(),
        ["ci"] => {
            lint()?;
            test(passed_on)
        }
        ["services", ref rest @ ..] => services::run(&root(), rest),
        [] | ["help" | "--help" | "-h"] => {
            println!("{HELP}{}", services::HELP);
            Ok(())
        }
        _ => bail!("no such command: {}\n{HELP}", ours.join(" ")),
    }
}

fn test(passed_on: &[String]) -> Result<()> {
    let mut arguments = vec!["test", "--workspace"];
    arguments.extend(passed_on.iter().map(String::as_str));
    cargo(&arguments)
}

fn lint() -> Result<()> {
    cargo(&["fmt", "--all", "--check"])?;
    cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "--deny",
        "warnings",
    ])?;
    house::check(&root())?;
    deny()
}

/// Licences, advisories and sources of the dependencies. The tool for it is not part of Rust's own.
fn deny() -> Result<()> {
    let mut asked = Command::new("cargo");
    asked
        .args(["deny", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if asked.status().is_ok_and(|status| status.success()) {
        return cargo(&["deny", "check"]);
    }
    println!("xtask: cargo-deny is not installed: licences and advisories of dependencies are not checked");
    Ok(())
}

/// Runs cargo at the root of the workspace, its output passed through.
fn cargo(arguments: &[&str]) -> Result<()> {
    println!("xtask: cargo {}", arguments.join(" "));
    let status = Command::new("cargo")
        .args(arguments)
        .current_dir(root())
        .status()
        .context("starting cargo")?;
    if !status.success() {
        bail!("cargo {} failed", arguments.join(" "));
    }
    Ok(())
}

/// The root of the workspace.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}
