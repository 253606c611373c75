//! The chart, by helm itself: it renders with values that are good, and refuses the others with a sentence.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::{Place, Tools, files, stem};

/// The Kubernetes versions that the chart is for: the oldest, and the newest whose schemas there are.
pub(super) const KUBERNETES: [&str; 2] = ["1.30", "1.37"];

/// What the first line of values that must be refused begins with; the rest of it is the sentence.
const REFUSED: &str = "# refused: ";

/// Lints and renders; the files with what was rendered.
pub(super) fn check(place: &Place, tools: &Tools) -> Result<Vec<PathBuf>> {
    let accepted = files(&place.checks().join("accepted"), "yaml")?;
    let examples = place.chart().join("examples").join("values-production.yaml");
    let mut rendered = Vec::new();
    for values in accepted.iter().chain([&examples]) {
        let mut lint = helm(place, tools, "lint");
        lint.args(["--strict", "--quiet"]).arg("--values").arg(values);
        tools
            .run(lint)
            .with_context(|| format!("helm lint with {}", values.display()))?;
        for version in KUBERNETES {
            let file = place.made.join(format!("{}-{version}.yaml", stem(values)));
            fs::write(&file, template(place, tools, &[values], version)?)?;
            rendered.push(file);
        }
    }
    let refused = files(&place.checks().join("refused"), "yaml")?;
    for values in &refused {
        is_refused(place, tools, values)?;
    }
    println!(
        "xtask: the chart renders with {} files of values and refuses {}",
        accepted.len() + 1,
        refused.len()
    );
    Ok(rendered)
}

/// Values that are bad in one way, over values that are good.
fn is_refused(place: &Place, tools: &Tools, values: &Path) -> Result<()> {
    let text = fs::read_to_string(values).with_context(|| format!("reading {}", values.display()))?;
    let sentence = text.lines().next().and_then(|line| line.strip_prefix(REFUSED));
    let Some(sentence) = sentence.filter(|sentence| !sentence.is_empty()) else {
        bail!(
            "{} does not begin with {REFUSED:?} and a sentence",
            values.display()
        );
    };
    let least = place.checks().join("accepted").join("least.yaml");
    match template(place, tools, &[&least, values], KUBERNETES[0]) {
        Ok(_) => bail!("the chart takes {}, which must be refused", values.display()),
        Err(error) => {
            let said = format!("{error:#}");
            ensure!(
                said.contains(sentence),
                "{} is refused, but not with {sentence:?}:\n{said}",
                values.display()
            );
            Ok(())
        }
    }
}

fn template(place: &Place, tools: &Tools, values: &[&Path], version: &str) -> Result<String> {
    let mut command = helm(place, tools, "template");
    // Helm without a cluster takes a Kubernetes of its own year.
    command.args(["--namespace", "chat", "--kube-version", version]);
    for file in values {
        command.arg("--values").arg(file);
    }
    let out = command.output().context("starting helm")?;
    if !out.status.success() {
        bail!("{}", String::from_utf8_lossy(&out.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

fn helm(place: &Place, tools: &Tools, action: &str) -> Command {
    let mut command = Command::new(&tools.helm);
    command.arg(action);
    if action == "lint" {
        command.args(["--kube-version", KUBERNETES[0]]);
    } else {
        command.arg("confab");
    }
    command.arg(place.chart());
    command
}
