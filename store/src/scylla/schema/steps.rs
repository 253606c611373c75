//! The steps by which the schema came to be what it is. A step that was released never changes; what changes the tables
//! is a further step.
//!
//! Every statement can be repeated: a step may be applied by two at once, or again after it was interrupted. `{k}`
//! stands for the keyspace.

/// The table that says which steps were taken.
pub(super) const VERSIONS: &str = "CREATE TABLE IF NOT EXISTS {k}.schema_version (
    scope text,
    step int,
    v text,
    PRIMARY KEY (scope, step)
)";

/// All steps, the first first.
pub(super) const STEPS: &[&[&str]] = &[FIRST];

/// How rows are kept and given up.
///
/// **Overwritten rows** (heads, rosters, memberships, state, cursors, users) are kept in levels: a row is then read from
/// few files. With counters for write times the database cannot tell by a file's times whether an older file still
/// matters, and would otherwise look into every file that has the row.
///
/// **Rows that are written once** (messages but for edits, client_ids, marks) are kept in tiers by size, which
/// writes them fewest times. Nearly every look into client_ids finds nothing, which a larger filter tells without reading.
///
/// **The inbox** expires row by row. Windows of time (TWCS) would drop whole files, but they go by write time, and ours are
/// counters: all rows would be of one window, that of 1970. So it is kept in tiers, and a file in which a fifth has
/// expired is written again by itself. Nothing is ever written over or deleted in it, so what has expired hides nothing, and
/// need not be kept until all replicas know (gc_grace_seconds): three hours are as long as a node's missed writes are
/// kept for it, and shorter would lose them.
const FIRST: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS {k}.messages (
    chat text,
    bucket bigint,
    id bigint,
    v blob,
    PRIMARY KEY ((chat, bucket), id)
) WITH compaction = {'class': 'SizeTieredCompactionStrategy'}",
    "CREATE TABLE IF NOT EXISTS {k}.client_ids (
    chat text,
    sender text,
    client_message_id text,
    v blob,
    PRIMARY KEY ((chat, sender, client_message_id))
) WITH compaction = {'class': 'SizeTieredCompactionStrategy'} AND bloom_filter_fp_chance = 0.001",
    "CREATE TABLE IF NOT EXISTS {k}.heads (
    chat text PRIMARY KEY,
    v blob
) WITH compaction = {'class': 'LeveledCompactionStrategy'}",
    "CREATE TABLE IF NOT EXISTS {k}.rosters (
    chat text PRIMARY KEY,
    v blob
) WITH compaction = {'class': 'LeveledCompactionStrategy'}",
    "CREATE TABLE IF NOT EXISTS {k}.marks (
    chat text,
    bucket bigint,
    user_id text,
    kind text,
    up_to bigint,
    v blob,
    PRIMARY KEY ((chat, bucket), user_id, kind, up_to)
) WITH compaction = {'class': 'SizeTieredCompactionStrategy'}",
    "CREATE TABLE IF NOT EXISTS {k}.memberships (
    user_id text,
    chat text,
    v blob,
    PRIMARY KEY (user_id, chat)
) WITH compaction = {'class': 'LeveledCompactionStrategy'}",
    "CREATE TABLE IF NOT EXISTS {k}.state (
    actor text,
    kind text,
    name text,
    v blob,
    PRIMARY KEY (actor, kind, name)
) WITH compaction = {'class': 'LeveledCompactionStrategy'}",
    "CREATE TABLE IF NOT EXISTS {k}.inbox (
    user_id text,
    bucket bigint,
    id bigint,
    v blob,
    PRIMARY KEY ((user_id, bucket), id)
) WITH compaction = {'class': 'SizeTieredCompactionStrategy', 'unchecked_tombstone_compaction': 'true'}
  AND gc_grace_seconds = 10800",
    "CREATE TABLE IF NOT EXISTS {k}.cursors (
    user_id text,
    device text,
    v blob,
    PRIMARY KEY (user_id, device)
) WITH compaction = {'class': 'LeveledCompactionStrategy'}",
    "CREATE TABLE IF NOT EXISTS {k}.users (
    user_id text PRIMARY KEY,
    v blob
) WITH compaction = {'class': 'LeveledCompactionStrategy'}",
    "CREATE TABLE IF NOT EXISTS {k}.checkpoints (
    log_partition int PRIMARY KEY,
    v blob
) WITH compaction = {'class': 'SizeTieredCompactionStrategy'}",
    "CREATE TABLE IF NOT EXISTS {k}.reach (
    log_partition int PRIMARY KEY,
    v blob
) WITH compaction = {'class': 'SizeTieredCompactionStrategy'}",
];

/// Puts the keyspace's name in.
pub(super) fn in_keyspace(statement: &str, keyspace: &str) -> String {
    statement.replace("{k}", keyspace)
}
