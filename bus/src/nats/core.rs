//! What all clones, readers and tasks of the bus share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use async_nats::Client;
use async_nats::connection::State as Connection;
use confab_chat::{Partition, Timestamp};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::api::{Api, ApiError, StreamInfo};
use super::link::Link;
use super::metrics;
use super::options::NatsOptions;
use super::streams;
use super::subjects::Subjects;

/// Everything is full: in thousandths.
pub(super) const FULL: u32 = 1000;

#[derive(Debug)]
pub(super) struct Core {
    pub(super) options: NatsOptions,
    pub(super) subjects: Subjects,
    pub(super) client: Client,
    pub(super) api: Api,
    pub(super) link: Arc<Link>,
    parts: Box<[Part]>,
    /// The latest time seen in the log, in milliseconds.
    time: AtomicU64,
}

/// What this process knows of a partition.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// The epoch of its log as last seen; 0 before that.
    pub(super) epoch: AtomicU32,
    /// How full it was when last looked at, in thousandths.
    pub(super) fill: AtomicU32,
    /// Whether this process has appended to it since then, or was kept from it by how full it was.
    pub(super) appended: AtomicBool,
    /// Its readers in this process.
    pub(super) readers: AtomicUsize,
    /// When entries were last deleted before their time, or that was found to be impossible.
    pub(super) trimmed: Mutex<Option<Instant>>,
}

impl Core {
    pub(super) fn new(options: NatsOptions, subjects: Subjects, client: Client, link: Arc<Link>) -> Self {
        let parts = (0..options.partitions).map(|_| Part::default()).collect();
        Self {
            api: Api(client.clone()),
            options,
            subjects,
            client,
            link,
            parts,
            time: AtomicU64::new(0),
        }
    }

    pub(super) fn part(&self, partition: Partition) -> Option<&Part> {
        self.parts.get(usize::from(partition.0))
    }

    pub(super) fn partitions(&self) -> impl Iterator<Item = (Partition, &Part)> {
        (0..).map(Partition).zip(&self.parts)
    }

    /// Which of its connections this process has now, if it has one: what is sent then goes out at once.
    pub(super) fn connection(&self) -> Option<u64> {
        let connected = self.client.connection_state() == Connection::Connected;
        (connected && !self.link.state().closed).then(|| self.link.connects())
    }

    pub(super) fn is_connected(&self) -> bool {
        self.connection().is_some()
    }

    /// Waits for an answer, unless the connection on which it was asked for is lost: it will not come then.
    pub(super) async fn while_connected<T>(&self, answer: impl Future<Output = T>) -> Option<T> {
        let mut link = self.link.watch();
        let asked = *link.borrow_and_update();
        let lost = link.wait_for(|state| state.disconnects != asked.disconnects || state.closed);
        tokio::select! {
            biased;
            answer = answer => Some(answer),
            // The sender lives as long as the core does.
            _ = lost => None,
        }
    }

    /// Looks at a partition's stream, and keeps what was seen. The epoch is `None` where the stream is no log of ours.
    pub(super) async fn look(&self, partition: Partition) -> Result<(StreamInfo, Option<u32>), ApiError> {
        let info = self.api.stream(&self.subjects.stream(partition)).await?;
        let epoch = streams::epoch(&self.subjects, partition, &info.config);
        if let Some(part) = self.part(partition) {
            part.epoch.store(epoch.unwrap_or(0), Ordering::Relaxed);
            let ratio = match u64::try_from(info.config.max_bytes) {
                Ok(max) if max > 0 => info.state.bytes as f64 / max as f64,
                _ => 0.0,
            };
            part.fill
                .store((ratio * f64::from(FULL)) as u32, Ordering::Relaxed);
            metrics::fill(partition, ratio);
        }
        Ok((info, epoch))
    }

    /// Takes notice of a time that the log has given to an entry.
    pub(super) fn saw(&self, time: Timestamp) {
        self.time.fetch_max(time.0, Ordering::Relaxed);
    }

    /// The log's clock, as far as this process can tell.
    pub(super) fn now(&self) -> Timestamp {
        Timestamp((self.options.clock)().max(self.time.load(Ordering::Relaxed)))
    }
}
