//! What the database says of itself, for an operator.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use scylla::client::session::Session;
use scylla::value::CqlTimestamp;

use super::schema;
use super::{ConnectError, Scylla, ScyllaOptions};
use crate::embedded::Clock;

/// The settings that matter to us, as Cassandra names them, and ScyllaDB.
///
/// - `commitlog_sync`: whether a write is on a disk when it is acknowledged (`batch`, `group`), or up to
///   `commitlog_sync_period` later.
/// - `commitlog_segment_size`: half of it bounds what one mutation may hold, so the largest state.
/// - `batch_size_fail_threshold`: bounds batches of several partitions. Ours have one, and are not held against it.
const OF_CASSANDRA: &[&str] = &[
    "commitlog_sync",
    "commitlog_sync_period",
    "commitlog_segment_size",
    "batch_size_fail_threshold",
];
const OF_SCYLLADB: &[&str] = &[
    "commitlog_sync",
    "commitlog_sync_period_in_ms",
    "commitlog_segment_size_in_mb",
    "batch_size_fail_threshold_in_kb",
];

/// Which database it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    /// ScyllaDB.
    ScyllaDb,
    /// Apache Cassandra, or another that is neither.
    Cassandra,
}

/// What the database says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// Which database it is.
    pub product: Product,
    /// Its version.
    pub release: String,
    /// The cluster's name.
    pub cluster: String,
    /// The nodes that are known.
    pub nodes: Vec<NodeState>,
    /// The keyspace.
    pub keyspace: String,
    /// Its replication, as in [`schema::Checked`].
    pub replication: Option<String>,
    /// The version of its schema.
    pub schema_version: Option<u32>,
    /// The settings that matter, as far as the server tells, as it writes them.
    pub settings: BTreeMap<String, String>,
    /// By how many milliseconds the clock of a node is ahead of ours (below 0: behind), give or take `clock_error_ms`.
    pub clock_skew_ms: i64,
    /// How far off that may be.
    pub clock_error_ms: i64,
}

/// A node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeState {
    /// Its address.
    pub address: SocketAddr,
    /// Its datacenter.
    pub datacenter: Option<String>,
    /// Its rack.
    pub rack: Option<String>,
    /// Whether there is a connection to it. To nodes of other datacenters than the preferred one, too.
    pub up: bool,
}

impl Scylla {
    /// Asks the database about itself.
    ///
    /// # Errors
    /// It does not answer, or refuses.
    pub async fn inspect(&self) -> Result<Inspection, ConnectError> {
        let session = &*self.0.link.session();
        let ScyllaOptions { keyspace, clock, .. } = self.0.link.options();
        let (product, release, cluster) = product(session).await?;
        let (clock_skew_ms, clock_error_ms) = clock_skew(session, clock).await?;
        Ok(Inspection {
            product,
            release,
            cluster,
            nodes: nodes(session),
            keyspace: keyspace.clone(),
            replication: schema::replication_of(session, keyspace).await?,
            schema_version: schema::version(session, keyspace).await?,
            settings: settings(session, product).await?,
            clock_skew_ms,
            clock_error_ms,
        })
    }
}

/// Takes the server's clock to be read in the middle between question and answer.
async fn clock_skew(session: &Session, clock: &Clock) -> Result<(i64, i64), ConnectError> {
    let (asked, before) = (Instant::now(), clock());
    let select = "SELECT toTimestamp(now()) FROM system.local WHERE key = 'local'";
    let found: Vec<(CqlTimestamp,)> = schema::rows(session, select).await?;
    let took = i64::try_from(asked.elapsed().as_millis()).unwrap_or(i64::MAX);
    let server = found.first().map_or(0, |(now,)| now.0);
    let ours = i64::try_from(before).unwrap_or(i64::MAX).saturating_add(took / 2);
    Ok((server.saturating_sub(ours), took / 2 + 1))
}

async fn product(session: &Session) -> Result<(Product, String, String), ConnectError> {
    let select = "SELECT release_version, cluster_name FROM system.local WHERE key = 'local'";
    let local: Vec<(String, String)> = schema::rows(session, select).await?;
    let (release, cluster) = local.into_iter().next().unwrap_or_default();
    // ScyllaDB gives the version of Cassandra that it is like as its release; its own is in a table only it has.
    let select = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = 'system' AND table_name = 'versions'";
    let versions: Vec<(String,)> = schema::rows(session, select).await?;
    if versions.is_empty() {
        return Ok((Product::Cassandra, release, cluster));
    }
    let select = "SELECT version FROM system.versions WHERE key = 'local'";
    let own: Vec<(String,)> = schema::rows(session, select).await?;
    let release = own.into_iter().next().map_or(release, |(version,)| version);
    Ok((Product::ScyllaDb, release, cluster))
}

fn nodes(session: &Session) -> Vec<NodeState> {
    let state = session.get_cluster_state();
    let nodes = state.get_nodes_info().iter().map(|node| NodeState {
        address: SocketAddr::new(node.address.ip(), node.address.port()),
        datacenter: node.datacenter.clone(),
        rack: node.rack.clone(),
        up: node.is_connected(),
    });
    let mut nodes: Vec<_> = nodes.collect();
    nodes.sort_by_key(|node| node.address);
    nodes
}

/// A server that does not tell its settings (it may not let us read them) has none.
async fn settings(session: &Session, product: Product) -> Result<BTreeMap<String, String>, ConnectError> {
    let (table, names) = match product {
        Product::ScyllaDb => ("system.config", OF_SCYLLADB),
        Product::Cassandra => ("system_views.settings", OF_CASSANDRA),
    };
    let select = format!("SELECT name, value FROM {table}");
    match schema::rows::<(String, Option<String>)>(session, &select).await {
        Ok(rows) => {
            let known = rows
                .into_iter()
                .filter(|(name, _)| names.contains(&name.as_str()));
            Ok(known.filter_map(|(name, value)| Some((name, value?))).collect())
        }
        Err(ConnectError::Refused(_)) => Ok(BTreeMap::new()),
        Err(error) => Err(error),
    }
}
