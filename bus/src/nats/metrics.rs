//! Everything that the NATS form counts, described in one place.

use confab_chat::Partition;
use metrics::{counter, describe_counter, describe_gauge, gauge};

const DROPPED: &str = "confab_bus_dropped_total";
const UNDECODABLE: &str = "confab_bus_undecodable_total";
const RECONNECTED: &str = "confab_bus_reconnects_total";
const SLOW: &str = "confab_bus_slow_consumers_total";
const ASKED_AGAIN: &str = "confab_bus_queries_asked_again_total";
const REPAIRED: &str = "confab_bus_repairs_total";
const REOPENED: &str = "confab_bus_readers_reopened_total";
const FILL: &str = "confab_bus_log_fill_ratio";
const TRIMMED: &str = "confab_bus_log_trimmed_total";

/// Why the reading of a partition is taken up again, usually.
const REASONS: [&str; 7] = [
    "the connection was lost",
    "it was silent",
    "it gave what is no entry",
    "it has a gap",
    "it went back",
    "the consumer ended",
    "the consumer is gone",
];

pub(super) fn describe() {
    describe_counter!(DROPPED, "Soft messages that were dropped, by kind");
    describe_counter!(UNDECODABLE, "Messages that could not be read, by kind");
    describe_counter!(RECONNECTED, "Times the connection to NATS was made again");
    describe_counter!(
        SLOW,
        "Times NATS had more for this process than it could take in time"
    );
    describe_counter!(
        ASKED_AGAIN,
        "Queries that another worker was asked too, since the first kept silent"
    );
    describe_counter!(
        REPAIRED,
        "Times sessions were attached again because soft messages may have been lost"
    );
    describe_counter!(
        REOPENED,
        "Times the reading of a partition was taken up again, by what made it necessary"
    );
    describe_gauge!(FILL, "How full a partition of the log is, from 0 to 1");
    describe_counter!(
        TRIMMED,
        "Entries deleted from a nearly full partition before their time"
    );
    begin_at_zero();
}

/// What was never counted is not there, and an increase from nothing is none to whoever watches.
fn begin_at_zero() {
    for name in [RECONNECTED, SLOW, ASKED_AGAIN, REPAIRED] {
        counter!(name).increment(0);
    }
    for why in REASONS {
        counter!(REOPENED, "why" => why).increment(0);
    }
    for what in ["announcement", "delivery", "signal"] {
        counter!(DROPPED, "what" => what).increment(0);
    }
    for what in ["announcement", "answer", "delivery", "entry", "query", "signal"] {
        counter!(UNDECODABLE, "what" => what).increment(0);
    }
}

/// A soft message was lost.
pub(super) fn dropped(what: &'static str) {
    counter!(DROPPED, "what" => what).increment(1);
}

/// A message could not be read.
pub(super) fn undecodable(what: &'static str) {
    counter!(UNDECODABLE, "what" => what).increment(1);
}

/// The connection was made again.
pub(super) fn reconnected() {
    counter!(RECONNECTED).increment(1);
}

/// A worker keeps silent on a query.
pub(super) fn asked_again() {
    counter!(ASKED_AGAIN).increment(1);
}

/// A subscription could not keep up.
pub(super) fn slow_consumer() {
    counter!(SLOW).increment(1);
}

/// Lost soft messages were made up for.
pub(super) fn repaired() {
    counter!(REPAIRED).increment(1);
}

/// A reader began anew where it was.
pub(super) fn reopened(why: &'static str) {
    counter!(REOPENED, "why" => why).increment(1);
}

/// How full a partition is.
pub(super) fn fill(partition: Partition, ratio: f64) {
    gauge!(FILL, "partition" => partition.0.to_string()).set(ratio);
    trimmed(partition, 0);
}

/// Entries were deleted before their time.
pub(super) fn trimmed(partition: Partition, entries: u64) {
    counter!(TRIMMED, "partition" => partition.0.to_string()).increment(entries);
}
