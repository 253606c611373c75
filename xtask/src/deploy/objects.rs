//! What was rendered, against the schemas of those who will read it. Unknown fields are errors.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::chart::KUBERNETES;
use super::{Place, Tools};

/// Holds the objects of Kubernetes against its schemas, and puts the others together.
const KUBERNETES_SCRIPT: &str = include_str!("objects.py");
/// Holds those others against their models, and makes a program of them whose types say whether all fields are known.
const MODELS_SCRIPT: &str = include_str!("models.mjs");

pub(super) fn check(place: &Place, tools: &Tools, rendered: &[PathBuf]) -> Result<()> {
    let script = place.made.join("objects.py");
    fs::write(&script, KUBERNETES_SCRIPT)?;
    let mut command = tools.python();
    command.arg(&script).args(KUBERNETES).arg("--").args(rendered);
    let others = command.output().context("starting Python")?;
    let said = String::from_utf8_lossy(&others.stderr);
    anyhow::ensure!(
        others.status.success(),
        "objects are not as Kubernetes knows them:\n{said}"
    );
    print!("{said}");

    // Node looks for packages beside the program.
    let folder = place.made.join("models");
    fs::create_dir_all(&folder)?;
    std::os::unix::fs::symlink(tools.models.join("node_modules"), folder.join("node_modules"))?;
    fs::write(folder.join("package.json"), r#"{"type": "module"}"#)?;
    fs::write(folder.join("objects.json"), &others.stdout)?;
    fs::write(folder.join("models.mjs"), MODELS_SCRIPT)?;
    let mut command = Command::new(&tools.node);
    command.arg("models.mjs").current_dir(&folder);
    let said = tools
        .run(command)
        .context("objects are not as their models are")?;
    print!("{said}");

    let mut command = Command::new(&tools.node);
    command
        .arg(tools.models.join("node_modules/typescript/bin/tsc"))
        .args(["--noEmit", "--strict", "--skipLibCheck", "--target", "es2022"])
        .args([
            "--module",
            "nodenext",
            "--moduleResolution",
            "nodenext",
            "objects.ts",
        ])
        .current_dir(&folder);
    tools
        .run(command)
        .context("objects have fields that their types do not")?;
    Ok(())
}
