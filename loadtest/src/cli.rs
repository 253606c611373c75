//! The command line.

use std::ops::RangeInclusive;
use std::process::ExitCode;

use clap::{Arg, ArgAction, Command, value_parser};

use crate::plan::Shard;
use crate::scenario::RATES;

/// Percent: two runs differ by more than the least, and further apart than the most they say nothing.
const CLOSENESS: RangeInclusive<f64> = 0.1..=1_000.0;

/// Percent that a figure may become worse by.
const WORSE: RangeInclusive<f64> = 0.0..=1e6;

/// Bad arguments, or a bad scenario.
pub(crate) const USAGE: u8 = 64;

/// An error by whoever called; for the exit code.
#[derive(Debug)]
pub(crate) struct Usage;

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("bad usage")
    }
}

impl std::error::Error for Usage {}

const CODES: &str = "\
Exit codes: 0 passed; 1 a threshold was missed; 2 a promise was broken (a message lost, twice, out of order, a wrong
unread count); 3 the load generator itself was saturated; 4 the run could not be made, or was interrupted; 64 bad arguments
or scenario.";

pub(crate) fn command() -> Command {
    Command::new("confab-loadtest")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Load on a Confab service, and a judge of every delivery")
        .after_help(CODES)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(loading())
        .subcommands(reading())
        .subcommand(Command::new("floor").hide(true))
}

/// The commands that load something.
fn loading() -> [Command; 3] {
    let rate = option(
        "from",
        "RATE",
        "Actions a second to begin with [default: the scenario's load.rate, or 100 if that is 0]",
    );
    let closeness = option(
        "closeness",
        "PERCENT",
        "How exactly: it ends when what holds and what does not are so close",
    )
    .default_value("10");
    [
        load("run", "Run a scenario and judge it")
            .arg(flag(
                "calibrate",
                "Measure this machine's floor before and after the load",
            ))
            .arg(option(
                "out",
                "DIR",
                "Where summary.json and report.html go [default: a directory named after the run]",
            )),
        load(
            "capacity",
            "Find the highest rate that meets the scenario's thresholds",
        )
        .arg(rate.value_parser(|text: &str| within(text, &RATES)))
        .arg(closeness.value_parser(|text: &str| within(text, &CLOSENESS)))
        .arg(option(
            "out",
            "DIR",
            "Where summary.json and report.html of the highest rate go",
        )),
        Command::new("calibrate")
            .about("Measure what a durable message costs at least on this machine")
            .arg(
                option(
                    "dir",
                    "DIR",
                    "Where its appends go: on a disk as the service's own is, not in memory",
                )
                .default_value("."),
            )
            .arg(flag("json", "As JSON")),
    ]
}

/// The commands that only read files.
fn reading() -> [Command; 4] {
    [
        Command::new("validate")
            .about("Check scenarios without running them; without one, list the ready ones")
            .arg(
                Arg::new("scenario")
                    .value_name("SCENARIO")
                    .action(ArgAction::Append),
            )
            .args(changing().map(|arg| arg.requires("scenario"))),
        Command::new("report")
            .about("Make report.html of a summary.json")
            .arg(summary("summary"))
            .arg(option(
                "out",
                "FILE",
                "Where it goes [default: report.html beside the summary]",
            )),
        Command::new("compare")
            .about("Two runs beside each other")
            .arg(summary("before"))
            .arg(summary("after"))
            .arg(
                option(
                    "fail-above",
                    "PERCENT",
                    "Exit 1 when a figure became worse by more, or is gone, or the verdict is worse",
                )
                .value_parser(|text: &str| within(text, &WORSE)),
            ),
        Command::new("merge")
            .about("Join the summaries of shards into one, and judge it")
            .arg(summary("summary").action(ArgAction::Append))
            .arg(option("out", "DIR", "Where summary.json and report.html go").required(true)),
    ]
}

/// What a command that makes load takes.
fn load(name: &'static str, about: &'static str) -> Command {
    Command::new(name)
        .about(about)
        .arg(
            Arg::new("scenario")
                .value_name("SCENARIO")
                .required(true)
                .help("A TOML file, or the name of a ready scenario (see validate)"),
        )
        .arg(
            option(
                "target",
                "URL",
                "ws://host:port[/ws]; several gateways by several --target",
            )
            .required(true)
            .action(ArgAction::Append),
        )
        .arg(
            option(
                "pid",
                "PID",
                "A process of the service on this machine, for its CPU and memory; may be repeated",
            )
            .value_parser(value_parser!(u32))
            .action(ArgAction::Append),
        )
        .args(changing())
        .arg(option(
            "hs256-secret-file",
            "FILE",
            "Make tokens with this secret, for --auth jwt",
        ))
        .arg(
            option(
                "token-issuer",
                "TEXT",
                "The `iss` of those tokens, where the service demands one",
            )
            .requires("hs256-secret-file"),
        )
        .arg(
            option(
                "token-audience",
                "TEXT",
                "The `aud` of those tokens, where the service demands one",
            )
            .requires("hs256-secret-file"),
        )
        .arg(option(
            "ca",
            "FILE",
            "Certificates that a wss:// target is checked by, PEM, instead of the public authorities'",
        ))
        .arg(option(
            "chaos-hook",
            "CMD",
            "A shell command to run in the middle of the load",
        ))
        .arg(flag("allow-remote", "The target may be on another machine"))
        .arg(flag(
            "no-read-back",
            "Do not hold history and lists against what was acknowledged",
        ))
        .arg(flag("quiet", "Say nothing but the result"))
}

/// What makes another scenario of a scenario.
fn changing() -> [Arg; 2] {
    [
        option(
            "set",
            "KEY=VALUE",
            "Put into the scenario, as in load.rate=500; may be repeated",
        )
        .action(ArgAction::Append),
        option("shard", "I/N", "Part I of N, each for a machine of its own").value_parser(shard),
    ]
}

fn option(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

fn summary(name: &'static str) -> Arg {
    Arg::new(name)
        .value_name("SUMMARY")
        .required(true)
        .help("A summary.json, or the directory with it")
}

/// A number that is neither too small nor too large, nor none.
fn within(text: &str, limits: &RangeInclusive<f64>) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| limits.contains(number));
    number.ok_or_else(|| format!("give it a number from {} to {}", limits.start(), limits.end()))
}

/// `I/N`, counted from 1.
fn shard(text: &str) -> Result<Shard, String> {
    let parsed = text
        .split_once('/')
        .and_then(|(index, of)| Some((index.parse::<u32>().ok()?, of.parse().ok()?)));
    match parsed {
        Some((index, of)) if index >= 1 && index <= of && of <= Shard::MOST => {
            Ok(Shard { index: index - 1, of })
        }
        _ => Err(format!(
            "it is I/N with I from 1 to N, and N {} at most, as in 2/3",
            Shard::MOST
        )),
    }
}

/// Says what was wrong with the arguments. Asked-for help is no error.
pub(crate) fn refuse(error: &clap::Error) -> ExitCode {
    // Nothing can be done about a closed terminal.
    let _ = error.print();
    if error.use_stderr() {
        ExitCode::from(USAGE)
    } else {
        ExitCode::SUCCESS
    }
}
