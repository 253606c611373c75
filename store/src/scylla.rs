//! The CQL form: ScyllaDB, or Apache Cassandra 5.
//!
//! **A row** is one cell beside its key, written by one statement with the row's timestamp as the cell's write time, and
//! read back with it. Of two writes of a cell the database keeps the one with the later time, and at equal times the
//! larger bytes: the contract of [`Store`] is CQL's own. Nothing is deleted, there are no lightweight transactions, no
//! counters, no collections, no nulls. `tables` has the keys, [`schema`] the tables and how they are changed.
//!
//! **A state** is one partition. It is written as one batch, which is one mutation, and read whole by one statement that is
//! not paged: a replica shows all of a mutation or nothing, and what a coordinator puts together of two replicas is, cell by
//! cell, the later of two whole states. A part is never read alone (`read` says why).
//!
//! **Quorums.** Reads and writes are done by a quorum of one datacenter, so that every reader sees what was acknowledged.
//! A request that fails, or is not answered in time, is [`StoreError::Unavailable`]: nothing is repeated here
//! (`connect`). When the database comes back, so does the store, by itself (`link`).
//!
//! The server's clock has no part in any of it, but for the end of a row's life.
//!
//! **Requests.** Rows of a call whose partitions have the same replicas share one (`packing`).
//!
//! **Cost**, measured with the example `scylla_cost` on one node: 8–13 µs of our CPU a row of many written, 30–50 µs one
//! alone; 13–19 µs a row read, many at once; 45–70 µs a state of three parts written. A lone Cassandra with a synced commit
//! log, on the same two cores, takes 11,000 to 16,000 rows a second.

mod buckets;
mod cells;
mod connect;
mod error;
mod inspect;
mod link;
mod options;
mod packing;
mod read;
mod requests;
pub mod schema;
mod statements;
mod tables;
mod write;

use std::fmt;
use std::sync::Arc;

use confab_chat::ActorKey;

use crate::{Key, Range, Record, Store, StoreError, Take, Writes};

use link::Link;
use packing::Sharing;
use requests::Meters;
use statements::Statements;

pub use error::ConnectError;
pub use inspect::{Inspection, NodeState, Product};
pub use options::{CqlTls, ScyllaOptions};

/// The CQL store. Clones are the same store; its connections are closed with the last one.
#[derive(Clone)]
pub struct Scylla(Arc<Open>);

/// What an open store consists of.
struct Open {
    link: Link,
    statements: Statements,
    meters: Meters,
    sharing: Sharing,
}

impl Scylla {
    /// Connects to a database that has our tables, in the version that this program knows.
    ///
    /// # Errors
    /// Nobody answers, we are not let in, or the tables are missing or of another version.
    pub async fn connect(options: ScyllaOptions) -> Result<Self, ConnectError> {
        let link = Link::open(options).await?;
        let (session, options) = (link.session(), link.options());
        let ready = connect::within(&options.nodes, async {
            schema::require(&session, &options.keyspace).await?;
            Statements::prepare(&session, &options.keyspace).await
        });
        let statements = ready.await??;
        Ok(Self(Arc::new(Open {
            link,
            statements,
            meters: Meters::new(),
            sharing: Sharing::default(),
        })))
    }
}

impl Store for Scylla {
    async fn write(&self, rows: impl Writes) -> Result<(), StoreError> {
        self.0.write(rows.as_ref()).await
    }

    async fn write_state(&self, actor: ActorKey, parts: impl Writes) -> Result<(), StoreError> {
        self.0.write_state(&actor, parts.as_ref()).await
    }

    async fn get(&self, key: Key) -> Result<Option<Record>, StoreError> {
        self.0.get(key).await
    }

    async fn scan(&self, range: Range, take: Take) -> Result<Vec<Record>, StoreError> {
        self.0.scan(&range, take).await
    }
}

impl fmt::Debug for Scylla {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Scylla").field(&self.0.link).finish()
    }
}
