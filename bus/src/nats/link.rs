//! What the connection to NATS has lived through, for whoever must repair what that may have cost.

use async_nats::Event;
use tokio::sync::watch;

use super::metrics;

/// The state of the connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    /// Whether there is one.
    pub(super) connected: bool,
    /// Whether it was closed for good.
    pub(super) closed: bool,
    /// How often it was made.
    pub(super) connects: u64,
    /// How often soft messages to this process may have been lost: it was made again, or a subscription's queue was full.
    pub(super) losses: u64,
}

/// Follows the client's events.
#[derive(Debug)]
pub(super) struct Link(watch::Sender<State>);

impl Link {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(State::default()))
    }

    pub(super) fn state(&self) -> State {
        *self.0.borrow()
    }

    /// Hears of every change from here on.
    pub(super) fn watch(&self) -> watch::Receiver<State> {
        self.0.subscribe()
    }

    /// Takes in an event of the client.
    pub(super) fn note(&self, event: &Event) {
        match event {
            Event::Connected => self.0.send_modify(|state| {
                state.connected = true;
                state.connects += 1;
                if state.connects > 1 {
                    state.losses += 1;
                    metrics::reconnected();
                    tracing::info!("connected to NATS again");
                }
            }),
            Event::Disconnected => {
                tracing::warn!("the connection to NATS is lost");
                self.0.send_modify(|state| state.connected = false);
            }
            Event::SlowConsumer(_) => {
                metrics::slow_consumer();
                self.0.send_modify(|state| state.losses += 1);
            }
            Event::Closed => self.0.send_modify(|state| {
                state.connected = false;
                state.closed = true;
            }),
            Event::ServerError(error) => tracing::warn!(%error, "NATS reports an error"),
            Event::ClientError(error) => tracing::warn!(%error, "the connection to NATS cannot be made"),
            Event::LameDuckMode => tracing::info!("the NATS server is about to stop"),
            Event::Draining => {}
        }
    }
}
