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

use std::process::ExitCode;

use anyhow::{Result, bail};

const HELP: &str = "\
confab-sim run SEED [--mistake NAME] [--lines | --brief] [--trace]
    run one seed; --lines prints everything that clients saw, --brief one line of JSON, --trace what passes the seams
confab-sim seeds [--from SEED] [--count N] [--minutes M] [--mistake NAME] [--state FILE] [--until-caught]
    run many seeds, as many at a time as there are processors; with a state file go on where it says
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
        ["run", seed, rest @ ..] => one::run(seed.parse()?, rest),
        ["seeds", rest @ ..] => many::seeds(rest),
        ["mistakes", rest @ ..] => many::mistakes(rest),
        _ => bail!("what is to be done?\n{HELP}"),
    }
}
