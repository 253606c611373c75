//! What the service must never do, and did.

use std::time::Instant;

use serde::{Deserialize, Serialize};

/// Violations that are written out; all are counted.
const KEPT: usize = 100;

/// Which promise was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// A message, an edit or a deletion was acknowledged, and a member did not get it.
    Missing,
    /// One message twice, or one event twice on one connection.
    Duplicate,
    /// Events of a user that are not numbered 1, 2, 3.
    EventHole,
    /// Messages of a chat that are not numbered 1, 2, 3.
    MessageHole,
    /// Two members were told of two orders, or one of a wrong one.
    Order,
    /// A mark that was higher before.
    MarkWentBack,
    /// An unread count that is not the number of unread messages.
    Unread,
    /// The history says something else than what was acknowledged.
    History,
    /// Something of a chat that the user is not in, or that nobody sent, or sent elsewhere.
    Stranger,
    /// An event that says something else than what was sent, edited or deleted.
    Content,
    /// A mark that nobody asked for, or of a message that was not there.
    Mark,
    /// A list that has a chat twice, or one that is not the user's.
    List,
    /// A message that was refused for good, and is there.
    Refused,
    /// What cannot be read as the protocol has it.
    Unreadable,
}

/// One broken promise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Violation {
    pub(crate) kind: Kind,
    /// The chat, or the user whose events it is about.
    pub(crate) of: String,
    /// What, with ids.
    pub(crate) detail: String,
    /// When it was noticed, in milliseconds of the run.
    pub(crate) at_ms: u64,
}

/// Those of a run.
#[derive(Debug)]
pub(crate) struct Violations {
    started: Instant,
    pub(crate) count: u64,
    pub(crate) kept: Vec<Violation>,
}

impl Default for Violations {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            count: 0,
            kept: Vec::new(),
        }
    }
}

impl Violations {
    pub(crate) fn add(&mut self, kind: Kind, of: String, detail: String) {
        self.count += 1;
        if self.kept.len() < KEPT {
            let at_ms = self.started.elapsed().as_millis() as u64;
            self.kept.push(Violation {
                kind,
                of,
                detail,
                at_ms,
            });
        }
    }
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.at_ms as f64 / 1000.0;
        write!(
            f,
            "{:?} at {seconds:.3} s, {}: {}",
            self.kind, self.of, self.detail
        )
    }
}
