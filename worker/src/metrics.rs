//! Everything that the worker counts, described in one place.

use metrics::{
    Counter, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

const ENTRIES: &str = "confab_worker_entries_applied_total";
const SKIPPED: &str = "confab_worker_entries_skipped_total";
const PANICS: &str = "confab_worker_apply_panics_total";
const RETRIES: &str = "confab_worker_retries_total";
const BATCH: &str = "confab_worker_batch_size";
const BATCH_SECONDS: &str = "confab_worker_batch_seconds";
const AGE: &str = "confab_worker_entry_age_seconds";
const OLDEST: &str = "confab_worker_oldest_entry_seconds";
const FLUSH_SECONDS: &str = "confab_worker_flush_seconds";
const FLUSHED: &str = "confab_worker_flushed_states_total";
const QUERY_SECONDS: &str = "confab_worker_query_seconds";
const CACHED: &str = "confab_worker_cached_states";
const SESSIONS: &str = "confab_worker_attached_users";
const STOPPED: &str = "confab_worker_partitions_stopped";
const OWNED: &str = "confab_worker_partitions_owned";
const TAKEOVERS: &str = "confab_worker_takeovers_total";
const ALIVE: &str = "confab_worker_workers_alive";

/// Says what each metric means. Called once, when a worker starts.
pub(crate) fn describe() {
    describe_counter!(
        ENTRIES,
        "Log entries applied to a chat, or to each mailbox they name"
    );
    describe_counter!(
        SKIPPED,
        "Log entries passed over because the actor's state covers them already"
    );
    describe_counter!(
        PANICS,
        "Entries on which a chat panicked: each is a fault in the code, answered `internal`"
    );
    describe_counter!(
        RETRIES,
        "Writes, reads and appends that failed and were repeated, by what was tried"
    );
    describe_histogram!(BATCH, "Log entries a batch");
    describe_histogram!(
        BATCH_SECONDS,
        Unit::Seconds,
        "From taking a batch to having sent its effects"
    );
    describe_histogram!(
        AGE,
        Unit::Seconds,
        "How old the oldest entry of a batch is when the batch is taken"
    );
    describe_gauge!(
        OLDEST,
        Unit::Seconds,
        "How long the oldest entry that a partition's loop has at hand waits to be applied; 0 where none waits"
    );
    describe_histogram!(
        FLUSH_SECONDS,
        Unit::Seconds,
        "Writing the changed states and the checkpoint, with the batches in between"
    );
    describe_counter!(FLUSHED, "States written");
    describe_histogram!(QUERY_SECONDS, Unit::Seconds, "Answering a query, by kind");
    describe_gauge!(CACHED, "States in memory, by partition");
    describe_gauge!(SESSIONS, "Users with a session, by partition");
    describe_gauge!(
        STOPPED,
        "Partitions stopped with an alarm: anything above 0 needs a person"
    );
    describe_gauge!(
        OWNED,
        "Partitions that this worker is at work on: their loops have caught up with the log"
    );
    describe_counter!(
        TAKEOVERS,
        "Partitions that came to this worker after its start, from one that died, left or shares anew"
    );
    describe_gauge!(ALIVE, "Workers alive, as far as this one hears; itself is one");
    begin_at_zero();
}

/// What was never counted is not there, and an increase from nothing is none to whoever watches.
fn begin_at_zero() {
    for what in ["write", "write_state", "get", "scan", "append"] {
        counter!(RETRIES, "what" => what).increment(0);
    }
    counter!(TAKEOVERS).increment(0);
    partitions_stopped(0);
    partitions_owned(0);
}

/// What a loop counts, looked up once.
pub(crate) struct Meters {
    pub(crate) entries: Counter,
    pub(crate) skipped: Counter,
    pub(crate) panics: Counter,
    pub(crate) batch: Histogram,
    pub(crate) batch_seconds: Histogram,
    pub(crate) age: Histogram,
    pub(crate) flush_seconds: Histogram,
    pub(crate) flushed: Counter,
    pub(crate) cached: metrics::Gauge,
    pub(crate) sessions: metrics::Gauge,
}

impl Meters {
    pub(crate) fn of(partition: u16) -> Self {
        let partition = partition.to_string();
        Self {
            entries: counter!(ENTRIES),
            skipped: counter!(SKIPPED),
            panics: counter!(PANICS),
            batch: histogram!(BATCH),
            batch_seconds: histogram!(BATCH_SECONDS),
            age: histogram!(AGE),
            flush_seconds: histogram!(FLUSH_SECONDS),
            flushed: counter!(FLUSHED),
            cached: gauge!(CACHED, "partition" => partition.clone()),
            sessions: gauge!(SESSIONS, "partition" => partition),
        }
    }
}

pub(crate) fn retried(what: &'static str) {
    counter!(RETRIES, "what" => what).increment(1);
}

/// The age of a partition's oldest entry at hand, in milliseconds.
#[expect(clippy::cast_precision_loss, reason = "no age comes near 2^52 ms")]
pub(crate) fn oldest_entry(partition: u16, millis: u64) {
    gauge!(OLDEST, "partition" => partition.to_string()).set(millis as f64 / 1000.0);
}

pub(crate) fn partitions_stopped(count: usize) {
    gauge!(STOPPED).set(number(count));
}

pub(crate) fn partitions_owned(count: usize) {
    gauge!(OWNED).set(number(count));
}

pub(crate) fn taken_over() {
    counter!(TAKEOVERS).increment(1);
}

pub(crate) fn workers_alive(count: usize) {
    gauge!(ALIVE).set(number(count));
}

pub(crate) fn query_seconds(kind: &'static str) -> Histogram {
    histogram!(QUERY_SECONDS, "kind" => kind)
}

/// A count as a metric's value.
#[expect(clippy::cast_precision_loss, reason = "no count here comes near 2^52")]
pub(crate) fn number(count: usize) -> f64 {
    count as f64
}
