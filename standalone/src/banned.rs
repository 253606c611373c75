//! Users that may not connect: a list in the settings, and a file that is read again when it changes.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use confab_bus::Bus;
use confab_chat::UserId;
use confab_gateway::Banning;
use tokio_util::sync::CancellationToken;

use crate::exit::{Code, Failure, OrFail};
use crate::gateway::user;

/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The users of the list and of the file.
pub(crate) fn read(listed: &[String], file: Option<&Path>) -> Result<HashSet<UserId>, Failure> {
    let mut users = HashSet::new();
    for text in listed {
        users.insert(user(text, "banned")?);
    }
    let Some(file) = file else { return Ok(users) };
    let shown = file.display().to_string();
    let text = fs::read_to_string(file).or_fail(Code::File, &shown)?;
    let lines = text.lines().map(str::trim);
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        users.insert(user(line, &shown)?);
    }
    Ok(users)
}

/// Reads the file again whenever it has changed. One that cannot be read changes nothing.
pub(crate) async fn watch<B: Bus>(
    file: PathBuf,
    listed: Vec<String>,
    gateway: Banning<B>,
    stopping: CancellationToken,
) {
    let mut every = tokio::time::interval(LOOK_EVERY);
    let mut seen = changed_at(&file);
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = every.tick() => {}
        }
        let now = changed_at(&file);
        if now == seen {
            continue;
        }
        seen = now;
        match read(&listed, Some(&file)) {
            Ok(users) => {
                tracing::info!(users = users.len(), "banned users read again");
                gateway.ban(users);
            }
            Err(error) => tracing::warn!(%error, "banned users stay as they were"),
        }
    }
}

/// What changes with the file's content.
fn changed_at(file: &Path) -> Option<(std::time::SystemTime, u64)> {
    let about = fs::metadata(file).ok()?;
    Some((about.modified().ok()?, about.len()))
}
