//! What gateways and workers say to each other.
//!
//! Two ways: **log entries** are durable and ordered within their partition; **signals**, **deliveries**, **queries**
//! and **announcements** are soft: any of them may be lost, and whoever sent it repeats it or does without.

mod delivery;
mod entry;
mod query;
mod signal;

use std::sync::Arc;

use confab_chat::Partition;

pub use delivery::{Attached, DeliveryBody, MailboxEvent, Quoted, ToGateway};
pub use entry::{DeliverItem, Enroll, EntryBody, LogEntry, Logged, Restored, RestoredActor};
pub use query::{Answer, Page, Query, QueryKind};
pub use signal::{Attach, AttachFrom, Beat, Profile, Signal};

/// Said to everybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Announcement {
    /// A worker is alive. Said every second, and whenever the list changes.
    Alive {
        /// The worker's name, unique to one run of it.
        worker: Arc<str>,
        /// The partitions that it is at work on: their loops have caught up with the log.
        partitions: Vec<Partition>,
    },
    /// A worker begins a partition: gateways attach its sessions again.
    Began {
        /// Which.
        partition: Partition,
    },
    /// A worker stops in order: the others count it no more. It goes on with each of its partitions until the one who
    /// takes it is at work.
    Leaving {
        /// The worker's name.
        worker: Arc<str>,
    },
}
