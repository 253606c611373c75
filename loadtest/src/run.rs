//! One run: connect, prepare, load, settle, read back, judge.

mod fleet;
mod load;
mod prepare;
mod readback;
mod settle;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::time::interval;

use crate::device::Target;
use crate::plan::{Plan, Shard};
use crate::progress::Progress;
use crate::scenario::Scenario;
use crate::stats::{Point, Process, Sampler, Usage};
use crate::summary::{self, Summary};
use crate::tokens::Tokens;
use crate::world::{Shared, World};
use fleet::Fleet;
pub(crate) use settle::Settled;

/// How a run is made, beside its scenario.
pub(crate) struct Options {
    pub(crate) targets: Vec<Rc<Target>>,
    pub(crate) pids: Vec<u32>,
    pub(crate) shard: Shard,
    pub(crate) tokens: Tokens,
    /// A shell command that is run in the middle of the load.
    pub(crate) chaos_hook: Option<String>,
    /// Whether the history and the lists are read back; not from the floor, which has none.
    pub(crate) read_back: bool,
    pub(crate) progress: bool,
}

/// What the service had used at the moments that matter.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usages {
    pub(crate) before: Option<Usage>,
    pub(crate) connected: Option<Usage>,
    pub(crate) end: Option<Usage>,
}

/// What was measured between two moments.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Window {
    pub(crate) seconds: f64,
    pub(crate) answered: u64,
    pub(crate) delivered: u64,
    pub(crate) cpu_seconds: Option<f64>,
    pub(crate) own_cpu_seconds: f64,
}

/// What a run has found, beside what the world knows.
pub(crate) struct Findings {
    /// Tells the users of one run from those of another.
    pub(crate) run: String,
    pub(crate) scenario: Scenario,
    pub(crate) shard: Shard,
    pub(crate) series: Vec<Point>,
    pub(crate) usages: Usages,
    pub(crate) window: Window,
    pub(crate) settled: Settled,
}

/// A run under way.
struct Run {
    scenario: Scenario,
    shared: Shared,
    fleet: Fleet,
    processes: Process,
    sampler: Sampler,
    progress: Progress,
}

/// Runs a scenario against a service.
///
/// # Errors
///
/// Where the run could not be made: nobody could connect, or a chat could not be made. What the service does wrong
/// afterwards is in the summary.
pub(crate) async fn run(scenario: &Scenario, options: &Options) -> Result<Summary> {
    let own = options.shard.of(scenario);
    let started = Instant::now();
    let run_id = format!("{:08x}", rand::random::<u32>());
    let plan = Rc::new(Plan::new(&own, &run_id));
    let shared = Rc::new(RefCell::new(World::new(&own, plan, started)));
    let mut processes = Process::new(&options.pids)?;
    let mut usages = Usages {
        before: processes.target(),
        ..Usages::default()
    };
    let connecting = Instant::now() + Duration::from_millis(50);
    let fleet = Fleet::connect(&own, &shared, options, connecting)?;
    let mut run = Run {
        progress: Progress::new(options.progress),
        sampler: Sampler::new(started),
        scenario: own,
        shared,
        fleet,
        processes,
    };
    run.all_connected().await?;
    run.prepare().await?;
    usages.connected = run.processes.target();
    let window = run.load(options.chaos_hook.as_deref()).await?;
    let mut settled = run.settle().await;
    usages.end = run.processes.target();
    if options.read_back
        && let Err(error) = run.read_back().await
    {
        // What was found so far is worth telling.
        settled.all = false;
        let refusals = &mut run.shared.borrow_mut().stats.refusals;
        refusals.insert("reading back".to_owned(), (1, format!("{error:#}")));
    }
    run.shared.borrow_mut().ledger.close_claims();
    run.progress.done();
    run.fleet.disband().await;
    let findings = Findings {
        run: run_id,
        scenario: run.scenario,
        shard: options.shard,
        series: run.sampler.points,
        usages,
        window,
        settled,
    };
    Ok(summary::of(findings, &run.shared.borrow()))
}

impl Run {
    /// Waits for something, and shows meanwhile how it goes. False when the time is over.
    async fn wait(&mut self, phase: &str, limit: Duration, mut done: impl FnMut(&World) -> bool) -> bool {
        let start = Instant::now();
        let mut ticks = interval(Duration::from_millis(20));
        let mut shown = Instant::now();
        loop {
            ticks.tick().await;
            if done(&self.shared.borrow()) {
                return true;
            }
            if start.elapsed() > limit {
                return false;
            }
            if shown.elapsed() >= Duration::from_secs(1) {
                shown = Instant::now();
                self.sample(phase);
            }
        }
    }

    /// A point of the series, and the line that shows it.
    fn sample(&mut self, phase: &str) {
        let mut world = self.shared.borrow_mut();
        let point = self.sampler.sample(&mut world.stats, &mut self.processes);
        self.progress.show(phase, &point, &world);
    }

    async fn all_connected(&mut self) -> Result<()> {
        let devices = self.scenario.devices();
        let planned = f64::from(devices) / self.scenario.connect.rate;
        let limit = Duration::from_secs_f64(planned) + Duration::from_secs(60);
        if self
            .wait("connecting", limit, |world| world.ready == devices)
            .await
        {
            return Ok(());
        }
        let world = self.shared.borrow();
        let why = world.stats.refusals.iter().next();
        let why = why.map_or_else(String::new, |(what, (_, message))| {
            format!(" ({what}: {message})")
        });
        bail!(
            "{} of {devices} connections came about in {limit:?}{why}",
            world.ready
        )
    }
}

/// Runs a command of the user's, beside the load.
fn hook(command: &str) -> Result<std::process::Child> {
    std::process::Command::new("sh")
        .args(["-c", command])
        .spawn()
        .with_context(|| format!("--chaos-hook {command}"))
}
