//! Writing. Every statement that writes is made here, and carries the timestamp of its row.

use confab_chat::{ActorKey, Timestamp};
use futures_util::stream::{FuturesUnordered, StreamExt};
use scylla::statement::batch::{Batch, BatchStatement, BatchType};

use super::Open;
use super::cells::{Cell, cells, number, part_bytes};
use super::requests::Request;
use super::tables::Table;
use crate::{Key, StoreError, Write};

/// Rows of one call that are on their way at once.
const IN_FLIGHT: usize = 128;

/// The largest state that is written at once. A database takes a batch only if it fits into half a segment of its
/// commit log (Cassandra: 16 MB by default; ScyllaDB: 32 MB), and into a frame (16 MB). A chat of
/// [`MEMBERS`](confab_chat::limits::MEMBERS) members with the longest ids has 300 KB.
///
/// The bounds that databases set on the size of batches (Cassandra's `batch_size_fail_threshold` is 50 KB by default) are
/// for batches of several partitions: one of a single partition is one mutation, and is not held against them.
const STATE_BYTES: usize = 6 << 20;
/// And the most parts: a frame counts them in 16 bits.
const STATE_PARTS: usize = u16::MAX as usize;
/// What the database adds to a part.
const PART_BYTES: usize = 32;

/// A row that lives longer than this counts as one that stays: Cassandra refuses a time to live that ends after 2038.
const LONGEST_LIFE_SECONDS: u64 = 5 * 365 * 86_400;

impl Open {
    /// Writes rows, each by itself. After a failure nothing more is sent, and what is on its way is waited for.
    pub(super) async fn write(&self, rows: &[Write]) -> Result<(), StoreError> {
        let mut waiting = rows.iter();
        let mut under_way = FuturesUnordered::new();
        for row in waiting.by_ref().take(IN_FLIGHT) {
            under_way.push(self.write_row(row));
        }
        let mut result = Ok(());
        while let Some(done) = under_way.next().await {
            result = result.and(done);
            if result.is_ok()
                && let Some(row) = waiting.next()
            {
                under_way.push(self.write_row(row));
            }
        }
        result
    }

    async fn write_row(&self, row: &Write) -> Result<(), StoreError> {
        let mut cells = written(row)?;
        let table = Table::of(&row.key);
        if table == Table::Inbox {
            let Some(seconds) = self.life(row.expires) else {
                return Ok(());
            };
            cells.push(Cell::Small(seconds));
        }
        let insert = &self.statements.row(table).insert;
        let session = self.link.session();
        let write = session.execute_unpaged(insert, cells);
        self.done(Request::Write, &session, write).await.map(|_| ())
    }

    /// For how many seconds a row has to live, 0 for ever; none where it has expired.
    fn life(&self, expires: Option<Timestamp>) -> Option<i32> {
        let Some(expires) = expires else {
            return Some(0);
        };
        let left = expires.0.saturating_sub((self.link.options().clock)());
        if left == 0 {
            return None;
        }
        // The database counts whole seconds, from the beginning of the present one: a row is never gone too early.
        let seconds = left.div_ceil(1000) + 1;
        if seconds > LONGEST_LIFE_SECONDS {
            return Some(0);
        }
        i32::try_from(seconds).ok()
    }

    /// Writes parts of a state: one batch, of one partition of one table, and so one mutation, which a replica applies and
    /// shows whole.
    pub(super) async fn write_state(&self, actor: &ActorKey, parts: &[Write]) -> Result<(), StoreError> {
        check_state(actor, parts)?;
        if parts.is_empty() {
            return Ok(());
        }
        let insert = &self.statements.row(Table::State).insert;
        let statements = vec![BatchStatement::PreparedStatement(insert.clone()); parts.len()];
        let mut batch = Batch::new_with_statements(BatchType::Unlogged, statements);
        batch.set_is_idempotent(true);
        let values = parts.iter().map(written).collect::<Result<Vec<_>, _>>()?;
        let session = self.link.session();
        let write = session.batch(&batch, values);
        let written = self.done(Request::WriteState, &session, write).await;
        written.map(|_| ())
    }
}

/// The values of a row's columns, and its timestamp.
fn written(row: &Write) -> Result<Vec<Cell<'_>>, StoreError> {
    let mut cells = cells(&row.key)?;
    cells.push(Cell::Blob(&row.value));
    cells.push(number(row.timestamp)?);
    Ok(cells)
}

/// A state that cannot be written at once must not be written at all.
fn check_state(actor: &ActorKey, parts: &[Write]) -> Result<(), StoreError> {
    let mut bytes = 0;
    for part in parts {
        bytes += match &part.key {
            Key::State(of, name) if of == actor => part_bytes(name) + part.value.len() + PART_BYTES,
            key => {
                let why = format!("{key:?} is no part of the state of {actor}");
                return Err(StoreError::Corrupt(why));
            }
        };
    }
    if bytes > STATE_BYTES || parts.len() > STATE_PARTS {
        return Err(StoreError::Corrupt(format!(
            "{} parts of the state of {actor}, {bytes} bytes, are too much to be written at once",
            parts.len()
        )));
    }
    Ok(())
}
