//! Appending: published with the entry's id, and acknowledged by the stream. Any number are under way at once.
//!
//! An append is refused only where it is certain that it does not stand. Where it is not, it may be repeated with the same id
//! within two minutes: the stream knows it again and answers with the place of the first copy.

use std::str::FromStr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::client::{Request, RequestErrorKind};
use async_nats::header::{HeaderMap, HeaderValue, NATS_MESSAGE_ID};
use bytes::Bytes;
use confab_chat::Partition;
use confab_proto::message::{EntryBody, LogEntry};
use confab_proto::wire::Wire;
use serde::Deserialize;
use tokio::time::timeout;

use super::api::{Fault, code};
use super::core::{Core, FULL};
use crate::{AppendError, Position};

/// How long an acknowledgement is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// A client's commands are refused at this fill, so that what follows from those already taken still finds room.
const NO_MORE_COMMANDS: u32 = FULL / 5 * 4;

#[derive(Deserialize)]
struct Ack {
    #[serde(default)]
    seq: u64,
    error: Option<Fault>,
}

/// How an attempt to append ended.
enum Attempt {
    Stands(u64),
    /// No stream has this subject.
    NoSuchLog,
    Failed(AppendError),
}

fn refused(why: impl Into<String>) -> AppendError {
    AppendError::Refused(why.into())
}

impl Core {
    pub(super) async fn append(
        &self,
        partition: Partition,
        entry: &LogEntry,
    ) -> Result<Position, AppendError> {
        let part = self
            .part(partition)
            .ok_or_else(|| refused("there is no such partition"))?;
        let is_command = matches!(entry.body, EntryBody::Command(_) | EntryBody::Enroll(_));
        if is_command && part.fill.load(Ordering::Relaxed) >= NO_MORE_COMMANDS {
            // It may have emptied since.
            part.appended.store(true, Ordering::Relaxed);
            return Err(refused("the log is more than 80% full"));
        }
        part.appended.store(true, Ordering::Relaxed);
        let payload = entry.encode();
        let before = part.epoch.load(Ordering::Relaxed);
        if before != 0 {
            match self.attempt(partition, before, entry, payload.clone()).await {
                Attempt::Stands(seq) => return Ok(Position { epoch: before, seq }),
                Attempt::Failed(error) => return Err(error),
                Attempt::NoSuchLog => {}
            }
        }
        // Nothing was stored. Is there another log by now?
        let (_, epoch) = self
            .look(partition)
            .await
            .map_err(|error| refused(error.to_string()))?;
        let epoch = epoch.ok_or_else(|| refused("the partition's stream is no log"))?;
        if epoch == before {
            return Err(refused("the log takes nothing"));
        }
        match self.attempt(partition, epoch, entry, payload).await {
            Attempt::Stands(seq) => Ok(Position { epoch, seq }),
            Attempt::Failed(error) => Err(error),
            Attempt::NoSuchLog => Err(refused("the log was replaced")),
        }
    }

    async fn attempt(&self, partition: Partition, epoch: u32, entry: &LogEntry, payload: Bytes) -> Attempt {
        if !self.is_connected() {
            return Attempt::Failed(refused("there is no connection to NATS"));
        }
        let Ok(id) = HeaderValue::from_str(&entry.id.0) else {
            return Attempt::Failed(refused("the entry's id has more than one line"));
        };
        let mut headers = HeaderMap::new();
        headers.insert(NATS_MESSAGE_ID, id);
        let request = Request::new().headers(headers).payload(payload).timeout(None);
        let subject = self.subjects.log(partition, epoch);
        // The wait for its turn to be sent counts too.
        let answer = timeout(PATIENCE, self.client.send_request(subject, request));
        let Some(answer) = self.while_connected(answer).await else {
            return Attempt::Failed(AppendError::Unknown("the connection was lost".to_owned()));
        };
        match answer {
            Err(_) => Attempt::Failed(AppendError::Unknown(format!(
                "nothing was heard for {PATIENCE:?}"
            ))),
            Ok(Ok(answer)) => acknowledged(&answer.payload),
            Ok(Err(error)) => match error.kind() {
                RequestErrorKind::NoResponders => Attempt::NoSuchLog,
                RequestErrorKind::MaxPayloadExceeded | RequestErrorKind::InvalidSubject => {
                    Attempt::Failed(refused(error.to_string()))
                }
                RequestErrorKind::TimedOut | RequestErrorKind::Other => {
                    Attempt::Failed(AppendError::Unknown(error.to_string()))
                }
            },
        }
    }
}

fn acknowledged(answer: &[u8]) -> Attempt {
    let ack: Ack = match serde_json::from_slice(answer) {
        Ok(ack) => ack,
        Err(error) => return Attempt::Failed(AppendError::Unknown(error.to_string())),
    };
    match ack.error {
        None if ack.seq > 0 => Attempt::Stands(ack.seq),
        None => Attempt::Failed(AppendError::Unknown("acknowledged without a place".to_owned())),
        // The first copy is on its way through the servers: whether it will stand is not known yet.
        Some(fault) if fault.err_code == code::DUPLICATE_IN_PROCESS => {
            Attempt::Failed(AppendError::Unknown(fault.description))
        }
        Some(fault) => Attempt::Failed(refused(format!("{} ({})", fault.description, fault.err_code))),
    }
}

#[cfg(test)]
mod tests {
    use super::{AppendError, Attempt, acknowledged};

    #[test]
    fn only_what_certainly_does_not_stand_is_refused() {
        let stands = br#"{"stream":"confab-log-0","seq":7,"duplicate":true}"#;
        assert!(matches!(acknowledged(stands), Attempt::Stands(7)));
        let full = br#"{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"}}"#;
        assert!(matches!(
            acknowledged(full),
            Attempt::Failed(AppendError::Refused(_))
        ));
        for unknown in [
            &br#"{"error":{"code":409,"err_code":10158,"description":"duplicate in process"}}"#[..],
            br#"{"stream":"confab-log-0","seq":0}"#,
            b"?",
        ] {
            assert!(matches!(
                acknowledged(unknown),
                Attempt::Failed(AppendError::Unknown(_))
            ));
        }
    }
}
