//! When messages were delivered and read: from the rows of marks.
//!
//! A message's mark by a user is that user's lowest row at or above it; it always stands in the message's own bucket.
//! Read implies delivered, so a message was delivered at the earlier of its two.
//!
//! Marks are written while they are read. A lower one that is missed dates the messages below it by the next one above, and
//! a first mark's time must stand: so the higher ones are always read before the lower ones.

use std::collections::BTreeMap;

use confab_chat::limits::BUCKET_MESSAGES;
use confab_chat::row::MarkKind;
use confab_chat::{ChatKey, Rejection, Timestamp, UserId};
use confab_store::{Key, Range, Record, Store, Take};

use super::concurrently;
use super::reads::{Reads, decode, internal};

/// One user's mark on one message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) delivered: Option<u64>,
    pub(super) read: Option<u64>,
}

/// The marks that some users have on the messages of a page.
#[derive(Default)]
pub(super) struct Marks(BTreeMap<(UserId, MarkKind), BTreeMap<u64, Timestamp>>);

impl Marks {
    /// Reads the marks of `users` on the messages `from` to `to`. No mark is above `last`.
    pub(super) async fn read<S: Store>(
        reads: &Reads<S>,
        chat: &ChatKey,
        users: &[UserId],
        (from, to, last): (u64, u64, u64),
    ) -> Result<Self, Rejection> {
        let mut marks = Self::default();
        marks.read_page(reads, chat, (from, to)).await?;
        let end = bucket_end(to);
        if to >= last.min(end) {
            return Ok(marks);
        }
        // Those who have marked on in one go have no row on the page: theirs is the next above it.
        let users = users.iter().flat_map(|user| {
            let kinds = [MarkKind::Delivered, MarkKind::Read];
            kinds.map(|kind| (user.clone(), kind))
        });
        let lacking = users.filter(|key| !marks.0.get(key).is_some_and(|rows| rows.contains_key(&to)));
        let next = lacking.map(|(user, kind)| {
            let range = Range::Marks {
                chat: chat.clone(),
                user,
                kind,
                from: to + 1,
                to: end,
            };
            reads.scan(range, Take::First(1))
        });
        let next = concurrently(next.collect()).await?;
        if next.iter().all(Vec::is_empty) {
            return Ok(marks);
        }
        for record in next.iter().flatten() {
            marks.add(record)?;
        }
        // Since the first look there may have come lower ones with these.
        marks.read_page(reads, chat, (from, to)).await?;
        Ok(marks)
    }

    /// Reads the marks on the messages `from` to `to`, the highest first.
    async fn read_page<S: Store>(
        &mut self,
        reads: &Reads<S>,
        chat: &ChatKey,
        (from, to): (u64, u64),
    ) -> Result<(), Rejection> {
        let range = Range::AllMarks {
            chat: chat.clone(),
            from,
            to,
        };
        for record in reads.scan(range, Take::Last(usize::MAX)).await? {
            self.add(&record)?;
        }
        Ok(())
    }

    fn add(&mut self, record: &Record) -> Result<(), Rejection> {
        let Key::Mark(_, user, kind, up_to) = &record.key else {
            return Err(internal());
        };
        let rows = self.0.entry((user.clone(), *kind)).or_default();
        rows.insert(*up_to, decode(record)?);
        Ok(())
    }

    /// Whether a user has marked anything here.
    pub(super) fn has(&self, user: &UserId) -> bool {
        let kinds = [MarkKind::Delivered, MarkKind::Read];
        kinds
            .into_iter()
            .any(|kind| self.0.contains_key(&(user.clone(), kind)))
    }

    /// A user's mark on a message.
    pub(super) fn times(&self, user: &UserId, id: u64) -> Times {
        let covering = |kind| {
            let rows = self.0.get(&(user.clone(), kind))?;
            let (_, at) = rows.range(id..=bucket_end(id)).next()?;
            Some(at.as_millis())
        };
        let (delivered, read) = (covering(MarkKind::Delivered), covering(MarkKind::Read));
        Times {
            delivered: delivered.into_iter().chain(read).min(),
            read,
        }
    }
}

fn bucket_end(id: u64) -> u64 {
    id / BUCKET_MESSAGES * BUCKET_MESSAGES + (BUCKET_MESSAGES - 1)
}
