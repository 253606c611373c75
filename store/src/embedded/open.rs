//! The parts of an open store, and how it is opened.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Arc;

use confab_chat::Timestamp;
use lsm_tree::config::{BlockSizePolicy, PartitioningPolicy, PinningPolicy, RestartIntervalPolicy};
use lsm_tree::{AbstractTree, AnyTree, Cache, Config, SequenceNumberCounter};

use super::EmbeddedOptions;
use super::expiry::{Expiry, Merging};
use super::merger::Merges;
use super::overlay::Overlay;
use super::recent::Recent;
use super::rows::RowCache;
use super::saver::Queue;
use crate::StoreError;
use crate::horizon::Horizon;

/// Says that a directory is a store of ours; locked while it is open.
const LOCK: &str = "confab-store";
/// Where the engine has its files.
const TREE: &str = "tree";
/// What is read from disk at once. Larger blocks are cheaper to write and to merge, smaller ones to find a single row in.
const BLOCK_BYTES: u32 = 8 << 10;
/// Of the cache so much is for single rows, the rest for blocks: one part in so many.
const ROWS_SHARE: u64 = 4;
/// Of which levels filters and lists of blocks are in parts; the last one stands for all below it. A table that nothing overlaps goes down
/// as it is, so the level that merges begin at counts for all.
const IN_PARTS: [bool; 2] = [false, true];
/// So many rows of a block are looked through one by one, at the most, to find one.
const RESTART_ROWS: u8 = 8;

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
    pub(super) tree: AnyTree,
    /// The engine's count of saves and merges.
    pub(super) saves: SequenceNumberCounter,
    /// Rows of the tree that were read lately.
    pub(super) rows: RowCache,
    /// Which rows the tree has got lately.
    pub(super) recent: Recent,
    pub(super) merges: Merges,
    pub(super) merging: Arc<Merging>,
    /// Held until nobody has the store any more.
    _lock: File,
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
        let lock = take(directory)?;
        let row_bytes = options.cache_bytes / ROWS_SHARE;
        let block_cache = Cache::with_capacity_bytes(options.cache_bytes - row_bytes);
        let merging = Arc::new(Merging::default());
        let expiry = Expiry {
            merging: Arc::clone(&merging),
            tree: directory.join(TREE),
        };
        let failed = |error: &dyn std::fmt::Display| OpenError::new(directory, &error.to_string());
        // Readers see whatever is there, so nobody asks for the second.
        let (saves, seen) = (SequenceNumberCounter::default(), SequenceNumberCounter::default());
        let tree = Config::new(directory.join(TREE), saves.clone(), seen)
            .data_block_size_policy(BlockSizePolicy::all(BLOCK_BYTES))
            .data_block_restart_interval_policy(RestartIntervalPolicy::all(RESTART_ROWS))
            // Filters and lists of blocks of new tables stay in memory: in the cache all readers meet at the few blocks that everybody
            // needs. Those of merged tables are close to 2% of what is stored: they are in parts, which come into the cache and go.
            .index_block_pinning_policy(PinningPolicy::all(true))
            .filter_block_pinning_policy(PinningPolicy::all(true))
            .index_block_partitioning_policy(PartitioningPolicy::new(IN_PARTS))
            .filter_block_partitioning_policy(PartitioningPolicy::new(IN_PARTS))
            .use_cache(Arc::new(block_cache))
            .with_compaction_filter_factory(Some(Arc::new(expiry)))
            .open()
            .map_err(|error| failed(&error))?;
        let next = tree.get_highest_seqno().map_or(0, |highest| highest + 1);
        saves.fetch_max(next);
        // The engine syncs what is in its directory; that there is one has to last as well.
        sync_names(directory).map_err(|error| failed(&error))?;
        Ok(Self {
            options,
            horizon,
            overlay: Overlay::new(),
            queue: Queue::new(),
            tree,
            saves,
            rows: RowCache::new(row_bytes),
            recent: Recent::new(next),
            merges: Merges::default(),
            merging,
            _lock: lock,
        })
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp((self.options.clock)())
    }

    /// Why the store does not answer any more.
    pub(super) fn gone(&self) -> StoreError {
        StoreError::Unavailable(self.queue.why_stopped())
    }

    /// The store takes no writes any more.
    pub(super) fn fail(&self, error: &dyn std::fmt::Display) {
        tracing::error!(%error, "the store has failed; it takes no writes any more");
        self.queue.fail(&error.to_string());
        self.merges.ring();
    }
}

/// Stands in a thread of the store: if it panics the store has failed, and nobody waits for the thread any longer.
pub(super) struct Watch<'a>(pub(super) &'a Shared);

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(&"one of its threads has panicked");
        }
    }
}

fn sync_names(directory: &Path) -> io::Result<()> {
    // The parent of a relative path of one name has none.
    let directory = if directory.as_os_str().is_empty() {
        Path::new(".")
    } else {
        directory
    };
    File::open(directory)?.sync_all()
}

/// Takes a directory that is ours, or that can become ours.
fn take(directory: &Path) -> Result<File, OpenError> {
    let failed = |error: &dyn std::fmt::Display| OpenError::new(directory, &error.to_string());
    fs::create_dir_all(directory).map_err(|error| failed(&error))?;
    let lock = directory.join(LOCK);
    let mut inside = fs::read_dir(directory).map_err(|error| failed(&error))?;
    let is_new = !lock.exists();
    if is_new && let Some(parent) = directory.parent() {
        // Before anything in it says that it is ours: whoever finds that knows that its name lasts.
        sync_names(parent).map_err(|error| failed(&error))?;
    }
    if is_new && inside.next().is_some() {
        let why = if directory.join("keyspaces").is_dir() {
            "a store as it was before the first release, which cannot be read any more: begin with another directory"
        } else {
            "not a store: it is not empty and was not made by this service; name an empty directory, or one that is not there yet"
        };
        return Err(OpenError::new(directory, why));
    }
    let lock = File::create(lock).map_err(|error| failed(&error))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::new(directory, "in use by another process")),
        Err(TryLockError::Error(error)) => Err(failed(&error)),
    }
}

/// What the engine says, as this crate says it.
pub(super) fn store_error(error: &lsm_tree::Error) -> StoreError {
    match error {
        lsm_tree::Error::Io(_) => StoreError::Unavailable(error.to_string()),
        _ => StoreError::Corrupt(error.to_string()),
    }
}
