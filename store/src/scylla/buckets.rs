//! Ranges of numbered rows: bucket after bucket, and where they end if their end is left open.

use confab_chat::limits::BUCKET_MESSAGES;
use confab_chat::row::MarkKind;
use confab_chat::{ChatKey, UserId};

use super::Open;
use super::cells::{Cell, kind_text, number};
use super::statements::{RunStatements, Statements};
use super::tables::BUCKET_EVENTS;
use crate::{Record, StoreError};

/// A range over more buckets than this is taken for one whose end is open. [`Range`](crate::Range) says what callers may
/// expect.
const MANY: u64 = 64;
/// No row has a higher number.
const LAST: u64 = i64::MAX.unsigned_abs();

/// Rows that differ in a number alone (all marks: in more than that), over buckets.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rows<'a> {
    Messages(&'a ChatKey),
    Inbox(&'a UserId),
    Marks(&'a ChatKey, &'a UserId, MarkKind),
    AllMarks(&'a ChatKey),
}

impl<'a> Rows<'a> {
    fn bucket_rows(self) -> u64 {
        match self {
            Self::Messages(_) | Self::Marks(..) | Self::AllMarks(_) => BUCKET_MESSAGES,
            Self::Inbox(_) => BUCKET_EVENTS,
        }
    }

    pub(super) fn statements(self, all: &Statements) -> &RunStatements {
        match self {
            Self::Messages(_) => &all.messages,
            Self::Inbox(_) => &all.inbox,
            Self::Marks(..) => &all.marks,
            Self::AllMarks(_) => &all.all_marks,
        }
    }

    /// The values for its statements, but for the limit.
    pub(super) fn cells(self, bucket: u64, from: u64, to: u64) -> Result<Vec<Cell<'a>>, StoreError> {
        let mut cells = Vec::with_capacity(8);
        cells.push(match self {
            Self::Messages(chat) | Self::Marks(chat, ..) | Self::AllMarks(chat) => Cell::Text(chat.as_str()),
            Self::Inbox(user) => Cell::Text(user.as_str()),
        });
        cells.push(number(bucket)?);
        if let Self::Marks(_, user, kind) = self {
            cells.extend([Cell::Text(user.as_str()), Cell::Text(kind_text(kind))]);
        }
        cells.extend([number(from)?, number(to)?]);
        Ok(cells)
    }

    /// What has rows in every bucket if anything of this has: one user's marks may begin anywhere, a chat's do not.
    fn without_gaps(self) -> Self {
        match self {
            Self::Marks(chat, ..) => Self::AllMarks(chat),
            other => other,
        }
    }
}

impl Open {
    /// The rows with `from <= number <= to`, at most so many, from either end.
    pub(super) async fn numbered(
        &self,
        rows: Rows<'_>,
        (from, to): (u64, u64),
        limit: usize,
        down: bool,
    ) -> Result<Vec<Record>, StoreError> {
        let mut records = Vec::new();
        let to = to.min(LAST);
        if from > to {
            return Ok(records);
        }
        let (first, mut last) = (from / rows.bucket_rows(), to / rows.bucket_rows());
        if last - first >= MANY {
            let Some(found) = self.last_bucket(rows.without_gaps(), first).await? else {
                return Ok(records);
            };
            last = last.min(found);
        }
        for nth in 0..=last - first {
            let bucket = if down { last - nth } else { first + nth };
            let cells = rows.cells(bucket, from, to)?;
            let left = limit - records.len();
            self.run(rows, cells, left, down, &mut records).await?;
            if records.len() >= limit {
                break;
            }
        }
        Ok(records)
    }

    /// The last bucket that has rows, of those from `first` on: in strides that double, and back by halves.
    async fn last_bucket(&self, rows: Rows<'_>, first: u64) -> Result<Option<u64>, StoreError> {
        let Some(mut full) = self.first_bucket(rows, first).await? else {
            return Ok(None);
        };
        let beyond = LAST / rows.bucket_rows() + 1;
        let mut stride = 1;
        let mut empty = beyond;
        while full + stride < beyond {
            if !self.has_rows(rows, full + stride).await? {
                empty = full + stride;
                break;
            }
            full += stride;
            stride *= 2;
        }
        while empty - full > 1 {
            let middle = full + (empty - full) / 2;
            if self.has_rows(rows, middle).await? {
                full = middle;
            } else {
                empty = middle;
            }
        }
        Ok(Some(full))
    }

    /// The first bucket that has rows. Of an inbox the earlier ones may have expired.
    async fn first_bucket(&self, rows: Rows<'_>, first: u64) -> Result<Option<u64>, StoreError> {
        let looked_at = if matches!(rows, Rows::Inbox(_)) { MANY } else { 1 };
        for bucket in first..first.saturating_add(looked_at) {
            if self.has_rows(rows, bucket).await? {
                return Ok(Some(bucket));
            }
        }
        Ok(None)
    }

    async fn has_rows(&self, rows: Rows<'_>, bucket: u64) -> Result<bool, StoreError> {
        let mut records = Vec::new();
        let cells = rows.cells(bucket, 0, LAST)?;
        self.run(rows, cells, 1, false, &mut records).await?;
        Ok(!records.is_empty())
    }
}
