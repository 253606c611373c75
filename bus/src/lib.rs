//! The first of Confab's two seams: a durable log in partitions, and soft messages around it.

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod faulty;
pub mod journal;
pub mod local;
pub mod nats;

use std::future::Future;
use std::sync::Arc;

use confab_chat::{GatewayId, Partition, Timestamp};
use confab_proto::message::{Announcement, Answer, LogEntry, Logged, Query, Signal, ToGateway};
use tokio::sync::{mpsc, oneshot};

pub use faulty::Faulty;
pub use local::{Local, LocalOptions};
pub use nats::Nats;

/// A position in a partition of the log. An epoch begins when a lost log was replaced by hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Counts the logs this partition has had, from 1.
    pub epoch: u32,
    /// The entry's number in it, from 1; 0 is before the first.
    pub seq: u64,
}

/// Why an append failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The log refused it, for now: it does not stand there.
    #[error("the log takes nothing at present: {0}")]
    Refused(String),
    /// Whether it stands there is unknown: append it again with the same entry id.
    #[error("the log did not acknowledge: {0}")]
    Unknown(String),
}

/// Why a log cannot be read on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Entries that must be there are not. Nothing is ever skipped in silence: the partition stops.
    #[error("partition {partition}: entry {expected} is missing, the log has {found}", partition = .partition.0)]
    Hole {
        /// Which partition.
        partition: Partition,
        /// The entry that must come next.
        expected: u64,
        /// What the log has instead.
        found: String,
    },
    /// The bus is closed or out of reach.
    #[error("the log is out of reach: {0}")]
    Closed(String),
}

/// No worker answered a query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no worker answered: {0}")]
pub struct QueryError(pub String);

/// What has come for a partition's owner.
#[derive(Debug, Default)]
pub struct Input {
    /// The next entries.
    pub entries: Vec<Logged>,
    /// The next signals.
    pub signals: Vec<Signal>,
}

/// What a partition's owner reads: the log, in order and without holes, and the signals sent to the partition.
pub trait PartitionReader: Send + 'static {
    /// The next entries, at least one and at most `max`, waiting if there are none. The first follows the last one
    /// returned (or the position the reader was opened at) without a hole. Cancel-safe.
    fn next(&mut self, max: usize) -> impl Future<Output = Result<Vec<Logged>, ReadError>> + Send;

    /// The next signals, at least one, waiting if there are none. Cancel-safe. Signals arrive in the order in which
    /// one sender sent them; one that does not fit is dropped, as any may be lost.
    fn signals(&mut self) -> impl Future<Output = Vec<Signal>> + Send;

    /// Both at once, waiting until there is at least one entry (as [`next`](Self::next) gives them) or one signal (as
    /// [`signals`](Self::signals) gives them): one wait and one wake-up for a loop that takes either. Cancel-safe.
    fn input(&mut self, max: usize) -> impl Future<Output = Result<Input, ReadError>> + Send;

    /// All that was read is dealt with, and what follows from it appended. Who asks for more says so by that; this is for those
    /// who do something else first, which a commit should not wait for.
    fn settled(&mut self) {}

    /// The last entry of the log when the reader was opened; 0 for none. The owner is ready once it has applied it.
    fn end_at_open(&self) -> Position;
}

/// A query in the hands of the worker that answers it.
#[derive(Debug)]
pub struct Asked {
    /// The question.
    pub query: Query,
    /// Where the answer goes.
    pub answer: Answerer,
}

/// Sends the answer to a query, once.
#[derive(Debug)]
pub struct Answerer(pub oneshot::Sender<Answer>);

/// A gateway's end of the bus.
#[derive(Debug)]
pub struct GatewayEnd {
    /// What workers deliver to this gateway. In the order in which one partition's owner sent it; one that does not
    /// fit is dropped, and the hole it leaves is noticed by the sessions.
    pub deliveries: mpsc::Receiver<ToGateway>,
    /// What is said to everybody.
    pub announcements: mpsc::Receiver<Announcement>,
}

/// A worker's end of the bus.
#[derive(Debug)]
pub struct WorkerEnd {
    /// Queries for this worker to answer.
    pub queries: mpsc::Receiver<Asked>,
    /// What is said to everybody.
    pub announcements: mpsc::Receiver<Announcement>,
}

/// The bus: the log, and the soft messages. All forms pass the suite in `conformance`.
///
/// **Nothing leaves before it is safe.** A form may hand an entry to its reader before it is durable (the in-process
/// form does: its readers' effects cannot outlive the process). It then holds back every delivery until the entry the
/// delivery is `from` is durable, and every answer to a query until all that was appended before the answer is.
pub trait Bus: Clone + Send + Sync + 'static {
    /// This form's reader.
    type Reader: PartitionReader;

    /// The number of partitions, fixed for the life of the installation.
    fn partitions(&self) -> u16;

    /// Appends an entry. Returns once the entry has its place in the log's order, and will be durable before anything
    /// that follows from it leaves. Entries appended one after the other stand in that order.
    fn append(
        &self,
        partition: Partition,
        entry: impl Into<Arc<LogEntry>> + Send,
    ) -> impl Future<Output = Result<Position, AppendError>> + Send;

    /// Opens a partition for reading after a position. The position must still be in the log, or be its very
    /// beginning, or the log's end.
    fn open(
        &self,
        partition: Partition,
        after: Position,
    ) -> impl Future<Output = Result<Self::Reader, ReadError>> + Send;

    /// Says that everything up to and including a position is done and saved: the log need not keep it for
    /// this reader. Keeping it longer is allowed.
    fn trim(&self, partition: Partition, upto: Position) -> impl Future<Output = ()> + Send;

    /// Sends a signal to a partition's owner. May be lost.
    fn signal(&self, partition: Partition, signal: Signal) -> impl Future<Output = ()> + Send;

    /// Delivers to a gateway what follows from the entries of `partition` up to and including `seq`. May be lost.
    fn deliver(
        &self,
        partition: Partition,
        seq: u64,
        gateway: &GatewayId,
        message: ToGateway,
    ) -> impl Future<Output = ()> + Send;

    /// Asks any worker.
    fn query(&self, query: Query) -> impl Future<Output = Result<Answer, QueryError>> + Send;

    /// Says something to everybody. May be lost.
    fn announce(&self, announcement: Announcement) -> impl Future<Output = ()> + Send;

    /// Joins as a gateway: from here on deliveries to it arrive.
    fn join_as_gateway(&self, gateway: &GatewayId) -> impl Future<Output = GatewayEnd> + Send;

    /// Joins as a worker that answers queries.
    fn join_as_worker(&self) -> impl Future<Output = WorkerEnd> + Send;

    /// The log's clock.
    fn now(&self) -> Timestamp;
}
