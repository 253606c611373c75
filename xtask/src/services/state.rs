//! The state file: what was started here, and how to find it again.

use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::process::Identity;
use super::site::Site;
use super::{Kind, container};

/// How long a service may take to end by itself.
const GRACE: Duration = Duration::from_secs(30);

/// A service that was started here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Running {
    /// What it is and where it came from, in words.
    pub(super) source: String,
    pub(super) address: String,
    pub(super) ports: Vec<u16>,
    pub(super) log: PathBuf,
    pub(super) keeper: Keeper,
}

/// What it runs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Keeper {
    Process(Identity),
    /// A container of the Docker engine, by its name.
    Container(String),
}

impl Keeper {
    pub(super) fn alive(&self, site: &Site, kind: Kind) -> bool {
        match self {
            Self::Process(identity) => identity.alive(),
            Self::Container(name) => container::alive(site, kind, name),
        }
    }

    /// Ends it in good order, by force after a while. A container's log is saved; its data stays. Says what happened.
    pub(super) fn stop(&self, site: &Site, kind: Kind, log: &std::path::Path) -> Result<String> {
        match self {
            Self::Process(identity) => identity.stop(GRACE),
            Self::Container(name) => container::stop(site, kind, name, GRACE, log),
        }
    }

    /// Ends it as a power cut would.
    pub(super) fn kill(&self, site: &Site, kind: Kind) -> Result<String> {
        match self {
            Self::Process(identity) => identity.kill(),
            Self::Container(name) => container::kill(site, kind, name),
        }
    }
}

impl std::fmt::Display for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Process(identity) => write!(f, "pid {}", identity.pid()),
            Self::Container(name) => write!(f, "container {name}"),
        }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    nats: Option<Running>,
    cql: Option<Running>,
}

/// The state file, read once and written at each change.
#[derive(Debug)]
pub(super) struct Book {
    path: PathBuf,
    state: Mutex<State>,
}

impl Book {
    pub(super) fn open(site: &Site) -> Result<Self> {
        let path = site.state_file();
        let state = match fs::read(&path) {
            Ok(text) => {
                serde_json::from_slice(&text).with_context(|| format!("reading {}", path.display()))?
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => State::default(),
            Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
        };
        Ok(Self {
            path,
            state: Mutex::new(state),
        })
    }

    pub(super) fn get(&self, kind: Kind) -> Option<Running> {
        let state = self.state();
        match kind {
            Kind::Nats => state.nats.clone(),
            Kind::Cql => state.cql.clone(),
        }
    }

    /// The ports that a service had, none if it was not started here.
    pub(super) fn ports(&self, kind: Kind) -> Vec<u16> {
        self.get(kind).map(|running| running.ports).unwrap_or_default()
    }

    /// Remembers or forgets a service, on disk too when this returns.
    pub(super) fn set(&self, kind: Kind, running: Option<Running>) -> Result<()> {
        let mut state = self.state();
        match kind {
            Kind::Nats => state.nats = running,
            Kind::Cql => state.cql = running,
        }
        let draft = self.path.with_extension("json.new");
        fs::write(&draft, serde_json::to_vec_pretty(&*state)?)
            .and_then(|()| fs::rename(&draft, &self.path))
            .with_context(|| format!("writing {}", self.path.display()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{Book, Keeper, Running};
    use crate::services::Kind;
    use crate::services::environment::Environment;
    use crate::services::site::Site;

    #[test]
    fn what_was_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let site = Site::new(folder.path(), Environment::default()).unwrap();
        let running = Running {
            source: "a test".into(),
            address: "127.0.0.1:21000".into(),
            ports: vec![21_000, 21_001],
            log: "/x/cql.log".into(),
            keeper: Keeper::Container("confab-cql-1".into()),
        };
        let book = Book::open(&site).unwrap();
        assert_eq!(book.get(Kind::Cql), None);
        book.set(Kind::Cql, Some(running.clone())).unwrap();

        let again = Book::open(&site).unwrap();
        assert_eq!(again.get(Kind::Cql), Some(running));
        assert_eq!(again.get(Kind::Nats), None);
        assert_eq!(again.ports(Kind::Cql), [21_000, 21_001]);
        again.set(Kind::Cql, None).unwrap();
        assert_eq!(Book::open(&site).unwrap().get(Kind::Cql), None);
    }
}
