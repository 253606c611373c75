//! What is not logged: signals, deliveries, queries and announcements, each in a bounded queue of its receiver.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use confab_bus::{Answerer, Asked, GatewayEnd, QueryError, WorkerEnd};
use confab_chat::{GatewayId, Partition};
use confab_proto::message::{Announcement, Answer, Query, Signal, ToGateway};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

use super::Hub;
use crate::faults::{Fault, Faults};
use crate::host::Host;

/// What a receiver takes before more is dropped.
const QUEUE: usize = 4096;

/// Who is there.
#[derive(Debug, Default)]
struct Joined {
    gateways: BTreeMap<GatewayId, (Host, mpsc::Sender<ToGateway>)>,
    workers: Vec<(Host, mpsc::Sender<Asked>)>,
    listeners: Vec<(Host, mpsc::Sender<Announcement>)>,
    owners: BTreeMap<Partition, Vec<(Host, mpsc::Sender<Signal>)>>,
    woken: BTreeMap<Partition, Arc<Notify>>,
    /// Who does not hear whom.
    deaf: BTreeSet<(Arc<str>, Arc<str>)>,
    /// When the last message of one sender to one receiver is due: none passes another.
    due: BTreeMap<(Arc<str>, Arc<str>), Instant>,
}

#[derive(Debug, Default)]
pub(super) struct Soft(Mutex<Joined>);

impl Joined {
    /// When a message is due that is sent now.
    fn due(&mut self, from: &Arc<str>, to: &Arc<str>, after: Duration) -> Instant {
        let channel = (Arc::clone(from), Arc::clone(to));
        let wanted = Instant::now() + after;
        let due = self.due.entry(channel).or_insert(wanted);
        *due = wanted.max(*due);
        *due
    }
}

impl Soft {
    pub(super) fn deafen(&self, speaker: &Arc<str>, listener: &Arc<str>, deaf: bool) {
        let pair = (Arc::clone(speaker), Arc::clone(listener));
        let mut joined = self.0.lock();
        match deaf {
            true => joined.deaf.insert(pair),
            false => joined.deaf.remove(&pair),
        };
    }

    pub(super) fn join_as_gateway(&self, host: &Host, gateway: &GatewayId) -> GatewayEnd {
        let (to, deliveries) = mpsc::channel(QUEUE);
        self.0.lock().gateways.insert(gateway.clone(), (host.clone(), to));
        GatewayEnd {
            deliveries,
            announcements: self.hear(host),
        }
    }

    pub(super) fn join_as_worker(&self, host: &Host) -> WorkerEnd {
        let (to, queries) = mpsc::channel(QUEUE);
        self.0.lock().workers.push((host.clone(), to));
        WorkerEnd {
            queries,
            announcements: self.hear(host),
        }
    }

    fn hear(&self, host: &Host) -> mpsc::Receiver<Announcement> {
        let (to, announcements) = mpsc::channel(QUEUE);
        self.0.lock().listeners.push((host.clone(), to));
        announcements
    }

    pub(super) fn listen(&self, host: &Host, partition: Partition) -> mpsc::Receiver<Signal> {
        let (to, signals) = mpsc::channel(QUEUE);
        let mut joined = self.0.lock();
        let owners = joined.owners.entry(partition).or_default();
        owners.retain(|(host, to)| !host.is_dead() && !to.is_closed());
        owners.push((host.clone(), to));
        signals
    }

    /// Waits until a signal has come for a partition, from the moment of the call.
    pub(super) fn signalled(&self, partition: Partition) -> impl Future<Output = ()> + use<> {
        let woken = Arc::clone(self.0.lock().woken.entry(partition).or_default());
        async move { woken.notified().await }
    }

    pub(super) fn signal(&self, hub: &Arc<Hub>, from: &Host, partition: Partition, signal: Signal) {
        let to = format!("signal.{}", partition.0).into();
        let due = self.0.lock().due(from.name(), &to, hub.faults.while_of(0, 2));
        let carrier = Arc::clone(hub);
        hub.wire.at(due, move || {
            let mut joined = carrier.soft.0.lock();
            for (host, to) in joined.owners.get(&partition).into_iter().flatten() {
                if !host.is_dead() {
                    let _full = to.try_send(signal.clone());
                }
            }
            joined.woken.entry(partition).or_default().notify_waiters();
        });
    }

    pub(super) fn deliver(
        &self,
        hub: &Arc<Hub>,
        from: &Host,
        gateway: &GatewayId,
        message: ToGateway,
        after: Duration,
    ) {
        let due = self.0.lock().due(from.name(), &gateway.0, after);
        let (carrier, gateway) = (Arc::clone(hub), gateway.clone());
        hub.wire.at(due, move || {
            let joined = carrier.soft.0.lock();
            if let Some((_, to)) = joined.gateways.get(&gateway).filter(|(host, _)| !host.is_dead()) {
                let _full = to.try_send(message);
            }
        });
    }

    /// Puts a query to a worker that lives.
    pub(super) fn ask(&self, faults: &Faults, query: Query) -> Result<oneshot::Receiver<Answer>, QueryError> {
        let mut joined = self.0.lock();
        joined
            .workers
            .retain(|(host, to)| !host.is_dead() && !to.is_closed());
        let count = joined.workers.len() as u64;
        if count == 0 {
            return Err(QueryError("there is no worker".to_owned()));
        }
        let nth = usize::try_from(faults.between(0, count - 1)).unwrap_or(0);
        let (answer, answered) = oneshot::channel();
        let asked = Asked {
            query,
            answer: Answerer(answer),
        };
        let busy = |_| QueryError("every worker is busy".to_owned());
        joined.workers[nth].1.try_send(asked).map_err(busy)?;
        Ok(answered)
    }

    pub(super) fn announce(&self, hub: &Arc<Hub>, from: &Host, announcement: &Announcement) {
        let mut joined = self.0.lock();
        joined
            .listeners
            .retain(|(host, to)| !host.is_dead() && !to.is_closed());
        let listeners = joined.listeners.clone();
        for (host, to) in listeners {
            let pair = (Arc::clone(from.name()), Arc::clone(host.name()));
            if joined.deaf.contains(&pair) || hub.faults.strikes(Fault::AnnouncementLost) {
                continue;
            }
            let channel = format!("said to {}", host.name()).into();
            let due = joined.due(from.name(), &channel, hub.faults.while_of(0, 3));
            let announcement = announcement.clone();
            hub.wire.at(due, move || {
                let _full = to.try_send(announcement);
            });
        }
    }
}
