//! The Dockerfile, by its linter; compose files, by the schema of compose files.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use super::{Place, Tools, files};

/// Holds YAML files against a JSON schema.
const SCRIPT: &str = include_str!("compose.py");

pub(super) fn check(place: &Place, tools: &Tools) -> Result<()> {
    let mut hadolint: Command = tools.hadolint();
    hadolint
        .args(["--failure-threshold", "style"])
        .arg(place.deploy.join("Dockerfile"));
    tools.run(hadolint).context("hadolint deploy/Dockerfile")?;
    let script = place.made.join("compose.py");
    fs::write(&script, SCRIPT)?;
    let mut command = tools.python();
    let compose = files(&place.deploy, "yaml")?;
    command.arg(&script).arg(&tools.compose_schema).args(&compose);
    tools
        .run(command)
        .context("compose files are not as their schema says")?;
    println!(
        "xtask: the Dockerfile is clean, and {} compose files are as their schema says",
        compose.len()
    );
    Ok(())
}
