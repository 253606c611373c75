//! Writing. Every statement that writes is made here, and carries the timestamp of its row.

use std::pin::pin;

use confab_chat::{ActorKey, Timestamp};
use futures_util::stream::{FuturesUnordered, StreamExt};
use scylla::cluster::ClusterState;
use scylla::statement::batch::{Batch, BatchStatement, BatchType};

use super::Open;
use super::cells::{Cell, cells, number, part_bytes};
use super::error::corrupt;
use super::packing::{Insert, Parcel, Place, Replica, pack};
use super::requests::Request;
use super::tables::Table;
use crate::{Key, StoreError, Write};

/// Requests of one call that are on their way at once. Of eight rows mostly, and of 32 KB at the most: 1 MB.
const IN_FLIGHT: usize = 32;

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
    /// Writes rows. After a failure nothing more is sent, and what is on its way is waited for.
    pub(super) async fn write(&self, rows: &[Write]) -> Result<(), StoreError> {
        let mut waiting = self.parcels(rows)?.into_iter();
        let mut under_way = FuturesUnordered::new();
        for parcel in waiting.by_ref().take(IN_FLIGHT) {
            under_way.push(self.send(parcel));
        }
        let mut result = Ok(());
        while let Some(done) = under_way.next().await {
            result = result.and(done);
            if result.is_ok()
                && let Some(parcel) = waiting.next()
            {
                under_way.push(self.send(parcel));
            }
        }
        result
    }

    async fn send(&self, parcel: Parcel<'_>) -> Result<(), StoreError> {
        match <[Insert<'_>; 1]>::try_from(parcel.inserts) {
            Ok([Insert { place, values, .. }]) => {
                let insert = &self.statements.row(place.table).insert;
                let session = self.link.session();
                let write = pin!(session.execute_unpaged(insert, values));
                self.done(Request::Write, &session, write).await.map(|_| ())
            }
            Err(inserts) => {
                let inserts = inserts
                    .into_iter()
                    .map(|insert| (insert.place.table, insert.values));
                let (tables, values) = inserts.unzip();
                self.send_batch(tables, values, Request::Write).await
            }
        }
    }

    /// What goes to the database for these rows.
    fn parcels<'a>(&self, rows: &'a [Write]) -> Result<Vec<Parcel<'a>>, StoreError> {
        let inserts = self.inserts(rows)?;
        let share = inserts.len() > 1 && self.sharing.for_next_call();
        Ok(pack(inserts, share))
    }

    /// Rows as they are sent, without those that have expired.
    fn inserts<'a>(&self, rows: &'a [Write]) -> Result<Vec<Insert<'a>>, StoreError> {
        let state = self.link.session().get_cluster_state();
        let mut inserts = Vec::with_capacity(rows.len());
        for row in rows {
            let table = Table::of(&row.key);
            let mut values = written(row)?;
            if table == Table::Inbox {
                let Some(seconds) = self.life(row.expires) else {
                    continue;
                };
                values.push(Cell::Small(seconds));
            }
            inserts.push(Insert {
                place: self.place(&state, table, &values)?,
                bytes: values.iter().map(Cell::bytes).sum(),
                values,
            });
        }
        Ok(inserts)
    }

    /// The partition of a row with these values, and who keeps it.
    fn place(&self, state: &ClusterState, table: Table, values: &[Cell<'_>]) -> Result<Place, StoreError> {
        let insert = &self.statements.row(table).insert;
        let token = insert.calculate_token(&values).map_err(|error| corrupt(&error))?;
        let token = token.ok_or_else(|| StoreError::Corrupt(format!("{table:?} has no partition key")))?;
        let keyspace = &self.link.options().keyspace;
        let replicas = state.get_token_endpoints(keyspace, table.name(), token);
        let datacenter = self.link.options().datacenter.as_deref();
        let ours = replicas
            .iter()
            .filter(|(node, _)| datacenter.is_none() || node.datacenter.as_deref() == datacenter);
        let mut replicas: Vec<Replica> = ours
            .map(|(node, shard)| (node.host_id.as_u128(), *shard))
            .collect();
        // Which of them is the first by the ring does not matter: the driver asks any.
        replicas.sort_unstable();
        Ok(Place {
            replicas,
            table,
            token: token.value(),
        })
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

    /// Writes parts of a state, all at once: rows of one partition are one mutation, which a replica applies and shows whole.
    pub(super) async fn write_state(&self, actor: &ActorKey, parts: &[Write]) -> Result<(), StoreError> {
        check_state(actor, parts)?;
        if parts.is_empty() {
            return Ok(());
        }
        let values = parts.iter().map(written).collect::<Result<Vec<_>, _>>()?;
        let tables = vec![Table::State; values.len()];
        self.send_batch(tables, values, Request::WriteState).await
    }

    async fn send_batch(
        &self,
        tables: Vec<Table>,
        values: Vec<Vec<Cell<'_>>>,
        request: Request,
    ) -> Result<(), StoreError> {
        let insert = |table| BatchStatement::PreparedStatement(self.statements.row(table).insert.clone());
        let statements = tables.into_iter().map(insert).collect();
        let mut batch = Batch::new_with_statements(BatchType::Unlogged, statements);
        batch.set_is_idempotent(true);
        let session = self.link.session();
        let write = pin!(session.batch(&batch, values));
        self.done(request, &session, write).await.map(|_| ())
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
