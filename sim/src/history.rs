//! What all clients saw, in the one order in which it happened.

use std::fmt::Write;

use parking_lot::Mutex;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::clock;

/// What became of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Not answered: it may have been done, or be done yet.
    Open,
    /// Answered.
    Done {
        /// When.
        step: u64,
        /// With what.
        payload: Value,
    },
    /// Refused.
    Refused {
        /// When.
        step: u64,
        /// Why.
        code: String,
    },
}

/// A request of a client, sent as often as it took.
#[derive(Clone, Debug)]
pub struct Op {
    /// Who.
    pub user: String,
    /// On which device.
    pub device: String,
    /// `payloadType`.
    pub kind: &'static str,
    /// `payload`.
    pub payload: Value,
    /// When it was sent, and on which connection.
    pub sends: Vec<(u64, usize)>,
    /// What became of it.
    pub outcome: Outcome,
}

/// A durable event as it came.
#[derive(Clone, Debug)]
pub struct Received {
    /// When.
    pub step: u64,
    /// Its number.
    pub id: u64,
    /// `eventType`.
    pub kind: String,
    /// `payload`.
    pub payload: Value,
}

/// A connection of a device.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Whose.
    pub user: String,
    /// Which device.
    pub device: String,
    /// `lastEventId`.
    pub asked: Option<u64>,
    /// Up to where the device had acknowledged everything before; none where it never had an event.
    pub acked: Option<u64>,
    /// The durable events that came, in order.
    pub events: Vec<Received>,
}

/// Everything.
#[derive(Debug, Default)]
pub struct Records {
    /// All requests, in the order in which they were thought of.
    pub ops: Vec<Op>,
    /// All connections.
    pub connections: Vec<Connection>,
    /// What must not happen and did.
    pub violations: Vec<String>,
    step: u64,
    lines: Option<Vec<String>>,
    digest: Sha256,
}

/// The records of a run, shared by all its clients.
#[derive(Debug, Default)]
pub struct History(Mutex<Records>);

impl History {
    /// Keeps every line, to be printed.
    #[must_use]
    pub fn with_lines(keep: bool) -> Self {
        Self(Mutex::new(Records {
            lines: keep.then(Vec::new),
            ..Records::default()
        }))
    }

    /// Notes what happened; the number of the step.
    pub fn note(&self, who: &str, what: std::fmt::Arguments<'_>) -> u64 {
        let mut records = self.0.lock();
        records.step += 1;
        let step = records.step;
        let mut line = String::new();
        let _always = write!(line, "{:>7} {who} {what}", clock::millis());
        records.digest.update(line.as_bytes());
        records.digest.update(b"\n");
        if let Some(lines) = &mut records.lines {
            lines.push(line);
        }
        step
    }

    /// Notes what must not happen.
    pub fn violation(&self, what: String) {
        self.note("VIOLATION", format_args!("{what}"));
        self.0.lock().violations.push(what);
    }

    /// Looks at the records, or changes them.
    pub fn with<T>(&self, look: impl FnOnce(&mut Records) -> T) -> T {
        look(&mut self.0.lock())
    }
}

impl Records {
    /// Names the history: the same history, the same name.
    #[must_use]
    pub fn digest(&self) -> String {
        let digest = self.digest.clone().finalize();
        digest.iter().take(16).fold(String::new(), |mut text, byte| {
            let _always = write!(text, "{byte:02x}");
            text
        })
    }

    /// The lines kept.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        self.lines.as_deref().unwrap_or_default()
    }

    /// How many steps there were.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.step
    }
}
