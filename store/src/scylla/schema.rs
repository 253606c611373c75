//! The schema: printed, applied, checked.
//!
//! It is made by steps, and its version is the number of steps taken; `schema_version` has a row for each. A step is
//! applied whole or again: its row is written when all its statements are done, and all of them can be repeated. So two
//! that apply it at once do no harm on ScyllaDB, which orders changes of the schema, nor on one node of Cassandra. Through
//! different nodes of a Cassandra cluster at once they may make a table twice, and the cluster then has to be told which
//! one counts: apply it from one place.
//!
//! Nothing of it is at odds with ScyllaDB's tablets: no lightweight transactions, no counters, no views, no indexes, no
//! change data capture. A keyspace that is replicated by datacenter gets them wherever they are the server's default, and
//! then must not have more copies in a datacenter than that has racks.

mod replication;
mod steps;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use scylla::DeserializeRow;
use scylla::client::session::Session;
use scylla::response::query_result::QueryRowsResult;
use scylla::statement::unprepared::Statement;

use super::connect::{self, REQUEST, SCHEMA_CHANGE};
use super::tables::Table;
use super::{ConnectError, ScyllaOptions};

use steps::{STEPS, VERSIONS, in_keyspace};

pub use replication::{MalformedReplication, Replication};

/// The version that this program needs: the number of steps it knows.
pub const VERSION: u32 = 1;
const _: () = assert!(VERSION as usize == STEPS.len(), "a step is a version");

/// The partition of `schema_version` that has the steps.
const SCOPE: &str = "confab";

/// What [`apply`] has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The steps it took; none if there was nothing to do.
    pub steps: Vec<u32>,
    /// What an operator should know, each a sentence.
    pub notes: Vec<String>,
}

/// What [`check`] has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The version there is, if any.
    pub version: Option<u32>,
    /// The keyspace's replication: as in [`Replication`] where it is one of these, else as the database says it.
    pub replication: Option<String>,
    /// What has to be mended, each a sentence. None: the program can work.
    pub findings: Vec<String>,
    /// What should be known before it goes into production, each a sentence.
    pub notes: Vec<String>,
}

/// The statements that make the schema in an empty database, as an operator may run them by hand.
#[must_use]
pub fn print(keyspace: &str, replication: &Replication) -> String {
    let mut statements = vec![
        create_keyspace(keyspace, replication),
        in_keyspace(VERSIONS, keyspace),
    ];
    for (step, texts) in (1..).zip(STEPS) {
        statements.extend(texts.iter().map(|text| in_keyspace(text, keyspace)));
        statements.push(taken(keyspace, step));
    }
    statements.join(";\n\n") + ";\n"
}

fn create_keyspace(keyspace: &str, replication: &Replication) -> String {
    format!(
        "CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication = {}",
        replication.cql()
    )
}

/// Remembers that a step was taken, and by which program.
fn taken(keyspace: &str, step: u32) -> String {
    let program = env!("CARGO_PKG_VERSION");
    format!(
        "INSERT INTO {keyspace}.schema_version (scope, step, v) VALUES ('{SCOPE}', {step}, '{program}') \
         USING TIMESTAMP {step}"
    )
}

/// Makes what is missing: the keyspace, and the steps that were not taken yet. A keyspace that exists keeps its replication.
///
/// # Errors
/// Nobody answers, we are not let in, the database refuses, or the schema is of a later program.
pub async fn apply(options: &ScyllaOptions, replication: &Replication) -> Result<Applied, ConnectError> {
    let session = connect::session(options, SCHEMA_CHANGE).await?;
    let keyspace = &options.keyspace;
    change(&session, &create_keyspace(keyspace, replication)).await?;
    change(&session, &in_keyspace(VERSIONS, keyspace)).await?;
    let found = version(&session, keyspace).await?.unwrap_or(0);
    if found > VERSION {
        return Err(newer(keyspace, found));
    }
    let mut steps = Vec::new();
    for (step, texts) in (1..).zip(STEPS).skip_while(|(step, _)| *step <= found) {
        for text in *texts {
            change(&session, &in_keyspace(text, keyspace)).await?;
        }
        change(&session, &taken(keyspace, step)).await?;
        steps.push(step);
    }
    let mut notes = Vec::new();
    let stands = replication_of(&session, keyspace).await?;
    if stands
        .as_ref()
        .is_some_and(|stands| *stands != replication.to_string())
    {
        notes.push(format!(
            "keyspace {keyspace} keeps its replication, {}: changing it moves data (ALTER KEYSPACE, then a repair)",
            stands.unwrap_or_default()
        ));
    }
    Ok(Applied { steps, notes })
}

/// Looks whether the keyspace has what this program needs.
///
/// # Errors
/// Nobody answers, we are not let in, or the database refuses. What is wrong with the schema is no error but a finding.
pub async fn check(options: &ScyllaOptions) -> Result<Checked, ConnectError> {
    let session = connect::session(options, REQUEST).await?;
    let keyspace = &options.keyspace;
    let mut checked = Checked {
        version: None,
        replication: replication_of(&session, keyspace).await?,
        findings: Vec::new(),
        notes: Vec::new(),
    };
    match require(&session, keyspace).await {
        Ok(()) => checked.version = Some(VERSION),
        Err(ConnectError::NoKeyspace(name)) => {
            checked.findings.push(ConnectError::NoKeyspace(name).to_string());
            return Ok(checked);
        }
        Err(error) => {
            checked.version = match error {
                ConnectError::OlderSchema { found, .. } | ConnectError::NewerSchema { found, .. } => {
                    Some(found)
                }
                ConnectError::NoSchema(_) => None,
                other => return Err(other),
            };
            checked.findings.push(error.to_string());
        }
    }
    checked.findings.extend(missing(&session, keyspace).await?);
    let known = checked
        .replication
        .as_ref()
        .and_then(|text| text.parse::<Replication>().ok());
    checked
        .notes
        .extend(known.map(|known| known.advice()).unwrap_or_default());
    Ok(checked)
}

/// Refuses any schema but this program's own.
pub(super) async fn require(session: &Session, keyspace: &str) -> Result<(), ConnectError> {
    if replication_of(session, keyspace).await?.is_none() {
        return Err(ConnectError::NoKeyspace(keyspace.to_owned()));
    }
    match version(session, keyspace).await? {
        None => Err(ConnectError::NoSchema(keyspace.to_owned())),
        Some(found) if found < VERSION => Err(ConnectError::OlderSchema {
            keyspace: keyspace.to_owned(),
            found,
            needed: VERSION,
        }),
        Some(found) if found > VERSION => Err(newer(keyspace, found)),
        Some(_) => Ok(()),
    }
}

fn newer(keyspace: &str, found: u32) -> ConnectError {
    ConnectError::NewerSchema {
        keyspace: keyspace.to_owned(),
        found,
        known: VERSION,
    }
}

/// The last step that was taken; 0 if none was, nothing if the table of steps is missing.
pub(super) async fn version(session: &Session, keyspace: &str) -> Result<Option<u32>, ConnectError> {
    let tables = columns(session, keyspace).await?;
    if !tables.contains_key("schema_version") {
        return Ok(None);
    }
    let steps = format!("SELECT step FROM {keyspace}.schema_version WHERE scope = '{SCOPE}'");
    let steps: Vec<(i32,)> = rows(session, &steps).await?;
    let last = steps
        .into_iter()
        .filter_map(|(step,)| u32::try_from(step).ok())
        .max();
    Ok(Some(last.unwrap_or(0)))
}

/// The keyspace's replication, if there is the keyspace.
pub(super) async fn replication_of(
    session: &Session,
    keyspace: &str,
) -> Result<Option<String>, ConnectError> {
    let select =
        format!("SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = '{keyspace}'");
    let found: Vec<(BTreeMap<String, String>,)> = rows(session, &select).await?;
    Ok(found.into_iter().next().map(|(options,)| {
        let raw = format!("{options:?}");
        Replication::of(options).map_or(raw, |known| known.to_string())
    }))
}

#[derive(DeserializeRow)]
struct ColumnRow {
    table_name: String,
    column_name: String,
    #[scylla(rename = "type")]
    of: String,
}

/// The tables, with their columns and the types of these.
async fn columns(
    session: &Session,
    keyspace: &str,
) -> Result<BTreeMap<String, BTreeMap<String, String>>, ConnectError> {
    let select = format!(
        "SELECT table_name, column_name, type FROM system_schema.columns WHERE keyspace_name = '{keyspace}'"
    );
    let mut tables: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for row in rows::<ColumnRow>(session, &select).await? {
        tables
            .entry(row.table_name)
            .or_default()
            .insert(row.column_name, row.of);
    }
    Ok(tables)
}

/// Tables and columns that the statements need and the keyspace does not have, each a sentence.
async fn missing(session: &Session, keyspace: &str) -> Result<Vec<String>, ConnectError> {
    let tables = columns(session, keyspace).await?;
    let mut findings = Vec::new();
    for table in Table::ALL {
        let name = table.name();
        let Some(found) = tables.get(name) else {
            findings.push(format!("table {keyspace}.{name} is missing"));
            continue;
        };
        let key = [table.partition_columns(), table.clustering_columns()].concat();
        let needed: BTreeSet<&str> = key.into_iter().chain(["v"]).collect();
        for column in needed {
            let (is, should) = (found.get(column), Table::column_type(column));
            match is {
                None => findings.push(format!("table {keyspace}.{name} has no column {column}")),
                Some(is) if is != should => findings.push(format!(
                    "column {column} of table {keyspace}.{name} is of type {is} and should be {should}"
                )),
                Some(_) => {}
            }
        }
    }
    Ok(findings)
}

/// Runs a statement that has no answer.
async fn change(session: &Session, statement: &str) -> Result<(), ConnectError> {
    let done = session.query_unpaged(idempotent(statement), ()).await;
    done.map(|_| ()).map_err(|error| ConnectError::of_request(&error))
}

/// Reads rows that are few.
///
/// The statement has its values in its text (the keyspace's name needs no quotes, which `options` sees to). With places for them
/// the driver would prepare it first, and on Cassandra those that prepare a statement at the same time take it from each other:
/// "Prepared query not found" would then be the answer to one of several workers that start together.
pub(super) async fn rows<R>(session: &Session, select: &str) -> Result<Vec<R>, ConnectError>
where
    R: for<'r> scylla::deserialize::row::DeserializeRow<'r, 'r>,
{
    let found = session.query_unpaged(idempotent(select), ()).await;
    let found = found.map_err(|error| ConnectError::of_request(&error))?;
    let found = found.into_rows_result().map_err(|error| odd(&error))?;
    read(&found)
}

fn read<R>(found: &QueryRowsResult) -> Result<Vec<R>, ConnectError>
where
    R: for<'r> scylla::deserialize::row::DeserializeRow<'r, 'r>,
{
    let rows = found.rows::<R>().map_err(|error| odd(&error))?;
    rows.collect::<Result<_, _>>().map_err(|error| odd(&error))
}

/// An answer that no database of a kind we know gives.
fn odd(error: &dyn fmt::Display) -> ConnectError {
    ConnectError::Refused(format!(
        "it answers what this program does not understand: {error}"
    ))
}

fn idempotent(text: &str) -> Statement {
    let mut statement = Statement::new(text);
    statement.set_is_idempotent(true);
    statement
}
