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
    let chart = fs::read_to_string(place.chart().join("Chart.yaml"))?;
    let version = concat!("\nappVersion: ", env!("CARGO_PKG_VERSION"), "\n");
    ensure!(
        chart.contains(version),
        "Chart.yaml names another version than Cargo.toml"
    );
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
    notes(place, tools)?;
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

/// What is said after an installation. Helm shows it only to whoever has a cluster: here it is rendered as a value, in a copy of the chart.
fn notes(place: &Place, tools: &Tools) -> Result<()> {
    let copy = place.made.join("notes");
    copy_folder(&place.chart(), &copy)?;
    let templates = copy.join("templates");
    fs::rename(templates.join("NOTES.txt"), copy.join("NOTES.txt"))?;
    let value = r#"notes: {{ tpl (.Files.Get "NOTES.txt") . | toJson }}"#;
    fs::write(templates.join("notes.yaml"), value)?;
    for (values, said) in [
        ("least", "What is missing:\\n  - a way in from outside"),
        ("everything", "What is missing:\\n  nothing"),
    ] {
        let mut command = Command::new(&tools.helm);
        command.args(["template", "confab"]).arg(&copy);
        command.args([
            "--show-only",
            "templates/notes.yaml",
            "--kube-version",
            KUBERNETES[0],
        ]);
        let values = place.checks().join("accepted").join(format!("{values}.yaml"));
        command.arg("--values").arg(&values);
        let notes = tools.run(command).context("NOTES.txt")?;
        ensure!(
            notes.contains(said),
            "NOTES.txt does not say {said:?} of {}:\n{notes}",
            values.display()
        );
    }
    Ok(())
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("creating {}", to.display()))?;
    for entry in fs::read_dir(from)? {
        let (from, to) = (entry?.path(), to.to_owned());
        let to = to.join(from.file_name().unwrap_or_default());
        if from.is_dir() {
            copy_folder(&from, &to)?;
        } else {
            fs::copy(&from, &to).with_context(|| format!("copying {}", from.display()))?;
        }
    }
    Ok(())
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
