//! `cargo xtask sim`: runs seeds of the simulation, from where the last run stopped.

use std::path::Path;

use anyhow::{Context, Result, bail};

pub(crate) const HELP: &str = "\
  sim [--seeds <n>] [--minutes <m>]
             run so many seeds of the simulation, or for so long, from the one on where the last run stopped
  sim --seed <seed> [--lines] [--trace] [--mistake <name>]
             run one seed again; --lines prints what clients saw, --trace what passes the seams
  sim --mistakes
             make every mistake on purpose that the simulation must notice
";

/// Where the next seed stands.
const STATE: &str = "target/next-seed";
/// The seeds that a change must pass.
const OF_CI: &str = "200";

/// How the simulation is built: with every assertion, and with the mistakes that it can make.
const BUILT: [&str; 9] = [
    "run",
    "--quiet",
    "--profile",
    "sim",
    "--package",
    "confab-sim",
    "--features",
    "mistakes",
    "--",
];

/// Runs what is asked for.
pub(crate) fn run(root: &Path, asked: &[&str]) -> Result<()> {
    let state = root.join(STATE);
    let state = state.to_str().context("the path of the workspace is no text")?;
    match asked {
        ["--seed", seed, rest @ ..] => simulate(&[&["run", seed], rest].concat()),
        ["--mistakes"] => simulate(&["mistakes"]),
        [] => simulate(&["seeds", "--count", OF_CI, "--state", state]),
        ["--seeds", seeds] => simulate(&["seeds", "--count", seeds, "--state", state]),
        ["--minutes", minutes] => simulate(&["seeds", "--minutes", minutes, "--state", state]),
        ["--seeds", seeds, "--minutes", minutes] => {
            simulate(&["seeds", "--count", seeds, "--minutes", minutes, "--state", state])
        }
        _ => bail!("no such simulation: {}\n{HELP}", asked.join(" ")),
    }
}

/// The same seeds every time, and every mistake.
pub(crate) fn check() -> Result<()> {
    simulate(&["seeds", "--count", OF_CI])?;
    simulate(&["mistakes"])
}

fn simulate(arguments: &[&str]) -> Result<()> {
    crate::cargo(&[BUILT.as_slice(), arguments].concat())
}
