//! The few requests of the JetStream API that the log needs, in the form that nats-server 2.9 and later understand.

use std::time::Duration;

use async_nats::client::{Request, RequestErrorKind};
use async_nats::datetime::{DateTime, parse_rfc3339};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::subjects::api as subjects;

/// How long the servers may take to change something that they must agree on.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long they may take for anything else. While they elect a leader they answer nobody, and never will: it is asked again.
const SHORTLY: Duration = Duration::from_secs(1);

/// Codes by which JetStream names its errors.
pub(super) mod code {
    pub(in super::super) const NO_SUITABLE_PEERS: u64 = 10005;
    pub(in super::super) const STREAM_NOT_FOUND: u64 = 10059;
    pub(in super::super) const STREAM_EXISTS: u64 = 10058;
    pub(in super::super) const REPLICAS_UNSUPPORTED: u64 = 10074;
    pub(in super::super) const NOT_ENABLED: u64 = 10076;
    pub(in super::super) const NOT_ENABLED_FOR_ACCOUNT: u64 = 10039;
    pub(in super::super) const DUPLICATE_IN_PROCESS: u64 = 10158;
}

/// Why a request of the JetStream API failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ApiError {
    /// The server said no.
    #[error("{description} ({code})")]
    Refused { code: u64, description: String },
    /// Nobody answers for JetStream.
    #[error("JetStream does not answer")]
    NoJetStream,
    /// The request may have been lost, or its answer.
    #[error("{0}")]
    OutOfReach(String),
}

impl ApiError {
    pub(super) fn code(&self) -> Option<u64> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }
}

/// An error as JetStream writes it.
#[derive(Debug, Deserialize)]
pub(super) struct Fault {
    #[serde(default)]
    pub(super) err_code: u64,
    #[serde(default)]
    pub(super) description: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Response<V> {
    Error { error: Fault },
    Ok(V),
}

/// The settings of a stream, as it is asked for and as it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct StreamConfig {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) subjects: Vec<String>,
    pub(super) retention: String,
    pub(super) storage: String,
    pub(super) discard: String,
    pub(super) num_replicas: usize,
    pub(super) max_bytes: i64,
    /// Nanoseconds.
    pub(super) max_age: u64,
    /// Nanoseconds.
    pub(super) duplicate_window: u64,
    pub(super) max_msgs: i64,
    pub(super) max_msgs_per_subject: i64,
    pub(super) max_msg_size: i64,
    pub(super) deny_delete: bool,
    /// Never asked for: what would break the log if somebody else had.
    #[serde(flatten, skip_serializing)]
    pub(super) foreign: Foreign,
}

/// A stream as it stands.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct StreamInfo {
    pub(super) config: StreamConfig,
    /// When it was made: another time is another stream.
    #[serde(with = "rfc3339")]
    pub(super) created: DateTime,
    pub(super) state: StreamState,
    pub(super) cluster: Option<ClusterInfo>,
}

/// Settings that a log must not have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Foreign {
    pub(super) deny_purge: bool,
    pub(super) allow_rollup_hdrs: bool,
    pub(super) sealed: bool,
    pub(super) no_ack: bool,
    pub(super) allow_msg_ttl: bool,
    pub(super) compression: Option<String>,
    pub(super) mirror: Option<serde_json::Value>,
    pub(super) sources: Option<serde_json::Value>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct StreamState {
    pub(super) bytes: u64,
    pub(super) first_seq: u64,
    pub(super) last_seq: u64,
    #[serde(with = "rfc3339")]
    pub(super) first_ts: DateTime,
    #[serde(with = "rfc3339")]
    pub(super) last_ts: DateTime,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct ClusterInfo {
    pub(super) leader: Option<String>,
}

/// What an account may use of JetStream, and does.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Account {
    pub(super) storage: u64,
    pub(super) streams: u64,
    pub(super) limits: Limits,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Limits {
    pub(super) max_storage: i64,
    pub(super) max_streams: i64,
}

/// A consumer for one reader: kept in memory, acknowledges nothing, asked for entries, forgotten when nobody asks.
#[derive(Serialize)]
struct ConsumerConfig {
    deliver_policy: &'static str,
    opt_start_seq: u64,
    ack_policy: &'static str,
    replay_policy: &'static str,
    max_deliver: i64,
    inactive_threshold: u64,
    num_replicas: usize,
    mem_storage: bool,
}

#[derive(Serialize)]
struct CreateConsumer<'a> {
    stream_name: &'a str,
    config: ConsumerConfig,
}

/// A consumer that was made.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct ConsumerInfo {
    pub(super) name: String,
    /// By the server's clock.
    #[serde(with = "rfc3339")]
    pub(super) created: DateTime,
}

#[derive(Deserialize)]
struct Done {
    #[serde(default)]
    purged: u64,
}

#[derive(Deserialize)]
struct FoundMessage {
    message: StoredMessage,
}

#[derive(Deserialize)]
struct StoredMessage {
    #[serde(with = "rfc3339")]
    time: DateTime,
}

mod rfc3339 {
    use super::{DateTime, parse_rfc3339};
    use serde::{Deserialize, Deserializer, de::Error};

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<DateTime, D::Error> {
        let text = String::deserialize(from)?;
        parse_rfc3339(&text).map_err(D::Error::custom)
    }
}

/// The JetStream API through a connection.
#[derive(Clone, Debug)]
pub(super) struct Api(pub(super) async_nats::Client);

impl Api {
    pub(super) async fn account(&self) -> Result<Account, ApiError> {
        self.send(subjects::ACCOUNT.to_owned(), Bytes::new(), PATIENCE)
            .await
    }

    pub(super) async fn stream(&self, stream: &str) -> Result<StreamInfo, ApiError> {
        self.send(subjects::info(stream), Bytes::new(), SHORTLY).await
    }

    /// Makes a stream. One that stands already with the same settings is as good.
    pub(super) async fn create(&self, config: &StreamConfig) -> Result<StreamInfo, ApiError> {
        self.send(subjects::create(&config.name), json(config)?, PATIENCE)
            .await
    }

    pub(super) async fn delete(&self, stream: &str) -> Result<(), ApiError> {
        let Done { .. } = self
            .send(subjects::delete(stream), Bytes::new(), PATIENCE)
            .await?;
        Ok(())
    }

    /// Deletes all entries before a sequence, and says how many.
    pub(super) async fn purge_before(&self, stream: &str, seq: u64) -> Result<u64, ApiError> {
        let what = serde_json::json!({ "seq": seq });
        let done: Done = self.send(subjects::purge(stream), json(&what)?, PATIENCE).await?;
        Ok(done.purged)
    }

    /// When the stream took an entry.
    pub(super) async fn time_of(&self, stream: &str, seq: u64) -> Result<DateTime, ApiError> {
        let what = serde_json::json!({ "seq": seq });
        let found: FoundMessage = self
            .send(subjects::message(stream), json(&what)?, SHORTLY)
            .await?;
        Ok(found.message.time)
    }

    /// Makes a consumer that begins at a sequence, and that the server forgets when it was not asked for so long.
    pub(super) async fn consumer(
        &self,
        stream: &str,
        start: u64,
        forget: Duration,
    ) -> Result<ConsumerInfo, ApiError> {
        let config = ConsumerConfig {
            deliver_policy: "by_start_sequence",
            opt_start_seq: start,
            ack_policy: "none",
            replay_policy: "instant",
            max_deliver: -1,
            inactive_threshold: nanos(forget),
            num_replicas: 1,
            mem_storage: true,
        };
        let what = CreateConsumer {
            stream_name: stream,
            config,
        };
        self.send(subjects::create_consumer(stream), json(&what)?, SHORTLY)
            .await
    }

    async fn send<V: DeserializeOwned>(
        &self,
        subject: String,
        body: Bytes,
        patience: Duration,
    ) -> Result<V, ApiError> {
        let lost = |error: &dyn std::fmt::Display| ApiError::OutOfReach(error.to_string());
        let request = Request::new().payload(body).timeout(None);
        let answer = timeout(patience, self.0.send_request(subject, request)).await;
        let answer =
            answer.map_err(|_| ApiError::OutOfReach(format!("JetStream was silent for {patience:?}")))?;
        let answer = answer.map_err(|error| match error.kind() {
            RequestErrorKind::NoResponders => ApiError::NoJetStream,
            _ => lost(&error),
        })?;
        match serde_json::from_slice(&answer.payload).map_err(|error| lost(&error))? {
            Response::Ok(value) => Ok(value),
            Response::Error { error } => Err(ApiError::Refused {
                code: error.err_code,
                description: error.description,
            }),
        }
    }
}

fn json(what: &impl Serialize) -> Result<Bytes, ApiError> {
    let json = serde_json::to_vec(what);
    json.map(Bytes::from)
        .map_err(|error| ApiError::OutOfReach(error.to_string()))
}

/// A duration as JetStream writes it.
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
