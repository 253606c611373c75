//! Bringing up one service: from the environment, as it runs already, or from the first source that works.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::container::{self, Container};
use super::process::{self, wait_until};
use super::site::{Site, remove_folder};
use super::state::{Book, Keeper, Running};
use super::{Kind, cql, nats, ports};

/// How long a service may take until it answers. Cassandra on a busy machine takes a minute.
const READY: Duration = Duration::from_secs(180);

/// How long one that runs already may be busy with other things, or still be starting for an earlier command that was interrupted.
const BUSY: Duration = Duration::from_secs(30);

/// A source of a service. `prepare` gets hold of it, writes its configuration, and refuses in one sentence where that is not possible.
pub(super) struct Recipe {
    pub(super) name: &'static str,
    pub(super) prepare: fn(&Site, &[u16]) -> Result<Plan>,
}

/// A service that can be started.
pub(super) struct Plan {
    /// What it is and where it came from, in words.
    pub(super) source: String,
    pub(super) address: String,
    pub(super) start: Start,
}

/// How it is started.
pub(super) enum Start {
    Program { command: Command, data: PathBuf },
    Container(Container),
}

/// Returns the address of a service that answers. Its data is kept if it runs or `keep` says so; else it begins empty.
/// `ports` are for one that was not started before.
///
/// # Errors
/// No source works: a sentence for each.
pub(super) fn bring_up(kind: Kind, site: &Site, book: &Book, ports: &[u16], keep: bool) -> Result<String> {
    let name = kind.name();
    let earlier = book.get(kind);
    let given = site.environment.address(kind);
    // An address that `up --print-env` has put there itself is no other server.
    if let Some(address) =
        given.filter(|given| earlier.as_ref().is_none_or(|running| running.address != *given))
    {
        let health = kind
            .probe(address)
            .with_context(|| format!("{name}: {} says {address}", kind.variable()))?;
        eprintln!("{name}: {address} of {}: {health}", kind.variable());
        return Ok(address.to_owned());
    }
    let mut ports = ports.to_vec();
    if let Some(running) = earlier {
        if running.keeper.alive(site, kind) {
            match ready(kind, site, &running.keeper, &running.address, BUSY) {
                Ok(health) => {
                    eprintln!("{name}: runs already at {}: {health}", running.address);
                    return Ok(running.address);
                }
                Err(error) => eprintln!(
                    "{name}: runs ({}), but does not answer: {error:#}",
                    running.keeper
                ),
            }
            eprintln!("{name}: {}", running.keeper.stop(site, kind, &running.log)?);
        } else {
            eprintln!("{name}: {} is gone; starting again", running.keeper);
        }
        book.set(kind, None)?;
        if ports::are_free(&running.ports) {
            ports = running.ports;
        }
    }
    first_that_works(kind, site, book, &ports, keep)
}

/// Starts a service that does not run, on the given ports.
pub(super) fn first_that_works(
    kind: Kind,
    site: &Site,
    book: &Book,
    ports: &[u16],
    keep: bool,
) -> Result<String> {
    let recipes = match kind {
        Kind::Nats => nats::RECIPES,
        Kind::Cql => cql::RECIPES,
    };
    let name = kind.name();
    let mut refusals = Vec::new();
    for recipe in recipes {
        let plan = match (recipe.prepare)(site, ports) {
            Ok(plan) => plan,
            Err(error) => {
                refusals.push(format!("{}: {error:#}", recipe.name));
                continue;
            }
        };
        match start(kind, site, book, plan, ports, keep) {
            Ok(address) => return Ok(address),
            Err(error) => {
                eprintln!("{name}: it does not start: {error:#}");
                refusals.push(format!("{}: it does not start", recipe.name));
            }
        }
    }
    bail!(
        "{name}: no source of it works ({}=host:port names a server that runs; docs/development.md has the needs):\n  {}",
        kind.variable(),
        refusals.join("\n  ")
    )
}

/// Starts it and waits until it answers. What does not answer is stopped again.
fn start(kind: Kind, site: &Site, book: &Book, plan: Plan, ports: &[u16], keep: bool) -> Result<String> {
    let Plan {
        source,
        address,
        start,
    } = plan;
    let name = kind.name();
    let log = site.log(kind);
    eprintln!("{name}: starting {source} at {address}, log {}", log.display());
    let begun = Instant::now();
    let keeper = match start {
        Start::Program { mut command, data } => {
            if !keep {
                remove_folder(&data)?;
            }
            fs::create_dir_all(&data).with_context(|| format!("creating {}", data.display()))?;
            command.current_dir(&data);
            Keeper::Process(process::launch(command, &log)?)
        }
        Start::Container(container) => {
            Keeper::Container(container::start(site, kind, &container, &log, keep)?)
        }
    };
    let running = Running {
        source,
        address,
        ports: ports.to_vec(),
        log,
        keeper,
    };
    book.set(kind, Some(running.clone()))?;
    match ready(kind, site, &running.keeper, &running.address, READY) {
        Ok(health) => {
            eprintln!(
                "{name}: ready after {:.1} s: {health}",
                begun.elapsed().as_secs_f64()
            );
            Ok(running.address)
        }
        Err(error) => {
            let stopped = running.keeper.stop(site, kind, &running.log)?;
            book.set(kind, None)?;
            bail!("{error:#} (it {stopped}); {}", process::tail(&running.log))
        }
    }
}

/// Waits until it answers; ends early if it ends.
fn ready(kind: Kind, site: &Site, keeper: &Keeper, address: &str, limit: Duration) -> Result<String> {
    let mut answer = kind.probe(address);
    let mut gone = false;
    wait_until(limit, || {
        if answer.is_err() {
            gone = !keeper.alive(site, kind);
            answer = kind.probe(address);
        }
        answer.is_ok() || gone
    });
    match answer {
        Ok(_) if gone => bail!("another server answers at {address}"),
        Err(_) if gone => bail!("it ended before it answered"),
        Err(error) => Err(error.context(format!("no proper answer within {} s", limit.as_secs()))),
        answer => answer,
    }
}
