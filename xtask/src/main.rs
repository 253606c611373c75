//! `cargo xtask`: the one entry point to everything that is run on this repository.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it talks to whoever runs it"
)]

mod deploy;
mod house;
mod optimize;
mod services;
mod sim;

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};

const HELP: &str = "\
cargo xtask <command>

  test [--embedded-only] [-- <arguments of cargo test>]
             run every test of the workspace, those of the cluster on a real nats-server and a real CQL database, which
             are started where they do not run, and everything that `deploy check` checks; --embedded-only leaves both out
  lint       formatting, clippy with every warning an error, the rules of the house
  ci         lint, then test, then 200 seeds of the simulation: what a change must pass
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
            println!(
                "xtask: --embedded-only: NOT TESTED are NATS, the CQL database, everything that runs on them, and deploy/"
            );
            test_on(&[("CONFAB_TEST_EMBEDDED_ONLY", "1")], passed_on)
        }
        ["lint"] => lint(),
        ["ci"] => {
            lint()?;
            test(passed_on)?;
            sim::check()
        }
        ["sim", ref rest @ ..] => sim::run(&root(), rest),
        ["services", ref rest @ ..] => services::run(&root(), rest),
        ["deploy", ref rest @ ..] => deploy::run(&root(), rest),
        ["optimize"] => optimize::run(&root()),
        [] | ["help" | "--help" | "-h"] => {
            println!(
                "{HELP}{}{}{}{}",
                deploy::HELP,
                sim::HELP,
                services::HELP,
                optimize::HELP
            );
            Ok(())
        }
        _ => bail!("no such command: {}\n{HELP}", ours.join(" ")),
    }
}

/// Every test, on real engines where a test is about them. Engines that were not there before are stopped afterwards.
fn test(passed_on: &[String]) -> Result<()> {
    let tools = deploy::Tools::get(&root())
        .context("the checks of deploy/ need the programs of others, and --embedded-only leaves them out")?;
    if passed_on.is_empty() {
        deploy::check(&root(), &tools)?;
    }
    let engines = services::borrow(&root())
        .context("the tests of the cluster need real engines, and --embedded-only leaves them out")?;
    let tested = test_with(&engines, &tools, passed_on);
    let returned = engines.give_back();
    tested.and(returned)
}

fn test_with(engines: &services::Borrowed, tools: &deploy::Tools, passed_on: &[String]) -> Result<()> {
    // Some tests end an engine and have it started again.
    let restart = format!("'{}' services restart", env::current_exe()?.display());
    let mut variables = engines.variables().to_vec();
    variables.push(("CONFAB_TEST_RESTART", restart));
    variables.push((deploy::HELM, tools.helm.display().to_string()));
    let variables: Vec<_> = variables
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    test_on(&variables, passed_on)?;
    if !passed_on.is_empty() {
        return Ok(());
    }
    println!("xtask: the protocol's tests once more, on two gateways and three workers");
    let on_a_cluster = [variables.as_slice(), &[("CONFAB_TEST_FORM", "cluster")]].concat();
    cargo_with(&on_a_cluster, &["test", "--package", "confab", "--test", "e2e"])
}

fn test_on(variables: &[(&str, &str)], passed_on: &[String]) -> Result<()> {
    let mut arguments = vec!["test", "--workspace"];
    arguments.extend(passed_on.iter().map(String::as_str));
    cargo_with(variables, &arguments)
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
    cargo_with(&[], arguments)
}

/// The same, with variables in its environment.
fn cargo_with(variables: &[(&str, &str)], arguments: &[&str]) -> Result<()> {
    println!("xtask: cargo {}", arguments.join(" "));
    let status = Command::new("cargo")
        .args(arguments)
        .envs(variables.iter().copied())
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
