//! Looking at a deployment from the inside, and giving up a lost log by hand.

use async_nats::ServerInfo;
use confab_chat::{Partition, Timestamp};

use super::api::code;
use super::connect::{self, ConnectError};
use super::core::Core;
use super::feed::FORGET;
use super::streams::{self, Difference};

/// What NATS looks like from this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// The name of the server this process is connected to.
    pub server: String,
    /// Its version.
    pub version: String,
    /// The largest message it takes, in bytes.
    pub max_payload: usize,
    /// JetStream, where there is one.
    pub jetstream: Result<JetStreamLimits, String>,
    /// How far this process's clock is ahead of the server's, in milliseconds, within `clock_error`. `None` where no stream
    /// exists to ask through.
    pub clock_ahead: Option<i64>,
    /// By how much `clock_ahead` may be wrong: half of what the question took, in milliseconds.
    pub clock_error: u64,
    /// Each partition's stream.
    pub partitions: Vec<InspectedPartition>,
}

/// What an account may use of JetStream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JetStreamLimits {
    /// Bytes on disk in use.
    pub storage: u64,
    /// Most bytes on disk; `None` for no limit.
    pub max_storage: Option<u64>,
    /// Streams in use.
    pub streams: u64,
    /// Most streams; `None` for no limit.
    pub max_streams: Option<u64>,
}

/// A partition's stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InspectedPartition {
    /// Which partition.
    pub partition: Partition,
    /// The name of its stream.
    pub stream: String,
    /// How it stands; `None` where it does not exist; an error where that cannot be told.
    pub found: Result<Option<InspectedStream>, String>,
}

/// A stream as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InspectedStream {
    /// The epoch of the log; `None` where its subject is none of Confab's.
    pub epoch: Option<u32>,
    /// The first entry that is kept.
    pub first_seq: u64,
    /// The last entry.
    pub last_seq: u64,
    /// Its size.
    pub bytes: u64,
    /// What it may grow to; below 0 for no limit.
    pub max_bytes: i64,
    /// On how many servers it is kept.
    pub replicas: usize,
    /// The server that leads it; `None` where there is no cluster, or no leader.
    pub leader: Option<String>,
    /// In what it differs from what is configured.
    pub differences: Vec<Difference>,
}

pub(super) async fn inspect(core: &Core) -> Result<Inspection, ConnectError> {
    if !core.is_connected() {
        return Err(ConnectError::Unreachable {
            servers: core.options.places(),
            why: "the connection is lost".to_owned(),
        });
    }
    let ServerInfo {
        server_name, version, ..
    } = core.client.server_info();
    let account = core.api.account().await;
    let limit = |limit: i64| u64::try_from(limit).ok();
    let jetstream = account.map(|account| JetStreamLimits {
        storage: account.storage,
        max_storage: limit(account.limits.max_storage),
        streams: account.streams,
        max_streams: limit(account.limits.max_streams),
    });
    let mut partitions = Vec::new();
    for (partition, _) in core.partitions() {
        partitions.push(partition_of(core, partition).await);
    }
    let there = partitions.iter().find(|found| matches!(found.found, Ok(Some(_))));
    let skew = match there {
        Some(found) => skew(core, &found.stream).await,
        None => None,
    };
    Ok(Inspection {
        server: server_name,
        version,
        max_payload: core.client.max_payload(),
        jetstream: jetstream.map_err(|error| error.to_string()),
        clock_ahead: skew.map(|(ahead, _)| ahead),
        clock_error: skew.map_or(0, |(_, error)| error),
        partitions,
    })
}

async fn partition_of(core: &Core, partition: Partition) -> InspectedPartition {
    let found = match core.look(partition).await {
        Ok((info, epoch)) => Ok(Some(InspectedStream {
            epoch,
            first_seq: info.state.first_seq,
            last_seq: info.state.last_seq,
            bytes: info.state.bytes,
            max_bytes: info.config.max_bytes,
            replicas: info.config.num_replicas,
            leader: info.cluster.and_then(|cluster| cluster.leader),
            differences: streams::differences(&core.options, &core.subjects, partition, &info.config),
        })),
        Err(error) if error.code() == Some(code::STREAM_NOT_FOUND) => Ok(None),
        Err(error) => Err(error.to_string()),
    };
    InspectedPartition {
        partition,
        stream: core.subjects.stream(partition),
        found,
    }
}

/// How far this process's clock is ahead, and by how much that may be wrong. Every server dates what it makes, and a consumer
/// is made and forgotten again without a trace in the log.
async fn skew(core: &Core, stream: &str) -> Option<(i64, u64)> {
    let clock = || Timestamp((core.options.clock)()).0;
    let asked = clock();
    let made = core.api.consumer(stream, 1, FORGET).await.ok()?;
    let answered = clock();
    let theirs = i64::try_from(made.created.unix_timestamp_nanos() / 1_000_000).ok()?;
    let ours = i64::try_from(asked + answered.saturating_sub(asked) / 2).ok()?;
    Some((ours - theirs, answered.saturating_sub(asked).div_ceil(2)))
}

/// Replaces a partition's log by an empty one of a higher epoch. Does nothing if it has that epoch already.
pub(super) async fn raise_epoch(core: &Core, partition: Partition, epoch: u32) -> Result<(), ConnectError> {
    if core.part(partition).is_none() || epoch == 0 {
        let why = format!("there is no partition {} with epoch {epoch}", partition.0);
        return Err(ConnectError::Settings(why));
    }
    let (api, options) = (&core.api, &core.options);
    let what = format!("replace the stream {}", core.subjects.stream(partition));
    let failed = |fault| connect::of_stream(api, options, &what, fault);
    match core.look(partition).await {
        Ok((_, Some(found))) if found == epoch => return Ok(()),
        Ok((_, Some(found))) if found > epoch => {
            let why = format!("its epoch is {found} already, which is above {epoch}");
            return Err(ConnectError::JetStream { what, why });
        }
        Ok(_) => {}
        Err(error) if error.code() == Some(code::STREAM_NOT_FOUND) => {}
        Err(error) => return Err(failed(error.into())),
    }
    let replaced = streams::replace(api, options, &core.subjects, partition, epoch).await;
    replaced.map_err(failed)?;
    core.look(partition).await.map_err(|error| failed(error.into()))?;
    tracing::warn!(
        partition = partition.0,
        epoch,
        "a partition's log was replaced by an empty one"
    );
    Ok(())
}
