//! The parts of an open store, and how it is opened.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use fjall::{Database, Keyspace, KeyspaceCreateOptions};

use super::EmbeddedOptions;
use super::keys::Table;
use super::overlay::Overlay;
use super::repair;
use super::saver::Queue;
use crate::StoreError;
use crate::horizon::Horizon;

/// fjall's own journal is cut at this size.
const JOURNAL_BYTES: u64 = 256 << 20;
/// Rows that a busy table gathers in memory before it is written out, and a quiet one.
const BUSY_TABLE_BYTES: u64 = 24 << 20;
const QUIET_TABLE_BYTES: u64 = 8 << 20;
/// Threads that write tables out and merge them. Of several fjall lets the first one wait for the others by taking their
/// work and putting it back without a pause, which takes a core for as long as they merge.
const THREADS: usize = 1;

/// The store does not open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct OpenError(String);

impl OpenError {
    pub(super) fn new(directory: &Path, why: &str) -> Self {
        Self(format!("{}: {why}", directory.display()))
    }
}

pub(super) struct Shared {
    pub(super) options: EmbeddedOptions,
    pub(super) horizon: Arc<dyn Horizon>,
    pub(super) overlay: Overlay,
    pub(super) queue: Queue,
    pub(super) database: Database,
    /// By the tables' numbers.
    tables: Vec<Keyspace>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn open(
        directory: &Path,
        options: EmbeddedOptions,
        horizon: Arc<dyn Horizon>,
    ) -> Result<Self, OpenError> {
        let failed = |error: &dyn std::fmt::Display| OpenError::new(directory, &error.to_string());
        check_ours(directory)?;
        let database = match open_database(directory, options.cache_bytes) {
            // What fjall had not synced before a power cut may be in any state; it is ours to lose.
            Err(fjall::Error::JournalRecovery(_)) => {
                repair::cut_journal(directory).map_err(|error| failed(&error))?;
                open_database(directory, options.cache_bytes)
            }
            other => other,
        };
        let database = database.map_err(|error| match error {
            fjall::Error::Locked => OpenError::new(directory, "in use by another process"),
            error => failed(&error),
        })?;
        let tables: Result<_, _> = Table::ALL
            .iter()
            .map(|table| open_table(&database, *table))
            .collect();
        let tables = tables.map_err(|error| failed(&error))?;
        let (overlay, queue) = (Overlay::new(), Queue::new());
        Ok(Self {
            options,
            horizon,
            overlay,
            queue,
            database,
            tables,
        })
    }

    pub(super) fn table(&self, table: Table) -> &Keyspace {
        &self.tables[table as usize]
    }

    /// Why the store does not answer any more.
    pub(super) fn gone(&self) -> StoreError {
        StoreError::Unavailable(self.queue.why_stopped())
    }
}

/// Refuses a directory that holds something else.
fn check_ours(directory: &Path) -> Result<(), OpenError> {
    fs::create_dir_all(directory).map_err(|error| OpenError::new(directory, &error.to_string()))?;
    let mut inside =
        fs::read_dir(directory).map_err(|error| OpenError::new(directory, &error.to_string()))?;
    if inside.next().is_some() && !directory.join("keyspaces").is_dir() {
        return Err(OpenError::new(
            directory,
            "not a store: it is not empty and holds no keyspaces",
        ));
    }
    Ok(())
}

fn open_database(directory: &Path, cache_bytes: u64) -> fjall::Result<Database> {
    Database::builder(directory)
        .cache_size(cache_bytes)
        .max_journaling_size(JOURNAL_BYTES)
        .manual_journal_persist(true)
        .worker_threads(THREADS)
        .open()
}

fn open_table(database: &Database, table: Table) -> fjall::Result<Keyspace> {
    let bytes = match table {
        Table::Messages | Table::Inbox | Table::State | Table::Marks => BUSY_TABLE_BYTES,
        _ => QUIET_TABLE_BYTES,
    };
    database.keyspace(table.name(), || {
        KeyspaceCreateOptions::default().max_memtable_size(bytes)
    })
}

/// What fjall says, as this crate says it.
pub(super) fn store_error(error: &fjall::Error) -> StoreError {
    match error {
        fjall::Error::Io(_) | fjall::Error::Poisoned => StoreError::Unavailable(error.to_string()),
        _ => StoreError::Corrupt(error.to_string()),
    }
}
