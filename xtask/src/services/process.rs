//! Processes that outlive the command which started them, and tools that must not outlive theirs.
//!
//! A pid alone says nothing once its process is gone: the system gives it to another. An [`Identity`] is a pid with the time its process
//! started at; a signal goes out only while both still match.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};

use super::Kind;

/// How long the system may take to clear away a process after SIGKILL.
const BURIAL: Duration = Duration::from_secs(10);

/// A process, told apart from every other that has or had its pid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    pid: u32,
    started: String,
}

impl Identity {
    /// None if there is no such process, or only its exit status is left.
    fn of(pid: u32) -> Option<Self> {
        started(pid).map(|started| Self { pid, started })
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    pub(super) fn alive(&self) -> bool {
        started(self.pid).is_some_and(|started| started == self.started)
    }

    /// Its memory in bytes, where the system tells.
    pub(super) fn resident(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim()
            .trim_end_matches(" kB")
            .trim()
            .parse::<u64>()
            .ok()
            .map(|kilobytes| kilobytes * 1024)
    }

    /// Asks it to end, and forces it when `grace` is over. Says what happened.
    pub(super) fn stop(&self, grace: Duration) -> Result<String> {
        if !self.signal(Signal::TERM)? {
            return Ok(format!("was gone already (pid {})", self.pid));
        }
        // A stopped process would never see the request.
        self.signal(Signal::CONT)?;
        let begun = Instant::now();
        if wait_until(grace, || !self.alive()) {
            return Ok(format!(
                "stopped in {} ms (pid {})",
                begun.elapsed().as_millis(),
                self.pid
            ));
        }
        let killed = self.kill()?;
        Ok(format!("did not end within {} s: {killed}", grace.as_secs()))
    }

    /// Ends it at once.
    pub(super) fn kill(&self) -> Result<String> {
        if !self.signal(Signal::KILL)? {
            return Ok(format!("was gone already (pid {})", self.pid));
        }
        if !wait_until(BURIAL, || !self.alive()) {
            bail!("pid {} does not end, not even by SIGKILL", self.pid);
        }
        Ok(format!("killed (pid {})", self.pid))
    }

    /// Signals it and what it started in its group. False if it is gone.
    fn signal(&self, signal: Signal) -> Result<bool> {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        let Some(pid) = pid.filter(|_| self.alive()) else {
            return Ok(false);
        };
        match kill_process_group(pid, signal) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::SRCH) => Ok(false),
            Err(error) => Err(error).with_context(|| format!("signalling pid {}", self.pid)),
        }
    }
}

/// When a living process started, in whatever form the system has it.
#[cfg(target_os = "linux")]
fn started(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in parentheses and may contain anything. Behind it: the state first, the number of threads as the eighteenth
    // field, the start time as the twentieth.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    // A killed process shows as a zombie while threads of it still exit, and until then its files and ports are open.
    let ended = matches!(*fields.first()?, "Z" | "X") && matches!(*fields.get(17)?, "0" | "1");
    fields.get(19).filter(|_| !ended).map(|&time| time.to_owned())
}

#[cfg(not(target_os = "linux"))]
fn started(pid: u32) -> Option<String> {
    let out = Command::new("ps")
        .args(["-o", "stat=,lstart=", "-p", &pid.to_string()])
        .output()
        .ok()?;
    let line = String::from_utf8(out.stdout).ok()?;
    let (state, time) = line.trim().split_once(' ')?;
    (!state.starts_with('Z')).then(|| time.trim().to_owned())
}

/// Starts a server in a group of its own, so that what ends this command or its terminal does not end the server.
pub(super) fn launch(mut command: Command, log: &Path) -> Result<Identity> {
    if log.exists() {
        fs::rename(log, log.with_extension("log.old"))
            .with_context(|| format!("renaming {}", log.display()))?;
    }
    let program = command.get_program().to_owned();
    let out = File::create(log).with_context(|| format!("creating {}", log.display()))?;
    command
        .stdin(Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(out)
        .process_group(0);
    let mut child = command
        .spawn()
        .with_context(|| format!("starting {}", program.display()))?;
    let identity = Identity::of(child.id());
    // Takes the exit status when it ends while this command still runs.
    thread::spawn(move || child.wait());
    identity.with_context(|| format!("{} ended at once: {}", program.display(), tail(log)))
}

/// Runs a tool to its end and returns what it printed, which is also left in `log`.
///
/// # Errors
/// It cannot be started, fails, or does not end within `limit`: what it printed last is part of the message.
pub(crate) fn run(mut command: Command, log: &Path, limit: Duration) -> Result<String> {
    let program = command.get_program().to_owned();
    let program = program.display();
    let out = File::create(log).with_context(|| format!("creating {}", log.display()))?;
    command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
    let mut child = command.spawn().with_context(|| format!("starting {program}"))?;
    let mut status = None;
    let ended = wait_until(limit, || {
        status = child.try_wait().ok().flatten();
        status.is_some()
    });
    if !ended {
        child
            .kill()
            .and_then(|()| child.wait())
            .with_context(|| format!("ending {program}"))?;
        bail!(
            "{program} did not end within {} s: {}",
            limit.as_secs(),
            tail(log)
        );
    }
    match status {
        Some(status) if status.success() => Ok(String::from_utf8_lossy(&fs::read(log)?).into_owned()),
        _ => bail!("{program} failed: {}", tail(log)),
    }
}

/// As [`run`], for what was announced: a failure is said at once, as another source may work and the reason be lost.
pub(super) fn fetch(kind: Kind, command: Command, log: &Path, limit: Duration) -> Result<()> {
    match run(command, log, limit) {
        Ok(_) => Ok(()),
        Err(error) => {
            eprintln!("{}: {error:#}", kind.name());
            bail!("fetching it failed, as said above");
        }
    }
}

/// The last lines of a log.
pub(super) fn tail(log: &Path) -> String {
    const BYTES: u64 = 16 * 1024;
    const LINES: usize = 12;
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        let end = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(end.saturating_sub(BYTES)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    if lines.is_empty() {
        return format!("it printed nothing ({})", log.display());
    }
    format!(
        "the end of {}:\n    {}",
        log.display(),
        lines[lines.len().saturating_sub(LINES)..].join("\n    ")
    )
}

/// Asks again and again, with short pauses, until it is so or the time is over: neither another process's end nor a server's
/// readiness comes with an event that could be waited for on every system.
pub(crate) fn wait_until(limit: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    loop {
        if is_so() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        thread::park_timeout(Duration::from_millis(50));
    }
}

#[cfg(test)]
mod tests;
