//! Writing. Every statement that writes is made here, and carries the timestamp of its row.

use std::collections::HashMap;

use confab_chat::limits::BUCKET_MESSAGES;
use confab_chat::{ActorKey, ChatKey, Timestamp};
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
    /// Writes rows, each by itself, but for the marks of a bucket. After a failure nothing more is sent, and what is on its
    /// way is waited for.
    pub(super) async fn write(&self, rows: &[Write]) -> Result<(), StoreError> {
        let mut waiting = mutations(rows).into_iter();
        let mut under_way = FuturesUnordered::new();
        for mutation in waiting.by_ref().take(IN_FLIGHT) {
            under_way.push(self.write_mutation(mutation));
        }
        let mut result = Ok(());
        while let Some(done) = under_way.next().await {
            result = result.and(done);
            if result.is_ok()
                && let Some(mutation) = waiting.next()
            {
                under_way.push(self.write_mutation(mutation));
            }
        }
        result
    }

    async fn write_mutation(&self, rows: Vec<&Write>) -> Result<(), StoreError> {
        match rows.as_slice() {
            [row] => self.write_row(row).await,
            rows => {
                self.write_together(Table::Marks, rows.iter().copied(), Request::Write)
                    .await
            }
        }
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

    /// Writes parts of a state, all at once.
    pub(super) async fn write_state(&self, actor: &ActorKey, parts: &[Write]) -> Result<(), StoreError> {
        check_state(actor, parts)?;
        if parts.is_empty() {
            return Ok(());
        }
        self.write_together(Table::State, parts.iter(), Request::WriteState)
            .await
    }

    /// Writes rows of one partition of a table: one batch, and so one mutation, which a replica applies and shows whole.
    async fn write_together<'a>(
        &self,
        table: Table,
        rows: impl Iterator<Item = &'a Write>,
        request: Request,
    ) -> Result<(), StoreError> {
        let values = rows.map(written).collect::<Result<Vec<_>, _>>()?;
        let insert = &self.statements.row(table).insert;
        let statements = vec![BatchStatement::PreparedStatement(insert.clone()); values.len()];
        let mut batch = Batch::new_with_statements(BatchType::Unlogged, statements);
        batch.set_is_idempotent(true);
        let session = self.link.session();
        let write = session.batch(&batch, values);
        self.done(request, &session, write).await.map(|_| ())
    }
}

/// Rows that are written at once: the marks of one bucket together, every other row alone.
fn mutations(rows: &[Write]) -> Vec<Vec<&Write>> {
    let mut mutations: Vec<Vec<&Write>> = Vec::with_capacity(rows.len());
    let mut buckets: HashMap<(&ChatKey, u64), usize> = HashMap::new();
    for row in rows {
        let Key::Mark(chat, _, _, up_to) = &row.key else {
            mutations.push(vec![row]);
            continue;
        };
        let place = *buckets
            .entry((chat, up_to / BUCKET_MESSAGES))
            .or_insert(mutations.len());
        match mutations.get_mut(place) {
            Some(mutation) => mutation.push(row),
            None => mutations.push(vec![row]),
        }
    }
    mutations
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
