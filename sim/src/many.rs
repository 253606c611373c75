//! Many seeds, each in a process of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use confab_service::mistake::Mistake;
use confab_sim::faults::Fault;
use confab_sim::plan::{Plan, Story};
use serde_json::Value;

/// A seed that takes longer hangs: it is a second's work, but the machine may be busy.
const HANGS: Duration = Duration::from_secs(600);
/// How what is told of a process begins that did not come to its end.
const DIED: &str = "the process died";
/// Within so many seeds every mistake must be noticed.
const NOTICED_WITHIN: u64 = 500;
/// Of so many failing seeds is told.
const TOLD: usize = 10;

/// Which seeds, and how.
#[derive(Clone, Debug)]
struct Asked {
    from: u64,
    count: u64,
    time: Duration,
    mistake: Option<String>,
    state: Option<PathBuf>,
    until_caught: bool,
    /// Only seeds of this story.
    story: Option<Story>,
    /// Every fault must strike.
    every_fault: bool,
}

impl Default for Asked {
    fn default() -> Self {
        Self {
            from: 1,
            count: u64::MAX,
            time: Duration::from_secs(86_400),
            mistake: None,
            state: None,
            until_caught: false,
            story: None,
            every_fault: false,
        }
    }
}

/// Where a run that is cut off goes on: behind the seeds without one missing among them.
#[derive(Debug)]
struct Progress {
    next: u64,
    ahead: BTreeSet<u64>,
}

impl Progress {
    /// Notes that a seed is done, in the file too, and tells at once if it failed: a run may be cut off.
    fn keep(&mut self, seed: u64, tally: &Tally, state: &Path) -> Result<()> {
        if let Some(found) = tally.failed.get(&seed).and_then(|found| found.first()) {
            println!("seed {seed} failed: {}", cut(found));
        }
        self.ahead.insert(seed);
        while self.ahead.remove(&self.next) {
            self.next += 1;
        }
        std::fs::write(state, format!("{}\n", self.next)).context("the state file")
    }
}

/// What came of all of them.
#[derive(Debug, Default)]
struct Tally {
    run: u64,
    entries: u64,
    simulated: u64,
    counts: BTreeMap<String, u64>,
    /// The seeds that failed, with what they found.
    failed: BTreeMap<u64, Vec<String>>,
}

fn parse(mut arguments: &[&str]) -> Result<Asked> {
    let mut asked = Asked::default();
    loop {
        arguments = match arguments {
            [] => return Ok(asked),
            ["--from", seed, rest @ ..] => {
                asked.from = seed.parse()?;
                rest
            }
            ["--count", count, rest @ ..] => {
                asked.count = count.parse()?;
                rest
            }
            ["--minutes", minutes, rest @ ..] => {
                asked.time = Duration::from_secs_f64(minutes.parse::<f64>()? * 60.0);
                rest
            }
            ["--mistake", name, rest @ ..] => {
                asked.mistake = Some((*name).to_owned());
                rest
            }
            ["--state", file, rest @ ..] => {
                asked.state = Some(PathBuf::from(file));
                rest
            }
            ["--until-caught", rest @ ..] => {
                asked.until_caught = true;
                rest
            }
            ["--lost-log", rest @ ..] => {
                asked.story = Some(Story::LostLog);
                rest
            }
            ["--every-fault", rest @ ..] => {
                asked.every_fault = true;
                rest
            }
            [other, ..] => bail!("no such option: {other}"),
        };
    }
}

/// Runs seeds.
///
/// # Errors
/// The arguments are none, or a process cannot be started.
pub(crate) fn seeds(arguments: &[&str]) -> Result<ExitCode> {
    let mut asked = parse(arguments)?;
    if let Some(state) = &asked.state {
        asked.from = next_seed(state)?;
    }
    let begun = Instant::now();
    let tally = run(&asked)?;
    report(&asked, &tally, begun.elapsed());
    let missed = tally.never_struck();
    if asked.every_fault && !missed.is_empty() {
        println!("of all faults these never struck: {}", missed.join(", "));
        return Ok(ExitCode::FAILURE);
    }
    Ok(match tally.failed.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Makes every mistake, and sees that it is noticed.
///
/// # Errors
/// The arguments are none, or a process cannot be started.
pub(crate) fn mistakes(arguments: &[&str]) -> Result<ExitCode> {
    let mut asked = parse(arguments)?;
    asked.count = asked.count.min(NOTICED_WITHIN);
    asked.until_caught = true;
    let mut unnoticed = 0;
    for mistake in Mistake::ALL {
        asked.mistake = Some(mistake.name().to_owned());
        let tally = run(&asked)?;
        match tally.noticed() {
            Some((seed, found)) => println!(
                "{:<24} noticed within {} seeds (seed {seed}): {}",
                mistake.name(),
                tally.run,
                cut(found)
            ),
            None => {
                unnoticed += 1;
                println!("{:<24} NOT NOTICED by {} seeds", mistake.name(), tally.run);
            }
        }
    }
    Ok(match unnoticed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// The seed to go on with.
fn next_seed(state: &Path) -> Result<u64> {
    match std::fs::read_to_string(state) {
        Ok(text) => text.trim().parse().context("the state file"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(1),
        Err(error) => Err(error).context("the state file"),
    }
}

fn run(asked: &Asked) -> Result<Tally> {
    let progress = Progress {
        next: asked.from,
        ahead: BTreeSet::new(),
    };
    let so_far = Mutex::new((Tally::default(), progress));
    let next = AtomicU64::new(asked.from);
    let enough = AtomicBool::new(false);
    let until = Instant::now() + asked.time;
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let working = || -> Result<()> {
            while !enough.load(Ordering::Relaxed) && Instant::now() < until {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed - asked.from >= asked.count {
                    break;
                }
                let left_out = asked.story.is_some_and(|story| Plan::of(seed).story != story);
                let found = match left_out {
                    true => None,
                    false => Some(one(&seed.to_string(), asked.mistake.as_deref())?),
                };
                let mut so_far = so_far.lock().unwrap_or_else(PoisonError::into_inner);
                let (tally, progress) = &mut *so_far;
                if let Some((line, complaint)) = found {
                    tally.take(seed, &line, &complaint);
                }
                if let Some(state) = &asked.state {
                    progress.keep(seed, tally, state)?;
                }
                if asked.until_caught && tally.noticed().is_some() {
                    enough.store(true, Ordering::Relaxed);
                }
            }
            Ok(())
        };
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(working)).collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(done) => done,
            Err(_) => bail!("a thread panicked"),
        })
    })?;
    let (tally, _) = so_far.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(tally)
}

/// Runs one seed, or the plan in a file; its line, or what went wrong with the process.
pub(crate) fn one(planned: &str, mistake: Option<&str>) -> Result<(String, String)> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("run").arg(planned).arg("--brief");
    if let Some(mistake) = mistake {
        command.args(["--mistake", mistake]);
    }
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("starting a simulation")?;
    let mut stdout = child.stdout.take().context("its output")?;
    let mut stderr = child.stderr.take().context("its errors")?;
    std::thread::scope(|scope| {
        let reading = scope.spawn(move || {
            let mut text = String::new();
            let _cut_off = stdout.read_to_string(&mut text);
            text
        });
        let complaining = scope.spawn(move || {
            let mut text = String::new();
            let _cut_off = stderr.read_to_string(&mut text);
            text
        });
        let hangs = !ends(&mut child)?;
        let line = reading.join().unwrap_or_default();
        let complaint = complaining.join().unwrap_or_default();
        Ok(match hangs {
            true => (line, format!("it hangs: no end after {HANGS:?}")),
            false => (line, complaint),
        })
    })
}

/// Waits for the end; false where it had to be forced.
fn ends(child: &mut Child) -> Result<bool> {
    let until = Instant::now() + HANGS;
    let mut pause = Duration::from_millis(2);
    while child.try_wait()?.is_none() {
        if Instant::now() > until {
            child.kill()?;
            child.wait()?;
            return Ok(false);
        }
        std::thread::park_timeout(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
    Ok(true)
}

impl Tally {
    /// The first seed that has found something, and what; that a process has died is no finding.
    fn noticed(&self) -> Option<(u64, &str)> {
        let found = self
            .failed
            .iter()
            .filter_map(|(seed, found)| Some((*seed, found.first()?.as_str())));
        found.into_iter().find(|(_, text)| !text.starts_with(DIED))
    }

    fn never_struck(&self) -> Vec<&'static str> {
        let missed = Fault::ALL.iter().map(|fault| fault.name());
        missed
            .filter(|name| self.counts.get(*name).is_none_or(|count| *count == 0))
            .collect()
    }

    fn take(&mut self, seed: u64, line: &str, complaint: &str) {
        self.run += 1;
        let Ok(line) = serde_json::from_str::<Value>(line) else {
            let what = format!("{DIED}: {}", cut(complaint));
            self.failed.insert(seed, vec![what]);
            return;
        };
        self.entries += line["entries"].as_u64().unwrap_or(0);
        self.simulated += line["simulated_ms"].as_u64().unwrap_or(0);
        for (fault, count) in line["faults"].as_object().into_iter().flatten() {
            *self.counts.entry(fault.clone()).or_default() += count.as_u64().unwrap_or(0);
        }
        let violations = line["violations"].as_array().into_iter().flatten();
        let violations: Vec<String> = violations
            .filter_map(|text| Some(text.as_str()?.to_owned()))
            .collect();
        if !violations.is_empty() {
            self.failed.insert(seed, violations);
        }
    }
}

fn cut(text: &str) -> String {
    text.chars().take(240).collect()
}

fn report(asked: &Asked, tally: &Tally, took: Duration) {
    println!("faults that struck:");
    for fault in Fault::ALL {
        let count = tally.counts.get(fault.name()).copied().unwrap_or(0);
        println!("  {:<32}{count:>10}", fault.name());
    }
    #[expect(clippy::cast_precision_loss, reason = "no count here comes near 2^52")]
    let a_minute = tally.run as f64 * 60.0 / took.as_secs_f64().max(0.001);
    println!(
        "{} seeds from {} on in {:.1} s, {a_minute:.0} a minute; {} log entries, {} minutes simulated; {} failed",
        tally.run,
        asked.from,
        took.as_secs_f64(),
        tally.entries,
        tally.simulated / 60_000,
        tally.failed.len()
    );
    for (seed, found) in tally.failed.iter().take(TOLD) {
        let mistake = asked.mistake.as_ref().map(|name| format!(" --mistake {name}"));
        println!(
            "seed {seed} failed; again: cargo xtask sim --seed {seed}{}",
            mistake.unwrap_or_default()
        );
        for violation in found.iter().take(3) {
            println!("    {}", cut(violation));
        }
    }
}
