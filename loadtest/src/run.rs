//! One run: connect, prepare, load, settle, read back, judge.

mod fleet;
mod load;
mod prepare;
mod readback;
mod settle;

use std::cell::RefCell;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use tokio::time::interval;

use crate::device::Target;
use crate::interrupt::Interrupt;
use crate::plan::{Plan, Shard};
use crate::progress::Progress;
use crate::scenario::Scenario;
use crate::stats::{Point, Process, Sampler, Usage};
use crate::summary::{self, Summary};
use crate::tokens::Tokens;
use crate::world::{Shared, World};
use fleet::Fleet;
pub(crate) use settle::Settled;

/// A service that lets nobody in for so long is not there.
const FIRST: Duration = Duration::from_secs(15);

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
    pub(crate) interrupt: Interrupt,
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
    /// In milliseconds since 1970.
    pub(crate) began: u64,
    pub(crate) seconds: f64,
    pub(crate) answered: u64,
    pub(crate) delivered: u64,
    pub(crate) cpu_seconds: Option<f64>,
    pub(crate) own_cpu_seconds: f64,
    /// Of this machine's CPU time, what its host took; none where the system does not tell.
    pub(crate) stolen_share: Option<f64>,
}

/// What a run has found, beside what the world knows.
pub(crate) struct Findings {
    /// Tells the users of one run from those of another.
    pub(crate) run: String,
    pub(crate) scenario: Scenario,
    pub(crate) shard: Shard,
    /// In milliseconds since 1970.
    pub(crate) started_at: u64,
    pub(crate) series: Vec<Point>,
    pub(crate) usages: Usages,
    pub(crate) window: Window,
    pub(crate) settled: Settled,
    /// Whether history and lists were read back, all of them.
    pub(crate) read_back: bool,
    /// The processes of the service that were to be watched.
    pub(crate) pids: Vec<u32>,
    /// Actions that no device has come to.
    pub(crate) unbegun: u64,
    /// Whether the load was ended before its time.
    pub(crate) interrupted: bool,
    /// The chaos hook, if there was to be one.
    pub(crate) chaos_command: Option<String>,
    /// Its exit code, if it has ended.
    pub(crate) chaos_hook: Option<i32>,
}

/// A run under way.
struct Run {
    scenario: Scenario,
    shared: Shared,
    fleet: Fleet,
    processes: Process,
    sampler: Sampler,
    progress: Progress,
    interrupt: Interrupt,
    /// Whether it has ended the load.
    interrupted: bool,
    /// The chaos hook, once it was started.
    hook: Option<Child>,
}

/// Tells the users of one run from those of another.
pub(crate) fn new_id() -> String {
    format!("{:08x}", rand::random::<u32>())
}

/// Runs a scenario against a service.
///
/// # Errors
///
/// Where the run could not be made: nobody could connect, or a chat could not be made. What the service does wrong
/// afterwards is in the summary.
pub(crate) async fn run(scenario: &Scenario, options: &Options, run_id: String) -> Result<Summary> {
    let own = options.shard.of(scenario)?;
    let (started, started_at) = (Instant::now(), clock());
    let plan = Rc::new(Plan::new(&own, &run_id));
    let shared = Rc::new(RefCell::new(World::new(&own, plan, started)));
    let mut processes = Process::new(&options.pids)?;
    let mut usages = Usages {
        before: processes.target(),
        ..Usages::default()
    };
    let connecting = Instant::now() + Duration::from_millis(50);
    let sampler = Sampler::new(started, &mut processes);
    let fleet = Fleet::connect(&own, &shared, options, connecting)?;
    let mut run = Run {
        progress: Progress::new(options.progress),
        sampler,
        scenario: own,
        shared,
        fleet,
        processes,
        interrupt: options.interrupt.clone(),
        interrupted: false,
        hook: None,
    };
    run.all_connected().await?;
    run.prepare().await?;
    usages.connected = run.processes.target();
    let window = run.load(options.chaos_hook.as_deref()).await?;
    let mut settled = run.settle().await;
    usages.end = run.processes.target();
    let mut read_back = options.read_back;
    if read_back && let Err(error) = run.read_back().await {
        // What was found so far is worth telling.
        (settled.all, read_back) = (false, false);
        let refusals = &mut run.shared.borrow_mut().stats.refusals;
        refusals.insert("reading back".to_owned(), (1, format!("{error:#}")));
    }
    run.shared.borrow_mut().ledger.close_claims();
    run.progress.done();
    let unbegun = run.fleet.waiting();
    run.fleet.disband().await;
    let findings = Findings {
        run: run_id,
        scenario: run.scenario,
        shard: options.shard,
        started_at,
        series: run.sampler.points,
        usages,
        window,
        settled,
        read_back,
        pids: options.pids.clone(),
        unbegun,
        interrupted: run.interrupted,
        chaos_command: options.chaos_hook.clone(),
        chaos_hook: run.hook.as_mut().and_then(hook_code),
    };
    Ok(summary::of(findings, &run.shared.borrow()))
}

impl Run {
    /// Waits for something, and shows meanwhile how it goes. False when the time is over.
    async fn wait(&mut self, phase: &str, limit: Duration, mut done: impl FnMut(&World) -> bool) -> bool {
        let start = Instant::now();
        let mut ticks = interval(Duration::from_millis(20));
        loop {
            ticks.tick().await;
            if done(&self.shared.borrow()) {
                return true;
            }
            if start.elapsed() > limit {
                return false;
            }
            if self.sampler.is_due() {
                self.sample(phase);
            }
        }
    }

    /// Nothing that could be judged is lost where it ends now.
    fn goes_on(&self) -> Result<()> {
        ensure!(!self.interrupt.has_come(), "interrupted before the load began");
        Ok(())
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
        let start = Instant::now();
        let interrupt = self.interrupt.clone();
        let done = |world: &World| {
            let in_vain = world.ready == 0 && start.elapsed() > FIRST;
            world.ready == devices || in_vain || interrupt.has_come()
        };
        self.wait("connecting", limit, done).await;
        if self.shared.borrow().ready == devices {
            return Ok(());
        }
        self.goes_on()?;
        let world = self.shared.borrow();
        let why = world.stats.refusals.iter().next();
        let why = why.map_or_else(String::new, |(what, (_, message))| {
            format!(" ({what}: {message})")
        });
        bail!(
            "{} of {devices} connections came about in {:.0} s{why}",
            world.ready,
            start.elapsed().as_secs_f64()
        )
    }
}

/// Milliseconds since 1970, for those who run elsewhere.
fn clock() -> u64 {
    let since = SystemTime::UNIX_EPOCH.elapsed();
    since.map_or(0, |since| since.as_millis() as u64)
}

/// Runs a command of the user's, beside the load.
fn hook(command: &str) -> Result<Child> {
    Command::new("sh")
        .args(["-c", command])
        .spawn()
        .with_context(|| format!("--chaos-hook {command}"))
}

/// How it has ended, if it has, as a shell says it.
fn hook_code(hook: &mut Child) -> Option<i32> {
    let status = hook.try_wait().ok().flatten()?;
    status.code().or_else(|| Some(128 + status.signal()?))
}
