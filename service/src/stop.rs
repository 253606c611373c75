//! How a process is told to end: SIGTERM drains, SIGINT does not wait, and the second signal of any kind ends it at
//! once.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// SIGTERM: tell the clients when to come back, finish what is begun, then end.
    Drain,
    /// SIGINT: leave the data clean and end, without waiting for clients.
    Now,
}

impl Stop {
    /// The exit code of a process that such a signal ended by force: 128 and the signal's number.
    #[must_use]
    pub fn forced_exit_code(self) -> u8 {
        match self {
            Self::Drain => 128 + 15,
            Self::Now => 128 + 2,
        }
    }
}

/// Listens for the signals that end a process. From its creation on they no longer end it by themselves.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes the signals over. Call it inside the runtime that will wait for them, before anything is opened that must
    /// be closed again.
    ///
    /// # Errors
    /// When the system does not allow it.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next signal. Cancel-safe.
    pub async fn next(&mut self) -> Stop {
        tokio::select! {
            _ = self.terminate.recv() => Stop::Drain,
            _ = self.interrupt.recv() => Stop::Now,
        }
    }
}
