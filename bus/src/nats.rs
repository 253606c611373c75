//! The form for production: the log on NATS JetStream, everything else on core NATS.
//!
//! **The log.** One stream a partition, which captures one subject; the log's epoch stands in it, so that an append meant for
//! another log than the one that is there finds nobody. An append carries the entry's id and is acknowledged by the
//! stream; appends are refused only where it is certain that they do not stand. A reader demands the next sequence exactly,
//! and when its connection was made anew, or its consumer, it goes on only behind the entry that it has read last. What
//! is missing is a hole: reading ends, and nothing is ever passed over in silence.
//!
//! **Soft messages** go out at once or are dropped. Every queue is bounded. What was lost on the way to this process,
//! because a queue was full or the connection was made anew, is noticed and made up for: a gateway's sessions are
//! attached again, and those of the partitions that are read here.
//!
//! A stream that stands is never changed: one that differs from what is configured is an error at the start.

mod api;
mod append;
mod connect;
mod core;
mod feed;
mod fill;
mod gateway;
mod inspect;
mod link;
mod metrics;
mod options;
mod reader;
mod resume;
mod signals;
mod soft;
mod streams;
mod subjects;
mod tasks;
#[cfg(test)]
mod tests;
mod worker;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use confab_chat::{GatewayId, Partition, Timestamp};
use confab_proto::message::{Announcement, Answer, LogEntry, Query, Signal, ToGateway};

use crate::{AppendError, Bus, GatewayEnd, Position, QueryError, ReadError, WorkerEnd};

pub use connect::ConnectError;
pub use inspect::{InspectedPartition, InspectedStream, Inspection, JetStreamLimits};
pub use options::{Credentials, NatsOptions, TlsFiles};
pub use reader::NatsReader;
pub use streams::Difference;

use self::core::Core;
use link::Link;
use subjects::Subjects;
use tasks::Tasks;

/// How long closing may take.
const CLOSING: Duration = Duration::from_secs(3);

/// The bus on NATS. Clones are the same connection; its tasks end with the last one.
#[derive(Clone, Debug)]
pub struct Nats(Arc<Open>);

#[derive(Debug)]
struct Open {
    core: Arc<Core>,
    tasks: Tasks,
}

impl Nats {
    /// Connects, makes the streams that are missing, and checks the others. Any number of processes may do so at once.
    ///
    /// # Errors
    /// See [`ConnectError`]. Nothing is changed that stands already.
    pub async fn connect(options: NatsOptions) -> Result<Self, ConnectError> {
        let bus = Self::connect_unchecked(options).await?;
        let core = &bus.0.core;
        let epochs = connect::prepare(&core.api, &core.options, &core.subjects).await?;
        for ((_, part), epoch) in core.partitions().zip(epochs) {
            part.epoch.store(epoch, Ordering::Relaxed);
            // Whoever begins knows soon how full the log is.
            part.appended.store(true, Ordering::Relaxed);
        }
        Ok(bus)
    }

    /// Connects, and looks at no stream: for tools that look into what is wrong with them.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect_unchecked(options: NatsOptions) -> Result<Self, ConnectError> {
        metrics::describe();
        let subjects = Subjects::new(&options.prefix).map_err(ConnectError::Settings)?;
        let link = Arc::new(Link::new());
        let client = connect::connect(&options, &link).await?;
        let core = Arc::new(Core::new(options, subjects, client, link));
        let tasks = Tasks::default();
        tasks.spawn(fill::watch(Arc::clone(&core)));
        tasks.spawn(signals::make_up_for_lost(Arc::clone(&core)));
        Ok(Self(Arc::new(Open { core, tasks })))
    }

    /// Whether there is a connection at present. One that is lost is made again by itself.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.0.core.is_connected()
    }

    /// Sends what waits to be sent, and closes the connection for good: appends are refused, readers and receivers end.
    pub async fn close(&self) {
        let core = &self.0.core;
        let mut link = core.link.watch();
        let closing = async {
            if core.client.drain().await.is_ok() {
                // The sender lives as long as the core does.
                let _ = link.wait_for(|state| state.closed).await;
            }
        };
        if tokio::time::timeout(CLOSING, closing).await.is_err() {
            tracing::warn!("the connection to NATS could not be closed in order");
        }
        core.link.note(&async_nats::Event::Closed);
        self.0.tasks.abort();
    }

    /// Looks at the server and at every partition's stream, whatever their state.
    ///
    /// # Errors
    /// If the connection is lost.
    pub async fn inspect(&self) -> Result<Inspection, ConnectError> {
        inspect::inspect(&self.0.core).await
    }

    /// Gives up a partition's log: deletes its stream, and makes it anew with an epoch. Does nothing where it has that epoch
    /// already, so it may be repeated. All workers must be stopped.
    ///
    /// # Errors
    /// If the log has a higher epoch, or JetStream cannot do it.
    pub async fn raise_epoch(&self, partition: Partition, epoch: u32) -> Result<(), ConnectError> {
        inspect::raise_epoch(&self.0.core, partition, epoch).await
    }
}

impl Bus for Nats {
    type Reader = NatsReader;

    fn partitions(&self) -> u16 {
        self.0.core.options.partitions
    }

    async fn append(
        &self,
        partition: Partition,
        entry: impl Into<Arc<LogEntry>> + Send,
    ) -> Result<Position, AppendError> {
        self.0.core.append(partition, &entry.into()).await
    }

    async fn open(&self, partition: Partition, after: Position) -> Result<NatsReader, ReadError> {
        NatsReader::open(Arc::clone(&self.0.core), partition, after).await
    }

    /// Deletes nothing but from a partition that is nearly full, and then only what is older than an hour: the log is the
    /// backup from which a restored database catches up.
    async fn trim(&self, partition: Partition, upto: Position) {
        let core = &self.0.core;
        if fill::is_due(core, partition) {
            self.0.tasks.spawn(fill::trim(Arc::clone(core), partition, upto));
        }
    }

    async fn signal(&self, partition: Partition, signal: Signal) {
        self.0.core.signal(partition, &signal).await;
    }

    /// What an acknowledged entry leads to may leave at once: the log held it before its reader did.
    async fn deliver(&self, _: Partition, _: u64, gateway: &GatewayId, message: ToGateway) {
        self.0.core.deliver(gateway, &message).await;
    }

    async fn query(&self, query: Query) -> Result<Answer, QueryError> {
        self.0.core.query(&query).await
    }

    async fn announce(&self, announcement: Announcement) {
        self.0.core.announce(&announcement).await;
    }

    async fn join_as_gateway(&self, gateway: &GatewayId) -> GatewayEnd {
        gateway::join(&self.0.core, &self.0.tasks, gateway).await
    }

    async fn join_as_worker(&self) -> WorkerEnd {
        worker::join(&self.0.core, &self.0.tasks).await
    }

    fn now(&self) -> Timestamp {
        self.0.core.now()
    }
}
