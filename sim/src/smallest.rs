//! Makes a failing seed small: every candidate is run in a process of its own.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use confab_sim::minimise::minimise;
use confab_sim::plan::Plan;
use serde_json::Value;

use crate::many;

/// So many falls of the dice a smaller plan is given to fail.
const TRIES: u64 = 4;
/// The longest that it goes on for.
const MINUTES: f64 = 20.0;

/// What is looked for, and where candidates are put.
struct Search {
    mistake: Option<String>,
    /// Of the violations that the seed has, what each is about.
    kinds: Vec<String>,
    folder: PathBuf,
    until: Instant,
    runs: u64,
}

/// Prints the smallest plan found that fails as a seed does.
///
/// # Errors
/// The arguments are none, the seed does not fail, or a process cannot be started.
pub(crate) fn run(seed: u64, mut arguments: &[&str]) -> Result<ExitCode> {
    let (mut mistake, mut minutes) = (None, MINUTES);
    loop {
        arguments = match arguments {
            [] => break,
            ["--mistake", name, rest @ ..] => {
                mistake = Some((*name).to_owned());
                rest
            }
            ["--minutes", text, rest @ ..] => {
                minutes = text.parse()?;
                rest
            }
            [other, ..] => bail!("no such option: {other}"),
        };
    }
    let mut search = Search {
        mistake,
        kinds: Vec::new(),
        folder: std::env::temp_dir().join(format!("confab-sim-{}", std::process::id())),
        until: Instant::now() + Duration::from_secs_f64(minutes * 60.0),
        runs: 0,
    };
    std::fs::create_dir_all(&search.folder)?;
    let found = search.smallest(seed);
    let _left_over = std::fs::remove_dir_all(&search.folder);
    let (plan, violations) = found?;
    println!("{}", serde_json::to_string(&plan)?);
    eprintln!(
        "after {} runs: {} devices, {} moves, {} faults. Put into sim/tests/plans it is a test. It fails by:",
        search.runs,
        plan.people.len(),
        plan.people
            .iter()
            .flat_map(|one| one.does.iter().flatten())
            .count(),
        plan.rates.len()
    );
    violations.iter().for_each(|text| eprintln!("    {text}"));
    Ok(ExitCode::SUCCESS)
}

impl Search {
    fn smallest(&mut self, seed: u64) -> Result<(Plan, Vec<String>)> {
        let mut plan = Plan::of(seed);
        let line = self.line(&plan, 0)?;
        self.kinds = violations(&line).iter().map(|text| kind(text)).collect();
        if self.kinds.is_empty() {
            bail!("seed {seed} does not fail");
        }
        for one in &mut plan.people {
            let moves = &line["moves"][format!("{}/{}", one.user, one.device)];
            one.does = Some((0..u32::try_from(moves.as_u64().unwrap_or(0))?).collect());
        }
        let plan = minimise(plan, &mut |plan| self.still_fails(plan));
        let line = self.line(&plan, 0)?;
        Ok((plan, violations(&line)))
    }

    /// The plan with the first fall of the dice with which it fails as the seed does.
    fn still_fails(&mut self, plan: &Plan) -> Option<Plan> {
        if Instant::now() > self.until {
            return None;
        }
        self.runs += TRIES;
        let search = &*self;
        std::thread::scope(|scope| {
            let tries = (0..TRIES).map(|nth| {
                let plan = Plan {
                    seed: plan.seed.wrapping_add(nth),
                    ..plan.clone()
                };
                scope.spawn(move || search.fails(&plan, nth).then_some(plan))
            });
            let tries: Vec<_> = tries.collect();
            let found = tries.into_iter().map(|tried| tried.join().ok().flatten());
            found.fold(None, |first, found| first.or(found))
        })
    }

    fn fails(&self, plan: &Plan, nth: u64) -> bool {
        let Ok(line) = self.line(plan, nth) else {
            return false;
        };
        violations(&line)
            .iter()
            .any(|text| self.kinds.contains(&kind(text)))
    }

    /// What a run of a plan says of itself.
    fn line(&self, plan: &Plan, nth: u64) -> Result<Value> {
        let file = self.folder.join(nth.to_string());
        std::fs::write(&file, serde_json::to_vec(plan)?)?;
        let file = file
            .to_str()
            .context("the folder for temporary files is no text")?;
        let (line, complaint) = many::one(file, self.mistake.as_deref())?;
        serde_json::from_str(&line).with_context(|| format!("the process died: {complaint}"))
    }
}

fn violations(line: &Value) -> Vec<String> {
    let violations = line["violations"].as_array().into_iter().flatten();
    violations
        .filter_map(|text| Some(text.as_str()?.to_owned()))
        .collect()
}

/// What a violation is about: its beginning, without who it happened to and without numbers.
fn kind(violation: &str) -> String {
    let parts = violation.split(": ");
    let about = parts
        .into_iter()
        .find(|part| !part.contains('/'))
        .unwrap_or_default();
    about.chars().filter(|char| !char.is_ascii_digit()).collect()
}
