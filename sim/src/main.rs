//! `confab-sim`: runs one seed in this process, or many, each in a process of its own.
//!
//! The invariant: a process runs one simulation and nothing else, so that nothing but the seed decides what happens in it.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it talks to whoever runs it"
)]

mod many;
mod one;
mod smallest;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use confab_sim::plan::Plan;

const HELP: &str = "\
confab-sim run SEED|PLAN [--mistake NAME] [--lines | --brief] [--trace]
    run one seed, or a file with a plan; --lines prints everything that clients saw, --brief one line of JSON, --trace what passes the seams
confab-sim seeds [--from SEED] [--count N] [--minutes M] [--mistake NAME] [--state FILE] [--until-caught] [--every-fault] [--lost-log]
    run many seeds, as many at a time as there are processors; with a state file go on where it says; with --every-fault
    it is a failure too if a fault never strikes, with --lost-log only those seeds count whose logs are lost
confab-sim minimise SEED [--mistake NAME] [--minutes M]
    find the smallest plan that fails as a seed does, and print it
confab-sim mistakes [--count N]
    make every mistake there is, and see that N seeds notice it
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("confab-sim: {error:#}");
            ExitCode::from(64)
        }
    }
}

fn run(arguments: &[&str]) -> Result<ExitCode> {
    match arguments {
        ["run", plan, rest @ ..] => one::run(&planned(plan)?, rest),
        ["minimise" | "minimize", seed, rest @ ..] => smallest::run(seed.parse()?, rest),
        ["seeds", rest @ ..] => many::seeds(rest),
        ["mistakes", rest @ ..] => many::mistakes(rest),
        _ => bail!("what is to be done?\n{HELP}"),
    }
}

/// The plan of a seed, or the one that stands in a file.
fn planned(what: &str) -> Result<Plan> {
    if let Ok(seed) = what.parse() {
        return Ok(Plan::of(seed));
    }
    let text = std::fs::read(what).with_context(|| format!("{what} is no seed and no plan"))?;
    serde_json::from_slice(&text).with_context(|| format!("{what} is no plan"))
}
