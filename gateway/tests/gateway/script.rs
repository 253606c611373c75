//! A bus that does what a test says: what the gateway tells workers comes out of it, what workers would say goes in.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use confab_bus::{
    AppendError, Bus, GatewayEnd, Input, PartitionReader, Position, QueryError, ReadError, WorkerEnd,
};
use confab_chat::{GatewayId, Partition, Timestamp};
use confab_proto::message::{Announcement, Answer, LogEntry, Logged, Query, Signal, ToGateway};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

/// Partitions of the scripted log.
pub const PARTITIONS: u16 = 64;
const QUEUE: usize = 100_000;

/// The gateway's side.
#[derive(Clone)]
pub struct Script(Arc<Inner>);

struct Inner {
    end: Mutex<Option<GatewayEnd>>,
    appended: mpsc::Sender<LogEntry>,
    /// What appends come to, in order; without any they stand.
    fates: Mutex<VecDeque<AppendError>>,
    /// Appends are held until the test says what comes of each.
    holding: AtomicBool,
    held: mpsc::Sender<Held>,
    /// Takes no signals: whoever wants to send one waits.
    full: AtomicBool,
    signals: mpsc::Sender<(Partition, Signal)>,
    queries: mpsc::Sender<(Query, oneshot::Sender<Answer>)>,
}

/// An append that the bus has not acknowledged yet.
pub struct Held {
    pub entry: LogEntry,
    fate: oneshot::Sender<Result<Position, AppendError>>,
}

impl Held {
    /// It is acknowledged.
    pub fn stands(self) {
        self.fate.send(Ok(STANDS)).expect("somebody waits for it");
    }

    /// It fails.
    pub fn fails(self, with: AppendError) {
        self.fate.send(Err(with)).expect("somebody waits for it");
    }

    /// Waits until the gateway does not want to know any more.
    pub async fn given_up(mut self) {
        crate::soon(self.fate.closed()).await;
    }
}

const STANDS: Position = Position { epoch: 1, seq: 1 };

/// The test's side.
pub struct Workers {
    inner: Arc<Inner>,
    pub deliveries: mpsc::Sender<ToGateway>,
    pub announcements: mpsc::Sender<Announcement>,
    pub appended: mpsc::Receiver<LogEntry>,
    pub held: mpsc::Receiver<Held>,
    pub signals: mpsc::Receiver<(Partition, Signal)>,
    pub queries: mpsc::Receiver<(Query, oneshot::Sender<Answer>)>,
}

impl Workers {
    /// The next append that is not decided yet comes to this.
    pub fn append_fails(&self, with: AppendError) {
        self.inner.fates.lock().push_back(with);
    }

    /// From now on appends take as long as the test wants: they come out of `held`.
    pub fn hold_appends(&self) {
        self.inner.holding.store(true, Ordering::Release);
    }

    /// From now on the bus has no room for signals, or has again.
    pub fn take_signals(&self, takes: bool) {
        self.inner.full.store(!takes, Ordering::Release);
    }

    /// The next append that is held.
    pub async fn next_held(&mut self) -> Held {
        crate::soon(self.held.recv()).await.expect("the gateway lives")
    }

    /// The next signal that is no heartbeat.
    pub async fn signal(&mut self) -> Signal {
        loop {
            let (_, signal) = crate::soon(self.signals.recv()).await.expect("the gateway lives");
            if !matches!(signal, Signal::Heartbeat { .. }) {
                return signal;
            }
        }
    }

    /// Answers the next query.
    pub async fn answer(&mut self, json: &'static str) -> Query {
        let (query, answer) = crate::soon(self.queries.recv()).await.expect("the gateway lives");
        answer.send(Ok(Bytes::from_static(json.as_bytes()))).unwrap();
        query
    }
}

pub fn script() -> (Script, Workers) {
    let (deliveries, from_workers) = mpsc::channel(QUEUE);
    let (announcements, announced) = mpsc::channel(QUEUE);
    let (appended, entries) = mpsc::channel(QUEUE);
    let (held, holding) = mpsc::channel(QUEUE);
    let (signals, signalled) = mpsc::channel(QUEUE);
    let (queries, asked) = mpsc::channel(QUEUE);
    let end = GatewayEnd {
        deliveries: from_workers,
        announcements: announced,
    };
    let inner = Arc::new(Inner {
        end: Mutex::new(Some(end)),
        appended,
        fates: Mutex::default(),
        holding: AtomicBool::new(false),
        held,
        full: AtomicBool::new(false),
        signals,
        queries,
    });
    let workers = Workers {
        inner: Arc::clone(&inner),
        deliveries,
        announcements,
        appended: entries,
        held: holding,
        signals: signalled,
        queries: asked,
    };
    (Script(inner), workers)
}

pub struct NoReader;

impl PartitionReader for NoReader {
    async fn next(&mut self, _: usize) -> Result<Vec<Logged>, ReadError> {
        std::future::pending().await
    }

    async fn signals(&mut self) -> Vec<Signal> {
        std::future::pending().await
    }

    async fn input(&mut self, _: usize) -> Result<Input, ReadError> {
        std::future::pending().await
    }

    fn end_at_open(&self) -> Position {
        Position::default()
    }
}

impl Bus for Script {
    type Reader = NoReader;

    fn partitions(&self) -> u16 {
        PARTITIONS
    }

    async fn append(
        &self,
        _: Partition,
        entry: impl Into<Arc<LogEntry>> + Send,
    ) -> Result<Position, AppendError> {
        let entry = Arc::unwrap_or_clone(entry.into());
        if self.0.holding.load(Ordering::Acquire) {
            let (fate, told) = oneshot::channel();
            self.0.held.send(Held { entry, fate }).await.unwrap();
            return match told.await {
                Ok(fate) => fate,
                Err(_) => Err(AppendError::Unknown("let go".to_owned())),
            };
        }
        self.0.appended.send(entry).await.unwrap();
        match self.0.fates.lock().pop_front() {
            Some(fate) => Err(fate),
            None => Ok(STANDS),
        }
    }

    async fn open(&self, _: Partition, _: Position) -> Result<NoReader, ReadError> {
        Ok(NoReader)
    }

    async fn trim(&self, _: Partition, _: Position) {}

    async fn signal(&self, partition: Partition, signal: Signal) {
        if self.0.full.load(Ordering::Acquire) {
            std::future::pending::<()>().await;
        }
        // A test that is over listens no more.
        let _ = self.0.signals.send((partition, signal)).await;
    }

    async fn deliver(&self, _: Partition, _: u64, _: &GatewayId, _: ToGateway) {}

    async fn query(&self, query: Query) -> Result<Answer, QueryError> {
        let (answer, answered) = oneshot::channel();
        self.0.queries.send((query, answer)).await.unwrap();
        answered.await.map_err(|_| QueryError("nobody".to_owned()))
    }

    async fn announce(&self, _: Announcement) {}

    async fn join_as_gateway(&self, _: &GatewayId) -> GatewayEnd {
        self.0.end.lock().take().expect("one gateway joins once")
    }

    async fn join_as_worker(&self) -> WorkerEnd {
        WorkerEnd {
            queries: mpsc::channel(1).1,
            announcements: mpsc::channel(1).1,
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp(confab_service::clock::now_millis())
    }
}
