//! The signals of a partition, as its reader takes them.

use async_nats::{Message, Subscriber};
use confab_chat::Partition;
use confab_proto::message::Signal;
use confab_proto::wire::Wire;
use futures_util::{FutureExt, StreamExt};

use super::core::Core;
use super::metrics;
use crate::ReadError;

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

fn decode(message: &Message) -> Option<Signal> {
    let signal = Signal::decode(&message.payload);
    signal
        .map_err(|error| {
            metrics::undecodable("signal");
            tracing::warn!(%error, "a signal cannot be read");
        })
        .ok()
}
