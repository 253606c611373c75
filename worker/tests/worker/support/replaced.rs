//! A bus whose logs can be lost: replaced by empty ones, of a later epoch as `confab log recover` does it or of any other;
//! cut at their beginning, as age does it; or not readable any more.

use std::sync::{Arc, Mutex};

use confab_bus::journal::disk::SimulatedDisk;
use confab_bus::local::LocalReader;
use confab_bus::{
    AppendError, Bus, GatewayEnd, Input, Local, LocalOptions, PartitionReader, Position, QueryError,
    ReadError, WorkerEnd,
};
use confab_chat::{GatewayId, Partition, Timestamp};
use confab_proto::message::{Announcement, Answer, LogEntry, Logged, Query, Signal, ToGateway};

/// A partition's log as it is now.
#[derive(Clone)]
struct Log {
    epoch: u32,
    bus: Local,
    unreadable: bool,
}

#[derive(Clone)]
pub(crate) struct Replaced {
    options: LocalOptions,
    /// For all that is not logged.
    soft: Local,
    logs: Arc<Mutex<Vec<Log>>>,
}

fn empty(options: &LocalOptions) -> Local {
    Local::open_on(Arc::new(SimulatedDisk::new()), options.clone()).unwrap()
}

impl Replaced {
    /// Logs of the first epoch, empty.
    pub(crate) fn new(options: LocalOptions) -> Self {
        let bus = empty(&options);
        let log = Log {
            epoch: 1,
            bus: bus.clone(),
            unreadable: false,
        };
        Self {
            logs: Arc::new(Mutex::new(vec![log; usize::from(options.partitions)])),
            options,
            soft: bus,
        }
    }

    /// All logs are lost: empty ones stand in their place.
    pub(crate) fn replace_all(&self, epoch: u32) {
        let bus = empty(&self.options);
        for log in self.logs.lock().unwrap().iter_mut() {
            *log = Log {
                epoch,
                bus: bus.clone(),
                unreadable: false,
            };
        }
    }

    /// One log is lost: an empty one stands in its place.
    pub(crate) fn replace(&self, partition: Partition, epoch: u32) {
        self.change(partition, |log| {
            *log = Log {
                epoch,
                bus: empty(&self.options),
                unreadable: false,
            };
        });
    }

    /// What a log holds up to a position is too old.
    pub(crate) async fn expire(&self, partition: Partition, upto: u64) {
        let log = self.log(partition);
        log.bus.trim(partition, Position { epoch: 1, seq: upto }).await;
    }

    /// From now on what a log holds cannot be read.
    pub(crate) fn break_reading(&self, partition: Partition) {
        self.change(partition, |log| log.unreadable = true);
    }

    /// All that a log holds.
    pub(crate) async fn entries(&self, partition: Partition) -> Vec<Logged> {
        let mut reader = self.open(partition, Position::default()).await.unwrap();
        match reader.end_at_open().seq {
            0 => Vec::new(),
            seq => {
                let mut entries = Vec::new();
                while (entries.len() as u64) < seq {
                    entries.extend(reader.next(1000).await.unwrap());
                }
                entries
            }
        }
    }

    fn log(&self, partition: Partition) -> Log {
        self.logs.lock().unwrap()[usize::from(partition.0)].clone()
    }

    fn change(&self, partition: Partition, change: impl FnOnce(&mut Log)) {
        change(&mut self.logs.lock().unwrap()[usize::from(partition.0)]);
    }
}

pub(crate) struct Reader {
    inner: LocalReader,
    partition: Partition,
    log: Log,
}

impl PartitionReader for Reader {
    async fn next(&mut self, max: usize) -> Result<Vec<Logged>, ReadError> {
        if self.log.unreadable {
            return Err(ReadError::Hole {
                partition: self.partition,
                expected: 0,
                found: "one that cannot be read".to_owned(),
            });
        }
        self.inner.next(max).await
    }

    async fn signals(&mut self) -> Vec<Signal> {
        self.inner.signals().await
    }

    async fn input(&mut self, max: usize) -> Result<Input, ReadError> {
        self.inner.input(max).await
    }

    fn end_at_open(&self) -> Position {
        Position {
            epoch: self.log.epoch,
            seq: self.inner.end_at_open().seq,
        }
    }
}

impl Bus for Replaced {
    type Reader = Reader;

    fn partitions(&self) -> u16 {
        self.options.partitions
    }

    async fn append(
        &self,
        partition: Partition,
        entry: impl Into<Arc<LogEntry>> + Send,
    ) -> Result<Position, AppendError> {
        let log = self.log(partition);
        let at = log.bus.append(partition, entry).await?;
        Ok(Position {
            epoch: log.epoch,
            ..at
        })
    }

    async fn open(&self, partition: Partition, after: Position) -> Result<Reader, ReadError> {
        let log = self.log(partition);
        if after.epoch != log.epoch && after != Position::default() {
            return Err(ReadError::Hole {
                partition,
                expected: after.seq + 1,
                found: format!("epoch {}", log.epoch),
            });
        }
        let within = Position {
            epoch: after.epoch.min(1),
            ..after
        };
        Ok(Reader {
            inner: log.bus.open(partition, within).await?,
            partition,
            log,
        })
    }

    /// What is not lost or too old is kept, so that it can be read again from the beginning.
    async fn trim(&self, _partition: Partition, _upto: Position) {}

    async fn signal(&self, partition: Partition, signal: Signal) {
        self.log(partition).bus.signal(partition, signal).await;
    }

    async fn deliver(&self, partition: Partition, _seq: u64, gateway: &GatewayId, message: ToGateway) {
        self.soft.deliver(partition, 0, gateway, message).await;
    }

    async fn query(&self, query: Query) -> Result<Answer, QueryError> {
        self.soft.query(query).await
    }

    async fn announce(&self, announcement: Announcement) {
        self.soft.announce(announcement).await;
    }

    async fn join_as_gateway(&self, gateway: &GatewayId) -> GatewayEnd {
        self.soft.join_as_gateway(gateway).await
    }

    async fn join_as_worker(&self) -> WorkerEnd {
        self.soft.join_as_worker().await
    }

    fn now(&self) -> Timestamp {
        self.soft.now()
    }
}
