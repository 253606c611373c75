//! A bus that can lose its connection to the log, and find it again.

use std::sync::Arc;

use confab_bus::{
    AppendError, Bus, GatewayEnd, Input, PartitionReader, Position, QueryError, ReadError, WorkerEnd,
};
use confab_chat::{GatewayId, Partition, Timestamp};
use confab_proto::message::{Announcement, Answer, LogEntry, Logged, Query, Signal, ToGateway};
use tokio::sync::watch;

#[derive(Clone)]
pub(crate) struct Cut<B> {
    inner: B,
    connected: Arc<watch::Sender<bool>>,
}

impl<B> Cut<B> {
    pub(crate) fn new(inner: B) -> Self {
        Self {
            inner,
            connected: Arc::new(watch::Sender::new(true)),
        }
    }

    /// Readers fail, and none can be opened.
    pub(crate) fn lose(&self) {
        self.connected.send_replace(false);
    }

    pub(crate) fn find(&self) {
        self.connected.send_replace(true);
    }
}

pub(crate) struct Reader<R> {
    inner: R,
    connected: watch::Receiver<bool>,
}

async fn lost(connected: &mut watch::Receiver<bool>) -> ReadError {
    connected.wait_for(|connected| !connected).await.unwrap();
    closed()
}

fn closed() -> ReadError {
    ReadError::Closed("cut".to_owned())
}

impl<R: PartitionReader> PartitionReader for Reader<R> {
    async fn next(&mut self, max: usize) -> Result<Vec<Logged>, ReadError> {
        tokio::select! {
            biased;
            lost = lost(&mut self.connected) => Err(lost),
            entries = self.inner.next(max) => entries,
        }
    }

    async fn signals(&mut self) -> Vec<Signal> {
        self.inner.signals().await
    }

    async fn input(&mut self, max: usize) -> Result<Input, ReadError> {
        tokio::select! {
            biased;
            lost = lost(&mut self.connected) => Err(lost),
            input = self.inner.input(max) => input,
        }
    }

    fn settled(&mut self) {
        self.inner.settled();
    }

    fn end_at_open(&self) -> Position {
        self.inner.end_at_open()
    }
}

impl<B: Bus> Bus for Cut<B> {
    type Reader = Reader<B::Reader>;

    fn partitions(&self) -> u16 {
        self.inner.partitions()
    }

    async fn append(
        &self,
        partition: Partition,
        entry: impl Into<Arc<LogEntry>> + Send,
    ) -> Result<Position, AppendError> {
        self.inner.append(partition, entry).await
    }

    async fn open(&self, partition: Partition, after: Position) -> Result<Self::Reader, ReadError> {
        let connected = self.connected.subscribe();
        if !*connected.borrow() {
            return Err(closed());
        }
        Ok(Reader {
            inner: self.inner.open(partition, after).await?,
            connected,
        })
    }

    async fn trim(&self, partition: Partition, upto: Position) {
        self.inner.trim(partition, upto).await;
    }

    async fn signal(&self, partition: Partition, signal: Signal) {
        self.inner.signal(partition, signal).await;
    }

    async fn deliver(&self, partition: Partition, seq: u64, gateway: &GatewayId, message: ToGateway) {
        self.inner.deliver(partition, seq, gateway, message).await;
    }

    async fn query(&self, query: Query) -> Result<Answer, QueryError> {
        self.inner.query(query).await
    }

    async fn announce(&self, announcement: Announcement) {
        self.inner.announce(announcement).await;
    }

    async fn join_as_gateway(&self, gateway: &GatewayId) -> GatewayEnd {
        self.inner.join_as_gateway(gateway).await
    }

    async fn join_as_worker(&self) -> WorkerEnd {
        self.inner.join_as_worker().await
    }

    fn now(&self) -> Timestamp {
        self.inner.now()
    }
}
