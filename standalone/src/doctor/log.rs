//! NATS and the log's streams.

use confab_bus::nats::{InspectedPartition, Inspection, Nats};

use super::Report;
use crate::settings::Settings;

/// What production runs: older servers work, and lack repairs of JetStream.
const RECOMMENDED: (u32, u32) = (2, 14);
/// More than this, and times of messages look wrong to people.
const SKEW_MS: u64 = 500;
/// A partition fuller than this is close to refusing clients.
const FULL_PERCENT: u64 = 70;

pub(super) async fn look(settings: &Settings, bus: &Nats, report: &mut Report) {
    match bus.inspect().await {
        Ok(about) => {
            server(&about, report);
            streams(settings, &about, report);
        }
        Err(error) => report.bad("NATS", error, "look into the server's log"),
    }
}

fn server(about: &Inspection, report: &mut Report) {
    let is = format!("server {}, version {}", about.server, about.version);
    if version(&about.version).is_some_and(|version| version >= RECOMMENDED) {
        report.good("NATS", is);
    } else {
        let (major, minor) = RECOMMENDED;
        report.weak(
            "NATS",
            is,
            format_args!("production runs {major}.{minor} or later"),
        );
    }
    match &about.jetstream {
        Ok(limits) => report.good(
            "JetStream",
            format_args!("{} streams, {} bytes", limits.streams, limits.storage),
        ),
        Err(why) => report.bad(
            "JetStream",
            why,
            "start the server with JetStream, and allow it to this account",
        ),
    }
    match about.clock_ahead {
        None => {}
        Some(ahead) if ahead.unsigned_abs() > SKEW_MS + about.clock_error => report.weak(
            "clocks",
            format_args!("NATS' differs from ours by {ahead} ms"),
            "run NTP or chrony on all machines",
        ),
        Some(_) => report.good("clocks", "NATS' and ours agree"),
    }
}

fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

fn streams(settings: &Settings, about: &Inspection, report: &mut Report) {
    let mut sound = 0;
    for partition in &about.partitions {
        sound += u32::from(stream(partition, report));
    }
    let replicas = settings.log_replicas;
    let is = format!(
        "{sound} of {} streams as configured, {replicas} replicas",
        about.partitions.len()
    );
    if replicas < 3 {
        report.weak("log", is, "log_replicas = 3, on three servers, for production");
    } else {
        report.good("log", is);
    }
}

/// Whether a partition's stream is as it must be.
fn stream(partition: &InspectedPartition, report: &mut Report) -> bool {
    let of = format!("stream {}", partition.stream);
    let found = match &partition.found {
        Ok(Some(found)) => found,
        Ok(None) => {
            report.bad(&of, "is not there", "a new installation's first gateway or worker makes it; else see \"The way back\" in docs/cluster.md");
            return false;
        }
        Err(why) => {
            report.bad(&of, why, "look into the servers' logs: has it a leader?");
            return false;
        }
    };
    for difference in &found.differences {
        report.bad(
            &of,
            difference,
            "put the setting right, or change the stream by hand",
        );
    }
    let percent = u64::try_from(found.max_bytes)
        .ok()
        .filter(|max| *max > 0)
        .map_or(0, |max| found.bytes * 100 / max);
    if percent > FULL_PERCENT {
        report.weak(
            &of,
            format_args!("{percent}% full"),
            "raise log_partition_size and the stream's max_bytes",
        );
    }
    found.differences.is_empty()
}
