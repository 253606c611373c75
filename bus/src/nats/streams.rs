//! The streams that keep the log: how one is to be, how one that stands differs from that, and making those that are missing.
//!
//! A stream that stands is never changed. Its epoch is the one thing that may differ from what a new one would have.

use std::fmt;
use std::time::Duration;

use confab_chat::Partition;
use tokio::time::{Instant, sleep};

use super::api::{Api, ApiError, Foreign, StreamConfig, StreamInfo, code, nanos};
use super::options::NatsOptions;
use super::subjects::Subjects;

/// How long the server knows an entry's id again. Whoever repeats an append gives up before that.
const KNOWN_AGAIN: Duration = Duration::from_secs(120);

/// How long the server may take to have done with a deleted stream, and how often it is tried.
const REPLACING: Duration = Duration::from_secs(20);
const BETWEEN: Duration = Duration::from_millis(200);

/// A setting in which a partition's stream is not as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The partition.
    pub partition: Partition,
    /// The name of its stream.
    pub stream: String,
    /// The setting.
    pub field: &'static str,
    /// What it is.
    pub found: String,
    /// What it should be.
    pub wanted: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the stream {} of partition {} has {} {}, and {} is configured",
            self.stream, self.partition.0, self.field, self.found, self.wanted
        )
    }
}

/// Why a stream is not there to be used.
#[derive(Debug)]
pub(super) enum StreamFault {
    Differs(Box<Difference>),
    /// The servers cannot keep so many copies.
    Replicas(String),
    /// A stream that was made just now holds entries from before.
    Leftovers,
    Api(ApiError),
}

impl From<ApiError> for StreamFault {
    fn from(error: ApiError) -> Self {
        match error.code() {
            Some(code::NO_SUITABLE_PEERS | code::REPLICAS_UNSUPPORTED) => Self::Replicas(error.to_string()),
            _ => Self::Api(error),
        }
    }
}

/// The stream that a partition's log of an epoch is to be.
pub(super) fn wanted(
    options: &NatsOptions,
    subjects: &Subjects,
    partition: Partition,
    epoch: u32,
) -> StreamConfig {
    StreamConfig {
        name: subjects.stream(partition),
        description: description(partition, options.partitions),
        subjects: vec![subjects.log(partition, epoch)],
        retention: "limits".to_owned(),
        storage: "file".to_owned(),
        discard: "new".to_owned(),
        num_replicas: options.replicas,
        max_bytes: i64::try_from(options.max_bytes).unwrap_or(i64::MAX),
        max_age: nanos(options.max_age),
        duplicate_window: nanos(KNOWN_AGAIN.min(options.max_age)),
        max_msgs: -1,
        max_msgs_per_subject: -1,
        max_msg_size: -1,
        deny_delete: true,
        foreign: Foreign::default(),
    }
}

/// The number of partitions stands here: it is part of the data, and what has no such field can be asked for it nowhere else.
fn description(partition: Partition, partitions: u16) -> String {
    format!("Confab's log, partition {} of {partitions}", partition.0)
}

/// The epoch of a stream that stands; `None` where it is no log of this partition.
pub(super) fn epoch(subjects: &Subjects, partition: Partition, config: &StreamConfig) -> Option<u32> {
    match config.subjects.as_slice() {
        [subject] => subjects.epoch(partition, subject),
        _ => None,
    }
}

/// A setting and how it reads.
type Field = (&'static str, fn(&StreamConfig) -> String);

/// What is compared.
const FIELDS: [Field; 20] = [
    ("partitions", |config| config.description.clone()),
    ("subjects", |config| config.subjects.join(" ")),
    ("retention", |config| config.retention.clone()),
    ("storage", |config| config.storage.clone()),
    ("discard", |config| config.discard.clone()),
    ("replicas", |config| config.num_replicas.to_string()),
    ("max_bytes", |config| config.max_bytes.to_string()),
    ("max_age", |config| seconds(config.max_age)),
    ("duplicate_window", |config| seconds(config.duplicate_window)),
    ("max_msgs", |config| bound(config.max_msgs)),
    ("max_msgs_per_subject", |config| {
        bound(config.max_msgs_per_subject)
    }),
    ("max_msg_size", |config| bound(config.max_msg_size)),
    ("deny_delete", |config| config.deny_delete.to_string()),
    ("deny_purge", |config| config.foreign.deny_purge.to_string()),
    ("allow_rollup_hdrs", |config| {
        config.foreign.allow_rollup_hdrs.to_string()
    }),
    ("sealed", |config| config.foreign.sealed.to_string()),
    ("no_ack", |config| config.foreign.no_ack.to_string()),
    ("allow_msg_ttl", |config| config.foreign.allow_msg_ttl.to_string()),
    ("compression", |config| {
        config
            .foreign
            .compression
            .clone()
            .unwrap_or_else(|| "none".to_owned())
    }),
    ("mirror or sources", |config| {
        (config.foreign.mirror.is_some() || config.foreign.sources.is_some()).to_string()
    }),
];

fn seconds(nanos: u64) -> String {
    format!("{} s", nanos as f64 / 1e9)
}

/// Servers differ in how they write that there is no bound.
fn bound(value: i64) -> String {
    if value > 0 {
        value.to_string()
    } else {
        "none".to_owned()
    }
}

/// In what a stream that stands is not as it is configured.
pub(super) fn differences(
    options: &NatsOptions,
    subjects: &Subjects,
    partition: Partition,
    found: &StreamConfig,
) -> Vec<Difference> {
    let epoch = epoch(subjects, partition, found).unwrap_or(1);
    let wanted = wanted(options, subjects, partition, epoch);
    let differs = FIELDS.iter().filter(|(_, read)| read(found) != read(&wanted));
    differs
        .map(|(field, read)| Difference {
            partition,
            stream: subjects.stream(partition),
            field,
            found: read(found),
            wanted: read(&wanted),
        })
        .collect()
}

/// Makes a stream that is missing. One that stands already with the same settings is as good.
///
/// A server that has not finished with deleting a stream when it is deleted once more brings its entries back in the next one
/// of that name (seen in 2.14). Such a log would be taken for a new one, and is none.
pub(super) async fn make(api: &Api, config: &StreamConfig) -> Result<StreamInfo, StreamFault> {
    let made = api.create(config).await?;
    if made.state.last_seq > 0 && made.state.first_ts < made.created {
        return Err(StreamFault::Leftovers);
    }
    Ok(made)
}

/// Finds a partition's stream, or makes it with epoch 1, and gives it as it stands, which is as it is configured.
pub(super) async fn ensure(
    api: &Api,
    options: &NatsOptions,
    subjects: &Subjects,
    partition: Partition,
) -> Result<StreamInfo, StreamFault> {
    let stream = subjects.stream(partition);
    let found = match api.stream(&stream).await {
        Err(error) if error.code() == Some(code::STREAM_NOT_FOUND) => {
            match make(api, &wanted(options, subjects, partition, 1)).await {
                // Somebody else was faster, and wants it otherwise.
                Err(StreamFault::Api(error)) if error.code() == Some(code::STREAM_EXISTS) => {
                    api.stream(&stream).await?
                }
                made => made?,
            }
        }
        found => found?,
    };
    let differences = differences(options, subjects, partition, &found.config);
    match differences.into_iter().next() {
        Some(difference) => Err(StreamFault::Differs(Box::new(difference))),
        None => Ok(found),
    }
}

/// Replaces whatever a partition's stream is by an empty one of an epoch.
pub(super) async fn replace(
    api: &Api,
    options: &NatsOptions,
    subjects: &Subjects,
    partition: Partition,
    epoch: u32,
) -> Result<(), StreamFault> {
    let wanted = wanted(options, subjects, partition, epoch);
    let deadline = Instant::now() + REPLACING;
    loop {
        match api.delete(&wanted.name).await {
            Err(error) if error.code() != Some(code::STREAM_NOT_FOUND) => return Err(error.into()),
            _ => {}
        }
        match make(api, &wanted).await {
            Err(StreamFault::Leftovers) if Instant::now() < deadline => sleep(BETWEEN).await,
            made => return made.map(|_| ()),
        }
    }
}
