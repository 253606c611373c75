//! Which keys a range is.

use confab_chat::limits::BUCKET_MESSAGES;
use confab_chat::row::MarkKind;
use confab_chat::{ChatKey, UserId};

use super::keys::{KeyWriter, RowKey, Table, kind_byte, under_actor};
use crate::{Key, Range};

/// The keys of a range: some runs of them, in order.
pub(super) struct Spans {
    pub(super) table: Table,
    /// From a key to before another.
    pub(super) runs: Vec<(RowKey, RowKey)>,
    /// Of the marks in them, only these (bucket ends are coarser than a range may be).
    up_to: Option<(u64, u64)>,
}

impl Spans {
    /// The keys of a range. Of marks, `last` finds the last key from one key to before another: a range may end
    /// in buckets that nobody has reached, and those are not looked at.
    pub(super) fn of<E>(
        range: &Range,
        last: impl FnOnce(&RowKey, &RowKey) -> Result<Option<Key>, E>,
    ) -> Result<Self, E> {
        Ok(match range {
            Range::Messages { chat, from, to } => numbers(Table::Messages, chat.as_str(), *from, *to),
            Range::Inbox { user, from, to } => numbers(Table::Inbox, user.as_str(), *from, *to),
            Range::Memberships(user) => all(|| KeyWriter::under(Table::Memberships, user.as_str())),
            Range::Cursors(user) => all(|| KeyWriter::under(Table::Cursors, user.as_str())),
            Range::State(actor) => all(|| under_actor(actor)),
            Range::AllMarks { chat, from, to } => {
                let bucket =
                    |up_to| KeyWriter::under(Table::Marks, chat.as_str()).number(up_to / BUCKET_MESSAGES);
                let runs = run(bucket(*from), bucket(*to).behind(), from <= to);
                Self {
                    table: Table::Marks,
                    runs,
                    up_to: Some((*from, *to)),
                }
            }
            Range::Marks {
                chat,
                user,
                kind,
                from,
                to,
            } => {
                let under = || KeyWriter::under(Table::Marks, chat.as_str());
                let highest = last(&under().finish(), &under().behind().finish())?;
                let highest = match highest {
                    Some(Key::Mark(_, _, _, up_to)) => bucket_end(up_to),
                    _ => 0,
                };
                let runs = mark_runs(chat, user, *kind, *from, (*to).min(highest));
                Self {
                    table: Table::Marks,
                    runs,
                    up_to: None,
                }
            }
        })
    }

    /// Whether every row found in the runs is of the range.
    pub(super) fn is_exact(&self) -> bool {
        self.up_to.is_none()
    }

    /// Whether a row found in the runs is of the range.
    pub(super) fn contains(&self, key: &Key) -> bool {
        match (self.up_to, key) {
            (Some((from, to)), Key::Mark(_, _, _, up_to)) => (from..=to).contains(up_to),
            _ => true,
        }
    }
}

fn bucket_end(up_to: u64) -> u64 {
    (up_to / BUCKET_MESSAGES)
        .saturating_mul(BUCKET_MESSAGES)
        .saturating_add(BUCKET_MESSAGES - 1)
}

/// One user's marks of one kind: a run in every bucket.
fn mark_runs(chat: &ChatKey, user: &UserId, kind: MarkKind, from: u64, to: u64) -> Vec<(RowKey, RowKey)> {
    let key = |up_to: u64| {
        let writer = KeyWriter::under(Table::Marks, chat.as_str()).number(up_to / BUCKET_MESSAGES);
        writer.text(user.as_str()).byte(kind_byte(kind)).number(up_to)
    };
    let mut runs = Vec::new();
    let mut first = from;
    while first <= to {
        let end = bucket_end(first).min(to);
        runs.extend(run(key(first), key(end).behind(), true));
        if end == u64::MAX {
            break;
        }
        first = end + 1;
    }
    runs
}

fn numbers(table: Table, under: &str, from: u64, to: u64) -> Spans {
    let key = |number| KeyWriter::under(table, under).number(number);
    Spans {
        table,
        runs: run(key(from), key(to).behind(), from <= to),
        up_to: None,
    }
}

fn all(under: impl Fn() -> KeyWriter) -> Spans {
    let first = under().finish();
    Spans {
        table: first.table(),
        runs: vec![(first, under().behind().finish())],
        up_to: None,
    }
}

fn run(first: KeyWriter, behind: KeyWriter, any: bool) -> Vec<(RowKey, RowKey)> {
    if any {
        vec![(first.finish(), behind.finish())]
    } else {
        Vec::new()
    }
}
