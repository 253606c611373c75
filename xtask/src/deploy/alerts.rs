//! The alerts: their rules are rules, every one is tried, and every one has its runbook.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Place, Tools};

pub(super) fn check(place: &Place, tools: &Tools) -> Result<()> {
    let rules = place.chart().join("files").join("alerts.yaml");
    let trials = place.checks().join("alerts.test.yaml");
    promtool(tools, "check", &rules)?;
    promtool(tools, "test", &trials)?;
    let text = fs::read_to_string(&rules)?;
    let wrong = untried(&text, &fs::read_to_string(&trials)?)
        .chain(without_runbook(
            &text,
            &fs::read_to_string(&place.runbooks).unwrap_or_default(),
        ))
        .collect::<Vec<_>>();
    if !wrong.is_empty() {
        bail!("alerts:\n  {}", wrong.join("\n  "));
    }
    println!(
        "xtask: {} alerts are tried, and have their runbooks",
        names(&text).len()
    );
    Ok(())
}

fn promtool(tools: &Tools, action: &str, file: &PathBuf) -> Result<()> {
    let mut command = Command::new(&tools.promtool);
    command.args([action, "rules"]).arg(file);
    tools
        .run(command)
        .map(|_| ())
        .with_context(|| format!("promtool {action} rules {}", file.display()))
}

/// The alerts of a file of rules.
fn names(rules: &str) -> BTreeSet<&str> {
    let lines = rules.lines().map(str::trim);
    lines.filter_map(|line| line.strip_prefix("- alert: ")).collect()
}

/// Alerts that no trial sees fire, or none sees silent.
fn untried(rules: &str, trials: &str) -> impl Iterator<Item = String> {
    let silent: BTreeSet<&str> = trials
        .lines()
        .filter(|line| line.contains("exp_alerts: []"))
        .filter_map(|line| line.split("alertname: ").nth(1)?.split(',').next())
        .collect();
    let fires: BTreeSet<&str> = trials
        .split("alertname: ")
        .skip(1)
        .filter(|rest| {
            rest.split_once("exp_alerts:")
                .is_some_and(|(_, rest)| rest.starts_with('\n'))
        })
        .filter_map(|rest| rest.lines().next())
        .collect();
    let mut wrong = Vec::new();
    for name in names(rules) {
        if !fires.contains(name) {
            wrong.push(format!("{name} fires in no trial"));
        }
        if !silent.contains(name) {
            wrong.push(format!("{name} is silent in no trial"));
        }
    }
    wrong.into_iter()
}

/// Alerts whose runbook is not a section of the document.
fn without_runbook(rules: &str, document: &str) -> impl Iterator<Item = String> {
    let headings: BTreeSet<String> = document
        .lines()
        .filter_map(|line| line.strip_prefix('#'))
        .map(|heading| heading.trim_start_matches('#').trim().to_lowercase())
        .collect();
    let mut wrong = Vec::new();
    for rule in rules.split("- alert: ").skip(1) {
        let name = rule.lines().next().unwrap_or_default();
        let anchor = rule
            .split_once("runbook_url: docs/operations.md#")
            .and_then(|(_, rest)| rest.lines().next());
        if !anchor.is_some_and(|anchor| headings.contains(anchor)) {
            wrong.push(format!("{name} has no section in docs/operations.md: {anchor:?}"));
        }
    }
    wrong.into_iter()
}

#[cfg(test)]
mod tests {
    use super::{untried, without_runbook};

    const RULES: &str = "\
      - alert: Fire
        annotations:
          runbook_url: docs/operations.md#fire
      - alert: Flood
        annotations:
          runbook_url: docs/operations.md#water
";

    #[test]
    fn an_alert_is_tried_both_ways() {
        let trials = "\
      - {eval_time: 1m, alertname: Fire, exp_alerts: []}
      - eval_time: 1m
        alertname: Fire
        exp_alerts:
          - exp_labels: {}
      - eval_time: 2m
        alertname: Flood
        exp_alerts: []
";
        let wrong: Vec<String> = untried(RULES, trials).collect();
        assert_eq!(wrong, ["Flood fires in no trial", "Flood is silent in no trial"]);
    }

    #[test]
    fn a_runbook_is_a_section() {
        let wrong: Vec<String> = without_runbook(RULES, "# Operations\n\n### Fire\n").collect();
        assert_eq!(
            wrong,
            ["Flood has no section in docs/operations.md: Some(\"water\")"]
        );
    }
}
