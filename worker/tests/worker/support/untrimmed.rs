//! A bus that keeps its whole log, so that it can be read again from the beginning.

use std::sync::Arc;

use confab_bus::{AppendError, Bus, GatewayEnd, Position, QueryError, ReadError, WorkerEnd};
use confab_chat::{GatewayId, Partition, Timestamp};
use confab_proto::message::{Announcement, Answer, LogEntry, Query, Signal, ToGateway};

#[derive(Clone)]
pub(crate) struct Untrimmed<B>(pub B);

impl<B: Bus> Bus for Untrimmed<B> {
    type Reader = B::Reader;

    fn partitions(&self) -> u16 {
        self.0.partitions()
    }

    async fn append(
        &self,
        partition: Partition,
        entry: impl Into<Arc<LogEntry>> + Send,
    ) -> Result<Position, AppendError> {
        self.0.append(partition, entry).await
    }

    async fn open(&self, partition: Partition, after: Position) -> Result<Self::Reader, ReadError> {
        self.0.open(partition, after).await
    }

    async fn trim(&self, _partition: Partition, _upto: Position) {}

    async fn signal(&self, partition: Partition, signal: Signal) {
        self.0.signal(partition, signal).await;
    }

    async fn deliver(&self, partition: Partition, seq: u64, gateway: &GatewayId, message: ToGateway) {
        self.0.deliver(partition, seq, gateway, message).await;
    }

    async fn query(&self, query: Query) -> Result<Answer, QueryError> {
        self.0.query(query).await
    }

    async fn announce(&self, announcement: Announcement) {
        self.0.announce(announcement).await;
    }

    async fn join_as_gateway(&self, gateway: &GatewayId) -> GatewayEnd {
        self.0.join_as_gateway(gateway).await
    }

    async fn join_as_worker(&self) -> WorkerEnd {
        self.0.join_as_worker().await
    }

    fn now(&self) -> Timestamp {
        self.0.now()
    }
}
