//! A gateway's end of the bus: one subscription for all its users' deliveries, and one for what is said to everybody.
//!
//! Whatever may have been lost on the way here (a queue was full, the connection was made anew) is made up for by telling the
//! gateway that every partition began: its sessions attach again, and get what they have missed.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Message, Subscriber};
use confab_chat::{GatewayId, Partition};
use confab_proto::message::{Announcement, ToGateway};
use confab_proto::wire::Wire;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::core::Core;
use super::link::State;
use super::metrics;
use super::tasks::Tasks;
use crate::GatewayEnd;

/// Most deliveries that wait for the gateway.
const DELIVERIES: usize = 64 * 1024;
/// Most announcements that wait at one receiver.
pub(super) const ANNOUNCEMENTS: usize = 1024;
/// At most so often are all sessions attached again: that costs as much as it repairs.
const BETWEEN_REPAIRS: Duration = Duration::from_secs(2);
/// Most messages taken before something else has its turn.
const AT_ONCE: usize = 256;

/// Moves what arrives to the gateway.
struct Pump {
    deliveries: mpsc::Sender<ToGateway>,
    announcements: mpsc::Sender<Announcement>,
    repair: Repair,
}

/// Telling a gateway that every partition began.
struct Repair {
    /// Which partition is told of next, if any.
    next: Option<u16>,
    /// Once more, when this one is over and its time has come.
    again: bool,
    not_before: Instant,
    /// How often something may have been lost, as far as it was taken up.
    seen: u64,
}

/// Subscribes, and returns once that stands.
pub(super) async fn join(core: &Arc<Core>, tasks: &Tasks, gateway: &GatewayId) -> GatewayEnd {
    let (deliveries, received) = mpsc::channel(DELIVERIES);
    let (announcements, heard) = mpsc::channel(ANNOUNCEMENTS);
    let link = core.link.watch();
    let repair = Repair {
        next: None,
        again: false,
        not_before: Instant::now(),
        seen: link.borrow().losses,
    };
    let delivered = core.client.subscribe(core.subjects.deliveries(gateway)).await;
    let announced = core.client.subscribe(core.subjects.announce()).await;
    core.settled().await;
    match (delivered, announced) {
        (Ok(delivered), Ok(announced)) => {
            let pump = Pump {
                deliveries,
                announcements,
                repair,
            };
            tasks.spawn(pump.run(delivered, announced, link, core.options.partitions));
        }
        // Only once the connection is closed: both ends of the gateway are over then.
        (Err(error), _) | (_, Err(error)) => tracing::warn!(%error, "a gateway cannot join"),
    }
    GatewayEnd {
        deliveries: received,
        announcements: heard,
    }
}

impl Pump {
    async fn run(
        mut self,
        mut delivered: Subscriber,
        mut announced: Subscriber,
        mut link: watch::Receiver<State>,
        partitions: u16,
    ) {
        let told = self.announcements.clone();
        loop {
            tokio::select! {
                message = delivered.next() => {
                    let Some(message) = message else { return };
                    self.deliver(&message);
                    for _ in 0..AT_ONCE {
                        let Some(Some(message)) = delivered.next().now_or_never() else { break };
                        self.deliver(&message);
                    }
                }
                message = announced.next() => {
                    let Some(message) = message else { return };
                    self.announce(&message);
                }
                changed = link.changed() => {
                    let losses = link.borrow_and_update().losses;
                    if changed.is_err() {
                        return;
                    }
                    if losses != self.repair.seen {
                        self.repair.seen = losses;
                        self.repair.again = true;
                    }
                }
                () = sleep_until(self.repair.not_before), if self.repair.is_due() => self.repair.begin(),
                permit = told.reserve(), if self.repair.next.is_some() => {
                    let next = self.repair.advance(partitions);
                    // Without a permit nobody listens to announcements any more.
                    if let (Ok(permit), Some(partition)) = (permit, next) {
                        permit.send(Announcement::Began { partition });
                    }
                }
                () = self.deliveries.closed() => return,
            }
        }
    }

    fn deliver(&mut self, message: &Message) {
        match ToGateway::decode(&message.payload) {
            Ok(message) => {
                if let Err(TrySendError::Full(_)) = self.deliveries.try_send(message) {
                    metrics::dropped("delivery");
                    self.repair.again = true;
                }
            }
            Err(error) => {
                metrics::undecodable("delivery");
                tracing::warn!(%error, "a delivery cannot be read");
            }
        }
    }

    fn announce(&mut self, message: &Message) {
        let announcement = decode_announcement(message);
        let sent = announcement.map(|announcement| self.announcements.try_send(announcement));
        if let Some(Err(TrySendError::Full(_))) = sent {
            metrics::dropped("announcement");
            self.repair.again = true;
        }
    }
}

impl Repair {
    fn is_due(&self) -> bool {
        self.again && self.next.is_none()
    }

    fn begin(&mut self) {
        self.again = false;
        self.next = Some(0);
        self.not_before = Instant::now() + BETWEEN_REPAIRS;
        metrics::repaired();
        tracing::warn!("messages to this gateway may have been lost: its sessions are attached again");
    }

    fn advance(&mut self, partitions: u16) -> Option<Partition> {
        let next = self.next.take().filter(|next| *next < partitions)?;
        self.next = next.checked_add(1).filter(|next| *next < partitions);
        Some(Partition(next))
    }
}

pub(super) fn decode_announcement(message: &Message) -> Option<Announcement> {
    let announcement = Announcement::decode(&message.payload);
    announcement
        .map_err(|error| {
            metrics::undecodable("announcement");
            tracing::warn!(%error, "an announcement cannot be read");
        })
        .ok()
}
