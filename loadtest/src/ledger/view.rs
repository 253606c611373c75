//! What one connection, and the ones before it of the same device, was told.

use std::collections::HashMap;
use std::time::Instant;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// The last durable event. Users of a run are new, so the first one is 1.
    pub(crate) last_event: u64,
    again: Again,
    /// What was owed and has come.
    pub(crate) seen: u64,
    /// New messages, edits and deletions that are known and have not come.
    pub(crate) owed: u64,
    /// When a durable event came last that had not come before.
    heard_at: Option<Instant>,
    /// Since when the connection is there and reads.
    reading_since: Option<Instant>,
    /// By chat: the last new message.
    pub(super) chats: HashMap<u32, u32>,
    /// By chat, user and whether it is a `read`: the last mark.
    pub(super) marks: HashMap<(u32, u32, bool), u32>,
}

/// Which events may come that have come before.
#[derive(Debug, Default)]
enum Again {
    /// None: the connection has named the last one that it has, or is past it.
    #[default]
    None,
    /// Those after any one: nothing of this connection has come yet.
    Any,
    /// This one, after the one before it.
    From(u64),
}

/// How an event follows the one before.
pub(super) enum Next {
    /// By one.
    Right,
    /// It was told on an earlier connection.
    Again,
    /// It was told on this one, or the connection has said that it has it: up to there.
    Twice(u64),
    /// Something is missing before it, after this one.
    Hole(u64),
}

impl View {
    /// A new connection. One that does not name the last event that it has gets what is not acknowledged once more, in order.
    pub(crate) fn reconnected(&mut self, named: bool) {
        self.again = if named { Again::None } else { Again::Any };
    }

    /// The connection is there and reads from now on, or is not or does not.
    pub(crate) fn reads(&mut self, reading: bool) {
        self.reading_since = reading.then(Instant::now);
    }

    /// Whether the connection is there and reads.
    pub(crate) fn is_reading(&self) -> bool {
        self.reading_since.is_some()
    }

    /// Whether it has read all the time since then, and nothing came.
    pub(super) fn waited_since(&self, since: Instant) -> bool {
        self.reading_since.is_some_and(|at| at <= since) && self.heard_at.is_none_or(|at| at <= since)
    }

    pub(super) fn paid(&mut self) {
        self.seen += 1;
        self.owed -= 1;
    }

    pub(super) fn next(&mut self, id: u64) -> Next {
        let last = self.last_event;
        let due = match self.again {
            Again::From(due) => Some(due),
            Again::None | Again::Any => None,
        };
        if id <= last {
            return match self.again {
                Again::None => Next::Twice(last),
                Again::From(due) if id < due => Next::Twice(due - 1),
                Again::From(due) if id > due => Next::Hole(due - 1),
                Again::Any | Again::From(_) => {
                    self.again = if id < last {
                        Again::From(id + 1)
                    } else {
                        Again::None
                    };
                    Next::Again
                }
            };
        }
        self.again = Again::None;
        self.last_event = id;
        self.heard_at = Some(Instant::now());
        match due {
            Some(due) => Next::Hole(due - 1),
            None if id == last + 1 => Next::Right,
            None => Next::Hole(last),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Next, View};

    /// What is said of events, one after the other.
    fn said(view: &mut View, ids: &[u64]) -> Vec<String> {
        let say = |next| match next {
            Next::Right => "right".to_owned(),
            Next::Again => "again".to_owned(),
            Next::Twice(last) => format!("twice, after {last}"),
            Next::Hole(last) => format!("hole, after {last}"),
        };
        ids.iter().map(|id| say(view.next(*id))).collect()
    }

    fn view() -> View {
        let mut view = View::default();
        assert_eq!(said(&mut view, &[1, 2, 3, 4]), ["right"; 4]);
        view
    }

    #[test]
    fn who_names_its_last_event_is_told_the_next() {
        let mut view = view();
        view.reconnected(true);
        assert_eq!(said(&mut view, &[4, 5]), ["twice, after 4", "right"]);
        view.reconnected(true);
        assert_eq!(said(&mut view, &[7]), ["hole, after 5"]);
    }

    #[test]
    fn who_names_none_is_told_again_from_any_event_on_and_without_a_hole() {
        for first in 1..=4 {
            let mut view = view();
            view.reconnected(false);
            let again: Vec<u64> = (first..=4).collect();
            assert!(said(&mut view, &again).iter().all(|said| said == "again"));
            assert_eq!(said(&mut view, &[4, 5]), ["twice, after 4", "right"]);
        }
        let mut one = view();
        one.reconnected(false);
        assert_eq!(said(&mut one, &[5, 5]), ["right", "twice, after 5"]);
        let mut one = view();
        one.reconnected(false);
        assert_eq!(said(&mut one, &[1, 3]), ["again", "hole, after 1"]);
        let mut one = view();
        one.reconnected(false);
        assert_eq!(
            said(&mut one, &[1, 2, 2, 5]),
            ["again", "again", "twice, after 2", "hole, after 2"]
        );
    }
}
