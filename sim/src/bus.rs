//! The bus in memory: logs that keep everything, and soft messages that a [`Wire`] carries.
//!
//! One [`Hub`] holds it all; each process has a [`SimBus`] of its own, which stands still with its [`Host`].

mod log;
mod reader;
mod soft;

use std::sync::Arc;

use confab_bus::{AppendError, Bus, GatewayEnd, Position, QueryError, ReadError, WorkerEnd};
use confab_chat::{GatewayId, Partition, Timestamp};
use confab_proto::message::{Announcement, Answer, DeliveryBody, LogEntry, Query, Signal, ToGateway};
use parking_lot::Mutex;

use crate::clock;
use crate::faults::{Fault, Faults};
use crate::host::Host;
use crate::trace;
use crate::wire::Wire;
use log::Logs;
pub use log::{Era, LostTail};
pub use reader::SimReader;
use soft::Soft;

/// How long an append that is late takes, in milliseconds.
const LATE: (u64, u64) = (20, 4_000);
/// How long a delivery that is late takes, in milliseconds.
const DELIVERY_LATE: (u64, u64) = (50, 3_000);

/// What all processes share.
#[derive(Debug)]
pub struct Hub {
    wire: Arc<Wire>,
    faults: Arc<Faults>,
    logs: Logs,
    soft: Soft,
    /// Every answer that was sent, and to which gateway.
    replies: Mutex<Vec<(GatewayId, ToGateway)>>,
}

impl Hub {
    /// So many empty logs, of epoch 1.
    #[must_use]
    pub fn new(partitions: u16, wire: Arc<Wire>, faults: Arc<Faults>) -> Arc<Self> {
        Arc::new(Self {
            wire,
            faults,
            logs: Logs::new(partitions),
            soft: Soft::default(),
            replies: Mutex::default(),
        })
    }

    /// The end of a process.
    #[must_use]
    pub fn end(self: &Arc<Self>, host: &Host) -> SimBus {
        SimBus {
            hub: Arc::clone(self),
            host: host.clone(),
        }
    }

    /// The logs.
    #[must_use]
    pub fn logs(&self) -> &Logs {
        &self.logs
    }

    /// What one process says to all is not heard by another, or is again.
    pub fn deafen(&self, speaker: &Host, listener: &Host, deaf: bool) {
        self.soft.deafen(speaker.name(), listener.name(), deaf);
    }

    /// Every answer that was sent, and to which gateway.
    #[must_use]
    pub fn replies(&self) -> Vec<(GatewayId, ToGateway)> {
        self.replies.lock().clone()
    }
}

/// The bus of one process.
#[derive(Clone, Debug)]
pub struct SimBus {
    hub: Arc<Hub>,
    host: Host,
}

impl SimBus {
    fn store(&self, partition: Partition, entry: Arc<LogEntry>) -> Position {
        self.hub.logs.append(partition, entry)
    }

    /// Has an entry stand in its log after a while, in whatever log stands there then.
    fn store_later(&self, partition: Partition, entry: Arc<LogEntry>) {
        let hub = Arc::clone(&self.hub);
        let after = self.hub.faults.while_of(LATE.0, LATE.1);
        self.hub.wire.after(after, move || {
            let _unacknowledged = hub.logs.append(partition, entry);
        });
    }

    async fn append_with_faults(
        &self,
        partition: Partition,
        entry: Arc<LogEntry>,
    ) -> Result<Position, AppendError> {
        let faults = &self.hub.faults;
        let unknown = || Err(AppendError::Unknown("no acknowledgement (simulated)".to_owned()));
        if faults.strikes(Fault::AppendRefused) {
            return Err(AppendError::Refused("full (simulated)".to_owned()));
        }
        if faults.strikes(Fault::AppendLost) {
            return unknown();
        }
        if faults.strikes(Fault::AppendLate) {
            self.store_later(partition, entry);
            return unknown();
        }
        if faults.strikes(Fault::AppendTwice) {
            let first = self.store(partition, Arc::clone(&entry));
            if faults.chance(50) {
                self.store(partition, entry);
            } else {
                self.store_later(partition, entry);
            }
            return Ok(first);
        }
        let at = self.store(partition, entry);
        if faults.strikes(Fault::AckLost) {
            return unknown();
        }
        Ok(at)
    }
}

impl Bus for SimBus {
    type Reader = SimReader;

    fn partitions(&self) -> u16 {
        self.hub.logs.partitions()
    }

    async fn append(
        &self,
        partition: Partition,
        entry: impl Into<Arc<LogEntry>> + Send,
    ) -> Result<Position, AppendError> {
        let entry = entry.into();
        self.host.runs().await;
        self.hub.faults.dawdle().await;
        if self.host.is_dead() {
            std::future::pending::<()>().await;
        }
        let outcome = self.append_with_faults(partition, entry).await;
        self.hub.faults.dawdle().await;
        self.host.runs().await;
        outcome
    }

    async fn open(&self, partition: Partition, after: Position) -> Result<SimReader, ReadError> {
        self.host.runs().await;
        self.hub.faults.dawdle().await;
        if self.hub.faults.strikes(Fault::ReaderLost) {
            return Err(ReadError::Closed("no consumer (simulated)".to_owned()));
        }
        SimReader::open(&self.hub, &self.host, partition, after)
    }

    /// Everything is kept: age lets go of entries only when they are days old.
    async fn trim(&self, _partition: Partition, _upto: Position) {
        self.host.runs().await;
    }

    async fn signal(&self, partition: Partition, signal: Signal) {
        self.host.runs().await;
        if self.hub.faults.strikes(Fault::SignalLost) {
            return;
        }
        trace::tell(Some(&self.host), format_args!("signals {partition:?} {signal:?}"));
        self.hub.soft.signal(&self.hub, &self.host, partition, signal);
    }

    async fn deliver(&self, _partition: Partition, _seq: u64, gateway: &GatewayId, message: ToGateway) {
        self.host.runs().await;
        let faults = &self.hub.faults;
        trace::tell(
            Some(&self.host),
            format_args!("delivers to {} {message:?}", gateway.0),
        );
        if matches!(message.body, DeliveryBody::Reply { .. }) {
            self.hub.replies.lock().push((gateway.clone(), message.clone()));
        }
        if faults.strikes(Fault::DeliverLost) {
            return;
        }
        let late = faults.strikes(Fault::DeliverLate);
        let after = match late {
            true => faults.while_of(DELIVERY_LATE.0, DELIVERY_LATE.1),
            false => faults.while_of(0, 2),
        };
        if faults.strikes(Fault::DeliverTwice) {
            self.hub
                .soft
                .deliver(&self.hub, &self.host, gateway, message.clone(), after);
        }
        self.hub
            .soft
            .deliver(&self.hub, &self.host, gateway, message, after);
    }

    async fn query(&self, query: Query) -> Result<Answer, QueryError> {
        self.host.runs().await;
        self.hub.faults.dawdle().await;
        if self.hub.faults.strikes(Fault::QueryFails) {
            return Err(QueryError("failed (simulated)".to_owned()));
        }
        let asked = self.hub.soft.ask(&self.hub.faults, query)?;
        let answered = asked.await;
        self.hub.faults.dawdle().await;
        self.host.runs().await;
        answered.map_err(|_| QueryError("the worker went away".to_owned()))
    }

    async fn announce(&self, announcement: Announcement) {
        self.host.runs().await;
        self.hub.soft.announce(&self.hub, &self.host, &announcement);
    }

    async fn join_as_gateway(&self, gateway: &GatewayId) -> GatewayEnd {
        self.hub.soft.join_as_gateway(&self.host, gateway)
    }

    async fn join_as_worker(&self) -> WorkerEnd {
        self.hub.soft.join_as_worker(&self.host)
    }

    fn now(&self) -> Timestamp {
        clock::now(self.host.skew())
    }
}
