//! The signals of a partition, as its reader takes them; and making up for those that never came.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::{Message, Subscriber};
use confab_chat::Partition;
use confab_proto::message::{Announcement, Signal};
use confab_proto::wire::Wire;
use futures_util::{FutureExt, StreamExt};

use super::core::Core;
use super::metrics;
use crate::ReadError;

/// At most so often are sessions attached again.
const BETWEEN_REPAIRS: Duration = Duration::from_secs(2);
/// Most signals taken at once.
const AT_ONCE: usize = 1024;

#[derive(Debug)]
pub(super) struct Signals(Subscriber);

impl Signals {
    pub(super) async fn open(core: &Core, partition: Partition) -> Result<Self, ReadError> {
        let subscriber = core.client.subscribe(core.subjects.signal(partition)).await;
        let subscriber = subscriber.map_err(|error| ReadError::Closed(error.to_string()))?;
        Ok(Self(subscriber))
    }

    /// The next ones, waiting if there are none. Cancel-safe: nothing is taken before the wait is over.
    pub(super) async fn next(&mut self) -> Vec<Signal> {
        loop {
            // Once the connection is closed that is for the log to say.
            let Some(message) = self.0.next().await else {
                return std::future::pending().await;
            };
            let mut signals = Vec::new();
            signals.extend(decode(&message));
            self.take(&mut signals);
            if !signals.is_empty() {
                return signals;
            }
        }
    }

    /// Those that are there already.
    pub(super) fn waiting(&mut self) -> Vec<Signal> {
        let mut signals = Vec::new();
        self.take(&mut signals);
        signals
    }

    fn take(&mut self, signals: &mut Vec<Signal>) {
        while signals.len() < AT_ONCE {
            let Some(Some(message)) = self.0.next().now_or_never() else {
                return;
            };
            signals.extend(decode(&message));
        }
    }
}

/// Has gateways attach the sessions of this process's partitions again whenever signals may have been lost, for ever.
pub(super) async fn make_up_for_lost(core: Arc<Core>) {
    let mut link = core.link.watch();
    let mut seen = link.borrow_and_update().losses;
    while link.changed().await.is_ok() {
        let losses = link.borrow_and_update().losses;
        if losses == seen {
            continue;
        }
        seen = losses;
        for (partition, part) in core.partitions() {
            if part.readers.load(Ordering::Relaxed) > 0 {
                core.announce(&Announcement::Began { partition }).await;
            }
        }
        // A queue that is full loses many at once; one repair does for all of them.
        tokio::time::sleep(BETWEEN_REPAIRS).await;
    }
}

fn decode(message: &Message) -> Option<Signal> {
    let signal = Signal::decode(&message.payload);
    signal
        .map_err(|error| {
            metrics::undecodable("signal");
            tracing::warn!(%error, "a signal cannot be read");
        })
        .ok()
}
