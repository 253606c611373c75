//! What each command does.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it is what the tool says to whoever runs it"
)]

mod out;
mod words;

use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context, Result, anyhow};
use clap::ArgMatches;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::task::LocalSet;

use crate::calibrate::{self, Floor};
use crate::capacity::{self, Search};
use crate::cli::Usage;
use crate::compare;
use crate::device::{Target, trust};
use crate::interrupt::Interrupt;
use crate::plan::Shard;
use crate::report;
use crate::run::{self, Options};
use crate::scenario::{READY, Scenario};
use crate::summary::{Summary, judge, merge};
use crate::tokens::Tokens;
use out::Out;
use words::print;

/// # Errors
///
/// Where the command could not do what it is for.
pub(crate) fn run(matches: &ArgMatches) -> Result<u8> {
    match matches.subcommand() {
        Some(("run", args)) => alone(run_one(args)),
        Some(("capacity", args)) => alone(find_capacity(args)),
        Some(("validate", args)) => validate(args),
        Some(("calibrate", args)) => alone(show_floor(args)),
        Some(("report", args)) => make_report(args),
        Some(("compare", args)) => compare_two(args),
        Some(("merge", args)) => merge_all(args),
        Some(("floor", _)) => bare_server(),
        _ => Err(Usage.into()),
    }
}

/// On one thread: more of them are more shards.
fn alone(command: impl Future<Output = Result<u8>>) -> Result<u8> {
    // An error only where it is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, command)
}

fn bare_server() -> Result<u8> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(calibrate::floor::serve())?;
    Ok(0)
}

async fn run_one(args: &ArgMatches) -> Result<u8> {
    let scenario = scenario(args)?;
    let options = options(args, &scenario).await?;
    let run = run::new_id();
    let out = args.get_one::<String>("out").map(PathBuf::from);
    let out = Out::new(out.unwrap_or_else(|| PathBuf::from(format!("loadtest-{}-{run}", scenario.name))))?;
    let floor = if args.get_flag("calibrate") {
        Some(calibrate::calibrate(out.dir()).await?)
    } else {
        None
    };
    let mut summary = run::run(&scenario, &options, run).await?;
    summary.floor = match floor {
        Some(before) if !options.interrupt.has_come() => Some(floor_around(before, out.dir()).await),
        floor => floor,
    };
    judge(&mut summary);
    // First: it must be seen even where it cannot be written.
    print(&summary);
    out.keep(&summary)?;
    println!("written to {}", out.dir().display());
    Ok(summary.verdict.code())
}

/// The floor of a run. A shared machine is faster in one minute than in the next, so it is measured again; where that
/// fails, what was measured before stands: a run is not thrown away for it.
async fn floor_around(before: Floor, dir: &Path) -> Floor {
    match calibrate::calibrate(dir).await {
        Ok(after) => before.mean(after),
        Err(error) => {
            eprintln!(
                "the floor could not be measured after the run, so that of before it counts alone: {error:#}"
            );
            before
        }
    }
}

async fn find_capacity(args: &ArgMatches) -> Result<u8> {
    let scenario = scenario(args)?;
    let closeness = args.get_one::<f64>("closeness").copied().unwrap_or(10.0);
    let from = args.get_one::<f64>("from").copied();
    let search = Search::new(&scenario, shard(args), from, closeness).context(Usage)?;
    let options = options(args, &scenario).await?;
    let out = args.get_one::<String>("out").map(PathBuf::from);
    let out = out.map(Out::new).transpose()?;
    let found = capacity::search(&scenario, &options, &search, |line| println!("{line}")).await?;
    if let Some(best) = &found.best {
        print(best);
    }
    if let Some(words) = found.words() {
        println!("{words}");
    }
    if let (Some(out), Some(best)) = (out, &found.best) {
        out.keep(best)?;
    }
    Ok(found.code())
}

fn validate(args: &ArgMatches) -> Result<u8> {
    let Some(named) = args.get_many::<String>("scenario") else {
        for (name, _) in READY {
            println!("{name:<16} {}", Scenario::load(name, &[])?.purpose);
        }
        return Ok(0);
    };
    for named in named {
        let scenario = load(args, named)?;
        println!("{named}: {}", scenario.purpose);
        if let Some(shard) = args.get_one::<Shard>("shard") {
            println!("{}", part(*shard, &shard.of(&scenario)?));
        }
    }
    Ok(0)
}

/// What a shard has to do.
fn part(shard: Shard, own: &Scenario) -> String {
    let groups = own.chats.groups.iter().map(|groups| groups.count).sum::<u32>();
    let load = own
        .load
        .rate
        .map_or_else(String::new, |rate| format!(", {rate} actions a second"));
    format!(
        "shard {}/{}: {} users, {} dialogs, {groups} groups{load}",
        shard.index + 1,
        shard.of,
        own.users.count,
        own.chats.dialogs
    )
}

async fn show_floor(args: &ArgMatches) -> Result<u8> {
    let floor = calibrate::calibrate(&path(args, "dir")).await?;
    if args.get_flag("json") {
        println!("{}", serde_json::to_string(&floor)?);
    } else {
        print!("{}", floor.words());
    }
    Ok(0)
}

fn make_report(args: &ArgMatches) -> Result<u8> {
    let path = path(args, "summary");
    let summary = Summary::read(&path)?;
    let beside = if path.is_dir() {
        path
    } else {
        path.parent().unwrap_or(Path::new(".")).to_owned()
    };
    let out = args.get_one::<String>("out").map(PathBuf::from);
    let out = out.unwrap_or_else(|| beside.join("report.html"));
    std::fs::write(&out, report::html(&summary)).with_context(|| format!("writing {}", out.display()))?;
    println!("written to {}", out.display());
    Ok(0)
}

fn compare_two(args: &ArgMatches) -> Result<u8> {
    let (before, after) = (
        Summary::read(&path(args, "before"))?,
        Summary::read(&path(args, "after"))?,
    );
    let lines = compare::lines(&before, &after);
    print!("{}", compare::table(&before, &after, &lines));
    let limit = args.get_one::<f64>("fail-above");
    let worse = limit.is_some_and(|limit| {
        after.verdict > before.verdict || lines.iter().any(|line| line.is_worse_by(*limit))
    });
    Ok(u8::from(worse))
}

fn merge_all(args: &ArgMatches) -> Result<u8> {
    let named = args.get_many::<String>("summary").unwrap_or_default();
    let shards = named
        .map(|one| Summary::read(Path::new(one)))
        .collect::<Result<_>>()?;
    let summary = merge(shards).context(Usage)?;
    let out = Out::new(path(args, "out"))?;
    print(&summary);
    out.keep(&summary)?;
    Ok(summary.verdict.code())
}

fn path(args: &ArgMatches, name: &str) -> PathBuf {
    args.get_one::<String>(name)
        .map(PathBuf::from)
        .unwrap_or_default()
}

fn scenario(args: &ArgMatches) -> Result<Scenario> {
    load(args, args.get_one::<String>("scenario").context(Usage)?)
}

/// A scenario as the arguments change it; one that can be split as they say.
fn load(args: &ArgMatches, named: &str) -> Result<Scenario> {
    let overrides: Vec<String> = args.get_many("set").unwrap_or_default().cloned().collect();
    let scenario = Scenario::load(named, &overrides).context(Usage)?;
    shard(args).of(&scenario).context(Usage)?;
    Ok(scenario)
}

fn shard(args: &ArgMatches) -> Shard {
    args.get_one("shard").copied().unwrap_or(Shard::WHOLE)
}

async fn options(args: &ArgMatches, scenario: &Scenario) -> Result<Options> {
    raise_file_limit()?;
    let ca = args.get_one::<String>("ca").map(PathBuf::from);
    let trust = ca.as_deref().map(trust).transpose().context(Usage)?;
    let mut targets = Vec::new();
    for text in args.get_many::<String>("target").unwrap_or_default() {
        let target = Target::new(text, args.get_flag("allow-remote"))
            .await
            .context(Usage)?;
        targets.push(Rc::new(target.trusting(trust.clone())));
    }
    if trust.is_some() && !targets.iter().any(|target| target.is_encrypted()) {
        return Err(
            anyhow!("--ca: no --target begins with wss://, so there is no certificate to check")
                .context(Usage),
        );
    }
    let text = |name: &str| args.get_one::<String>(name).cloned();
    let tokens = Tokens::new(
        text("hs256-secret-file").map(PathBuf::from).as_deref(),
        text("token-issuer"),
        text("token-audience"),
        scenario.planned(),
    );
    Ok(Options {
        targets,
        pids: args.get_many("pid").unwrap_or_default().copied().collect(),
        shard: shard(args),
        tokens: tokens.context(Usage)?,
        chaos_hook: text("chaos-hook"),
        read_back: !args.get_flag("no-read-back"),
        progress: !args.get_flag("quiet"),
        interrupt: Interrupt::listen()?,
    })
}

/// As many open files as the system allows: one a connection.
fn raise_file_limit() -> Result<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, limit).context("the limit of open files")
}
