//! What was said of presence to partitions that had no owner just then: it is said again to the next one.
//!
//! Signals to a partition whose worker has died are lost for the seconds until it is taken over, and nobody else would
//! ever say again that somebody has come or gone.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use confab_chat::Partition;
use confab_proto::message::Signal;
use tokio::time::Instant;

/// How many signals are kept.
const MOST: usize = 16 * 1024;

/// When each partition last got an owner where it had none, as this worker has heard.
#[derive(Clone, Debug)]
pub(crate) struct Begins(Arc<Mutex<Vec<Option<Instant>>>>);

impl Begins {
    pub(crate) fn new(partitions: u16) -> Self {
        Self(Arc::new(Mutex::new(vec![None; usize::from(partitions)])))
    }

    /// A partition that had no owner has one.
    pub(crate) fn note(&self, partition: Partition, now: Instant) {
        let mut begins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(begun) = begins.get_mut(usize::from(partition.0)) {
            *begun = Some(now);
        }
    }

    /// The partitions that have begun since a time, and when.
    fn since(&self, then: Instant) -> Vec<(Partition, Instant)> {
        let begins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let numbered = (0u16..).map(Partition).zip(begins.iter());
        let begun = numbered.filter_map(|(partition, begun)| Some((partition, (*begun)?)));
        begun.filter(|(_, begun)| *begun > then).collect()
    }
}

/// What a loop has said lately.
pub(super) struct Said {
    recent: VecDeque<(Instant, Partition, Signal)>,
    /// When it was last looked at who has begun.
    looked: Instant,
}

impl Said {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            recent: VecDeque::new(),
            looked: now,
        }
    }

    /// Keeps a signal if it is one of presence. Of a probe that a session waits for the answer would come too late: what
    /// is found is told to all of the user's sessions.
    pub(super) fn note(&mut self, now: Instant, partition: Partition, signal: &Signal) {
        let signal = match signal {
            Signal::Probe {
                from, announce, to, ..
            } => Signal::Probe {
                from: from.clone(),
                announce: *announce,
                reply_to: None,
                to: to.clone(),
            },
            Signal::AreOnline { .. } | Signal::WentOffline { .. } => signal.clone(),
            _ => return,
        };
        if self.recent.len() >= MOST {
            self.recent.pop_front();
        }
        self.recent.push_back((now, partition, signal));
    }

    /// Forgets what was said before a time.
    pub(super) fn forget(&mut self, before: Instant) {
        while self.recent.front().is_some_and(|(said, ..)| *said < before) {
            self.recent.pop_front();
        }
    }

    /// What those have not heard who have begun since this was last asked, in the order in which it was said.
    pub(super) fn unheard(&mut self, begins: &Begins, now: Instant) -> Vec<(Partition, Signal)> {
        let begun = begins.since(std::mem::replace(&mut self.looked, now));
        if begun.is_empty() {
            return Vec::new();
        }
        let missed = |(said, partition, _): &&(Instant, Partition, Signal)| {
            let mut of_it = begun.iter().filter(|(who, _)| who == partition);
            of_it.any(|(_, begun)| said < begun)
        };
        let unheard = self.recent.iter().filter(missed);
        unheard
            .map(|(_, partition, signal)| (*partition, signal.clone()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use confab_chat::{Timestamp, UserId};

    use super::*;

    fn went(user: &str) -> Signal {
        Signal::WentOffline {
            from: UserId::parse(user).unwrap(),
            last_seen: Timestamp(1),
            to: Vec::new(),
        }
    }

    #[test]
    fn who_begins_where_nobody_was_hears_what_was_said_before() {
        let (one, other) = (Partition(1), Partition(2));
        let start = Instant::now();
        let at = |second| start + Duration::from_secs(second);
        let begins = Begins::new(4);
        begins.note(one, at(1));
        let mut said = Said::new(at(2));
        for (second, partition, user) in [(3, one, "a"), (4, other, "b"), (5, one, "c"), (6, one, "d")] {
            said.note(at(second), partition, &went(user));
        }
        assert_eq!(said.unheard(&begins, at(7)), [], "nobody has begun");
        begins.note(one, at(8));
        said.note(at(9), one, &went("e"));
        said.forget(at(4));
        assert_eq!(
            said.unheard(&begins, at(10)),
            [(one, went("c")), (one, went("d"))],
            "what was said since it has heard itself"
        );
        assert_eq!(said.unheard(&begins, at(11)), [], "once");
    }
}
