//! What the connection to NATS has lived through, for whoever must repair what that may have cost.
//!
//! The client may lose an event when there are many at once. So what hangs on them is only that somebody wakes up early; whether
//! there is a connection, and which, the client itself is asked for.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use async_nats::{Event, Statistics};
use tokio::sync::watch;

use super::metrics;

/// What has happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    /// How often the connection was made.
    pub(super) connects: u64,
    /// How often it was lost.
    pub(super) disconnects: u64,
    /// How often soft messages to this process may have been lost: the connection was made again, or a subscription's queue
    /// was full (whose, the client does not say).
    pub(super) losses: u64,
    /// Whether it was closed for good.
    pub(super) closed: bool,
}

/// Follows the client.
#[derive(Debug)]
pub(super) struct Link {
    state: watch::Sender<State>,
    statistics: OnceLock<Arc<Statistics>>,
}

impl Link {
    pub(super) fn new() -> Self {
        Self {
            state: watch::Sender::new(State::default()),
            statistics: OnceLock::new(),
        }
    }

    /// The client that is followed.
    pub(super) fn follow(&self, client: &async_nats::Client) {
        self.statistics.get_or_init(|| client.statistics());
        self.check();
    }

    pub(super) fn state(&self) -> State {
        *self.state.borrow()
    }

    /// Hears of every change from here on.
    pub(super) fn watch(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// How often the connection was made, by the client's own count.
    pub(super) fn connects(&self) -> u64 {
        let statistics = self.statistics.get();
        statistics.map_or(0, |statistics| statistics.connects.load(Ordering::Relaxed))
    }

    /// Takes notice of a connection that was made.
    pub(super) fn check(&self) {
        let connects = self.connects();
        self.state.send_if_modified(|state| {
            if state.connects >= connects {
                return false;
            }
            if state.connects > 0 {
                state.losses += 1;
                metrics::reconnected();
                tracing::info!("connected to NATS again");
            }
            state.connects = connects;
            true
        });
    }

    /// Takes in an event of the client.
    pub(super) fn note(&self, event: &Event) {
        match event {
            Event::Connected => self.check(),
            Event::Disconnected => {
                tracing::warn!("the connection to NATS is lost");
                self.state.send_modify(|state| state.disconnects += 1);
            }
            Event::SlowConsumer(_) => {
                metrics::slow_consumer();
                self.state.send_modify(|state| state.losses += 1);
            }
            Event::Closed => self.state.send_modify(|state| state.closed = true),
            Event::ServerError(error) => tracing::warn!(%error, "NATS reports an error"),
            Event::ClientError(error) => tracing::warn!(%error, "the connection to NATS cannot be made"),
            Event::LameDuckMode => tracing::info!("the NATS server is about to stop"),
            Event::Draining => {}
        }
    }
}
