//! How the loops reach the bus and the store: what must succeed is repeated, with the same bytes, until it has.
//!
//! Nothing here gives up by itself: whoever stops a loop drops it where it waits.

use std::sync::Arc;
use std::time::Duration;

use confab_bus::{AppendError, Bus};
use confab_chat::{ActorKey, Partition, Timestamp};
use confab_proto::message::LogEntry;
use confab_proto::wire::Wire;
use confab_store::{Key, Range, Record, Store, StoreError, Take, Write};

use crate::metrics;

/// The first pause before a repetition; each next one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Why a loop cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// Something is there that must not be, or is missing: a person has to look.
    #[error("{0}")]
    Alarm(String),
    /// The log is out of reach: begin again.
    #[error("the log is out of reach: {0}")]
    Closed(String),
}

/// The bus and the store, and patience.
#[derive(Clone)]
pub(crate) struct Seams<B, S> {
    pub(crate) bus: B,
    pub(crate) store: S,
}

struct Backoff {
    what: &'static str,
    pause: Duration,
}

impl Backoff {
    fn new(what: &'static str) -> Self {
        Self {
            what,
            pause: FIRST_PAUSE,
        }
    }

    async fn pause(&mut self, why: &str) {
        metrics::retried(self.what);
        if self.pause >= LONGEST_PAUSE {
            tracing::warn!(what = self.what, why, "still failing, repeated until it succeeds");
        } else {
            tracing::debug!(what = self.what, why, "failed, repeated");
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    /// What to do about an error of the store: wait, or stop for good.
    async fn consider(&mut self, error: StoreError) -> Result<(), Fault> {
        match error {
            StoreError::Unavailable(why) => {
                self.pause(&why).await;
                Ok(())
            }
            StoreError::Corrupt(_) => Err(Fault::Alarm(error.to_string())),
        }
    }
}

impl<B: Bus, S: Store> Seams<B, S> {
    /// Writes rows, until they stand.
    pub(crate) async fn write(&self, rows: Vec<Write>) -> Result<(), Fault> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut backoff = Backoff::new("write");
        loop {
            match self.store.write(&rows).await {
                Ok(()) => return Ok(()),
                Err(error) => backoff.consider(error).await?,
            }
        }
    }

    /// Writes parts of an actor's state, until they stand.
    pub(crate) async fn write_state(&self, actor: ActorKey, parts: Vec<Write>) -> Result<(), Fault> {
        let mut backoff = Backoff::new("write_state");
        loop {
            match self.store.write_state(actor.clone(), &parts).await {
                Ok(()) => return Ok(()),
                Err(error) => backoff.consider(error).await?,
            }
        }
    }

    /// Reads a row.
    pub(crate) async fn get<T: Wire>(&self, key: Key) -> Result<Option<T>, Fault> {
        self.record(key).await?.as_ref().map(decode).transpose()
    }

    /// Reads a row with the version that wrote it.
    pub(crate) async fn record(&self, key: Key) -> Result<Option<Record>, Fault> {
        let mut backoff = Backoff::new("get");
        loop {
            match self.store.get(key.clone()).await {
                Ok(record) => return Ok(record),
                Err(error) => backoff.consider(error).await?,
            }
        }
    }

    /// Reads a run of rows.
    pub(crate) async fn scan(&self, range: Range, take: Take) -> Result<Vec<Record>, Fault> {
        let mut backoff = Backoff::new("scan");
        loop {
            match self.store.scan(range.clone(), take).await {
                Ok(records) => return Ok(records),
                Err(error) => backoff.consider(error).await?,
            }
        }
    }

    /// Appends an entry, until the log has acknowledged it.
    pub(crate) async fn append(&self, partition: Partition, entry: LogEntry) {
        let entry = Arc::new(entry);
        let mut backoff = Backoff::new("append");
        loop {
            match self.bus.append(partition, Arc::clone(&entry)).await {
                Ok(_) => return,
                Err(AppendError::Refused(why) | AppendError::Unknown(why)) => backoff.pause(&why).await,
            }
        }
    }
}

/// Reads a row's bytes.
pub(crate) fn decode<T: Wire>(record: &Record) -> Result<T, Fault> {
    T::decode(&record.value).map_err(|error| Fault::Alarm(format!("row {:?}: {error}", record.key)))
}

/// A row to be written again: it may stand on one replica only, and the next reader may not ask that one.
pub(crate) fn as_it_is(record: &Record, expires: Option<Timestamp>) -> Write {
    Write {
        key: record.key.clone(),
        timestamp: record.timestamp,
        value: record.value.clone(),
        expires,
    }
}
