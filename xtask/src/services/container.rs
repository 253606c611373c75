//! Services in containers of a Docker engine.
//!
//! A container publishes its one port on 127.0.0.1. Its data is in a named volume, which only a fresh start removes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::site::Site;
use super::{Kind, process};

/// How long the engine may take to answer, and to fetch and start an image.
const ENGINE: Duration = Duration::from_secs(20);
const FETCH: Duration = Duration::from_secs(900);

/// What to run.
#[derive(Debug)]
pub(super) struct Container {
    pub(super) docker: PathBuf,
    pub(super) image: &'static str,
    /// The port inside, and the one on loopback.
    pub(super) ports: (u16, u16),
    /// Where the data is inside.
    pub(super) data: &'static str,
    pub(super) arguments: Vec<String>,
}

/// The client of an engine that answers.
pub(super) fn engine(site: &Site, kind: Kind) -> Result<PathBuf> {
    let docker = site
        .environment
        .find("docker")
        .context("docker is not on the PATH")?;
    docker_within(site, kind, ENGINE, &["info", "--format", "{{.ServerVersion}}"])
        .context("no Docker engine answers")?;
    Ok(docker)
}

/// Starts it and returns the container's name. The log of one that was left behind is saved.
pub(super) fn start(
    site: &Site,
    kind: Kind,
    container: &Container,
    log: &Path,
    keep: bool,
) -> Result<String> {
    let name = site.container_name(kind);
    if exists(site, kind, &name)? {
        save_log(site, kind, &name, &log.with_extension("log.old"))?;
        remove(site, kind, &name)?;
    }
    if !keep {
        docker(site, kind, &["volume", "rm", "--force", &name])?;
    }
    let (inside, outside) = container.ports;
    let mut command = Command::new(&container.docker);
    command.args(["run", "--detach", "--name", &name]);
    command.args(["--publish", &format!("127.0.0.1:{outside}:{inside}")]);
    command.args(["--volume", &format!("{name}:{}", container.data), container.image]);
    command.args(&container.arguments);
    process::run(command, &site.tool_log(kind), FETCH)?;
    Ok(name)
}

pub(super) fn alive(site: &Site, kind: Kind, name: &str) -> bool {
    let state = docker(site, kind, &["inspect", "--format", "{{.State.Running}}", name]);
    state.is_ok_and(|state| state.trim() == "true")
}

/// Stops it, saves its log, and removes it. Its volume stays.
pub(super) fn stop(site: &Site, kind: Kind, name: &str, grace: Duration, log: &Path) -> Result<String> {
    if !exists(site, kind, name)? {
        return Ok(format!("was gone already (container {name})"));
    }
    let begun = Instant::now();
    let seconds = grace.as_secs().to_string();
    docker_within(site, kind, grace + ENGINE, &["stop", "--time", &seconds, name])?;
    save_log(site, kind, name, log)?;
    remove(site, kind, name)?;
    Ok(format!(
        "stopped in {} ms (container {name})",
        begun.elapsed().as_millis()
    ))
}

pub(super) fn kill(site: &Site, kind: Kind, name: &str) -> Result<String> {
    if !alive(site, kind, name) {
        return Ok(format!("was gone already (container {name})"));
    }
    docker(site, kind, &["kill", name])?;
    Ok(format!("killed (container {name})"))
}

/// Writes what the container has printed so far.
pub(super) fn save_log(site: &Site, kind: Kind, name: &str, log: &Path) -> Result<()> {
    let text = docker(site, kind, &["logs", name])?;
    fs::write(log, text).with_context(|| format!("writing {}", log.display()))
}

fn remove(site: &Site, kind: Kind, name: &str) -> Result<()> {
    docker(site, kind, &["rm", "--force", name]).map(|_| ())
}

fn exists(site: &Site, kind: Kind, name: &str) -> Result<bool> {
    let filter = format!("name=^/{name}$");
    let found = docker(site, kind, &["ps", "--all", "--quiet", "--filter", &filter])?;
    Ok(!found.trim().is_empty())
}

fn docker(site: &Site, kind: Kind, arguments: &[&str]) -> Result<String> {
    docker_within(site, kind, ENGINE, arguments)
}

fn docker_within(site: &Site, kind: Kind, limit: Duration, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(
        site.environment
            .find("docker")
            .context("docker is not on the PATH")?,
    );
    command.args(arguments);
    process::run(command, &site.tool_log(kind), limit)
}
