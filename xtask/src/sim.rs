//! `cargo xtask sim`: runs seeds of the simulation, from where the last run stopped.

mod coverage;

use std::path::Path;

use anyhow::{Context, Result, bail};

pub(crate) const HELP: &str = "\
  sim [--seeds <n>] [--minutes <m>]
             run so many seeds of the simulation, or for so long, from the one on where the last run stopped
  sim --seed <seed> [--lines] [--trace] [--mistake <name>]
             run one seed again; --lines prints what clients saw, --trace what passes the seams
  sim --minimise <seed> [--mistake <name>] [--minutes <m>]
             find the smallest plan that fails as a seed does; put into sim/tests/plans it is a test
  sim --plan <file> [--lines] [--trace] [--mistake <name>]
             run such a plan
  sim --coverage [--seeds <n>]
             say which lines of chat, worker and gateway the seeds reach that a change must pass; needs llvm-profdata and
             llvm-cov of the compiler's LLVM, or of a later one, under these names or those in LLVM_PROFDATA and LLVM_COV
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
        ["--seed" | "--plan", planned, rest @ ..] => simulate(&[&["run", planned], rest].concat()),
        ["--minimise" | "--minimize", seed, rest @ ..] => simulate(&[&["minimise", seed], rest].concat()),
        ["--coverage"] => coverage::measure(root, OF_CI),
        ["--coverage", "--seeds", seeds] => coverage::measure(root, seeds),
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

/// The same seeds every time, in which every fault strikes, and every mistake.
pub(crate) fn check() -> Result<()> {
    simulate(&["seeds", "--count", OF_CI, "--every-fault"])?;
    simulate(&["mistakes"])
}

fn simulate(arguments: &[&str]) -> Result<()> {
    crate::cargo(&[BUILT.as_slice(), arguments].concat())
}
