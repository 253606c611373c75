//! The database: its schema, replication, clock, and the settings that decide whether a write is safe.

use confab_store::scylla::{Scylla, schema};

use super::Report;
use crate::engines;
use crate::exit::Failure;
use crate::settings::Settings;

/// More than this, and times of messages look wrong to people.
const SKEW_MS: i64 = 500;

pub(super) async fn look_at_schema(settings: &Settings, report: &mut Report) -> Result<(), Failure> {
    let of = format!("keyspace {}", settings.cql_keyspace);
    let checked = match schema::check(&engines::cql_options(settings)?).await {
        Ok(checked) => checked,
        Err(error) => {
            report.bad(
                &of,
                error,
                "start the database, or mend the settings that begin with cql",
            );
            return Ok(());
        }
    };
    for finding in &checked.findings {
        report.bad(&of, finding, "confab schema apply; confab schema check says more");
    }
    for note in &checked.notes {
        report.weak(&of, note, "see docs/cluster.md, \"The database\"");
    }
    if checked.findings.is_empty() {
        let version = checked.version.unwrap_or_default();
        let replication = checked.replication.unwrap_or_default();
        report.good(&of, format_args!("schema {version}, replication {replication}"));
    }
    Ok(())
}

pub(super) async fn look(store: &Scylla, report: &mut Report) {
    let about = match store.inspect().await {
        Ok(about) => about,
        Err(error) => return report.bad("the database", error, "look into its log"),
    };
    report.good(
        "the database",
        format_args!("{:?} {}, cluster {}", about.product, about.release, about.cluster),
    );
    for node in about.nodes.iter().filter(|node| !node.up) {
        report.bad(
            "the database",
            format_args!("node {} is not reached", node.address),
            "start it",
        );
    }
    if about.clock_skew_ms.abs() > SKEW_MS + about.clock_error_ms {
        report.weak(
            "clocks",
            format_args!("the database's differs from ours by {} ms", about.clock_skew_ms),
            "run NTP or chrony on all machines",
        );
    } else {
        report.good("clocks", "the database's and ours agree");
    }
    let sync = about.settings.get("commitlog_sync").map(String::as_str);
    if sync == Some("periodic") {
        report.weak(
            "commitlog_sync",
            "periodic: a node that loses power loses its last writes, and replicas stand for it only if they do not lose it too",
            "commitlog_sync: batch (or group) in the database's configuration",
        );
    } else if let Some(sync) = sync {
        report.good("commitlog_sync", sync);
    }
}
