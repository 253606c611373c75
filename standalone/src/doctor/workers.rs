//! Who works, and how it is with each partition: whether a worker owns it, and whether its log is the one that its rows
//! were made from.

use std::collections::BTreeSet;
use std::time::Duration;

use confab_bus::Bus;
use confab_bus::nats::Nats;
use confab_chat::Partition;
use confab_store::scylla::Scylla;
use confab_worker::examine;

use super::Report;
use crate::recover::alive;

/// A worker says every second that it lives.
const LISTEN: Duration = Duration::from_millis(2500);
/// Entries that nobody has applied: more than a busy second's.
const BEHIND: u64 = 10_000;

pub(super) async fn look(bus: &Nats, store: &Scylla, report: &mut Report) {
    let workers = alive(bus, LISTEN).await;
    let owned: BTreeSet<u16> = workers
        .iter()
        .flat_map(|(_, owned)| owned.iter().copied())
        .collect();
    let all = bus.partitions();
    match workers.len() {
        0 => report.bad("workers", "none is alive", "start some: confab worker"),
        count => report.good(
            "workers",
            format_args!("{count} alive, {} of {all} partitions owned", owned.len()),
        ),
    }
    let mut sound = 0;
    for number in 0..all {
        let of = format!("partition {number}");
        match examine(bus, store, Partition(number)).await {
            Err(error) => report.bad(&of, error, "let the doctor reach NATS and the database"),
            Ok(condition) => match &condition.fault {
                Some(fault) => report.bad(
                    &of,
                    format_args!("stopped: {fault}"),
                    "bring the log back, or see \"The way back from a lost log\" in docs/cluster.md",
                ),
                None if condition.behind > BEHIND => report.weak(
                    &of,
                    format_args!("{} entries are not applied", condition.behind),
                    "start more workers, or look why this one's does not go on",
                ),
                None if !workers.is_empty() && !owned.contains(&number) => {
                    report.bad(
                        &of,
                        "no worker is at work on it",
                        "look into the workers' logs for why it has stopped",
                    );
                }
                None => sound += 1,
            },
        }
    }
    report.good("partitions", format_args!("{sound} of {all} sound"));
}
