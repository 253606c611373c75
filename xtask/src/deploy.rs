//! `cargo xtask deploy check`: everything below deploy/ is what it must be, without a Kubernetes and without a Docker engine.
//!
//! - `tools` has the programs of others that judge it.
//! - `chart` renders the chart with values that must be taken, and with values that must be refused.
//! - `objects` holds what was rendered against the schemas of Kubernetes, of the Gateway API and of the Prometheus operator.
//! - `alerts` checks and tries the alerts, and that each has its runbook.
//! - `images` looks at the Dockerfile and at the compose files.
//!
//! What runs when the chart is rendered is tested by `standalone/tests/deploy`, which gets `helm` from here.

mod alerts;
mod chart;
mod images;
mod objects;
mod tools;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

pub(crate) use tools::Tools;

pub(crate) const HELP: &str = "\
\x20 deploy check
             hold the chart, the alerts, the Dockerfile and the compose files of deploy/ against their schemas and tests
";

/// The variable by which tests find the program that renders the chart.
pub(crate) const HELM: &str = "CONFAB_TEST_HELM";

/// Carries out one command line, without the word `deploy`.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> Result<()> {
    match arguments {
        ["check"] => check(root, &Tools::get(root)?),
        _ => bail!("no such command: deploy {}\n{HELP}", arguments.join(" ")),
    }
}

/// All checks, one after the other.
pub(crate) fn check(root: &Path, tools: &Tools) -> Result<()> {
    let place = Place::new(root)?;
    let rendered = chart::check(&place, tools)?;
    objects::check(&place, tools, &rendered)?;
    alerts::check(&place, tools)?;
    images::check(&place, tools)?;
    println!("xtask: deploy/ is as it must be");
    Ok(())
}

/// Where things are.
struct Place {
    /// deploy/.
    deploy: PathBuf,
    /// docs/operations.md.
    runbooks: PathBuf,
    /// A folder for what is made on the way.
    made: PathBuf,
}

impl Place {
    fn new(root: &Path) -> Result<Self> {
        let made = root.join("target").join("deploy");
        if made.exists() {
            fs::remove_dir_all(&made).with_context(|| format!("removing {}", made.display()))?;
        }
        fs::create_dir_all(&made).with_context(|| format!("creating {}", made.display()))?;
        Ok(Self {
            deploy: root.join("deploy"),
            runbooks: root.join("docs").join("operations.md"),
            made,
        })
    }

    fn chart(&self) -> PathBuf {
        self.deploy.join("helm").join("confab")
    }

    fn checks(&self) -> PathBuf {
        self.deploy.join("checks")
    }
}

/// The files of a folder with an ending, in order.
fn files(folder: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == ending) {
            found.push(path);
        }
    }
    found.sort();
    if found.is_empty() {
        bail!("{} has no .{ending}: nothing would be checked", folder.display());
    }
    Ok(found)
}

/// The last part of a file's name, without its ending.
fn stem(file: &Path) -> String {
    file.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
