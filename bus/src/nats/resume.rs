//! Finding a position in a partition's stream, and finding it again: only in the same stream, and only without a hole.

use std::sync::Arc;
use std::time::Duration;

use async_nats::datetime::DateTime;
use confab_chat::{EntryId, Partition};
use tokio::time::{Instant, sleep, timeout_at};

use super::api::{ApiError, StreamInfo, code};
use super::core::Core;
use super::feed::Feed;
use crate::{Position, ReadError};

/// How long a connection, or a server that keeps the stream, is waited for before reading ends.
const PATIENCE: Duration = Duration::from_secs(8);
/// The wait between two attempts.
const BETWEEN: Duration = Duration::from_millis(100);

/// What a reader knows of its log.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) partition: Partition,
    pub(super) epoch: u32,
    /// When the stream was made.
    created: Option<DateTime>,
    /// The sequence to read next.
    pub(super) next: u64,
    /// The id of the entry before that, if this reader has read it.
    pub(super) last: Option<EntryId>,
}

impl Known {
    /// Looks for a position in the stream as it stands; and says where that ends.
    pub(super) async fn find(
        core: &Core,
        partition: Partition,
        after: Position,
    ) -> Result<(Self, Position), ReadError> {
        let mut known = Self {
            partition,
            epoch: after.epoch,
            created: None,
            next: after.seq + 1,
            last: None,
        };
        let (info, epoch) = known.look(core).await?;
        if after.epoch > epoch {
            return Err(known.hole(format!("epoch {epoch}, not {}", after.epoch)));
        }
        if after.epoch != 0 && after.epoch < epoch {
            // The log of that epoch was given up by hand: the new one is read from its beginning.
            known.next = 1;
        }
        known.epoch = epoch;
        known.created = Some(info.created);
        known.check(&info)?;
        let end = Position {
            epoch,
            seq: info.state.last_seq,
        };
        Ok((known, end))
    }

    /// The stream as it stands.
    async fn look(&self, core: &Core) -> Result<(StreamInfo, u32), ReadError> {
        if !core.is_connected() {
            return Err(ReadError::Closed("there is no connection to NATS".to_owned()));
        }
        match core.look(self.partition).await {
            Ok((info, Some(epoch))) => Ok((info, epoch)),
            Ok((info, None)) => {
                let subjects = info.config.subjects.join(" ");
                Err(self.hole(format!("only a stream of {subjects}")))
            }
            Err(error) if error.code() == Some(code::STREAM_NOT_FOUND) => {
                Err(self.hole("no stream at all".to_owned()))
            }
            Err(error) => Err(ReadError::Closed(error.to_string())),
        }
    }

    /// Whether the stream has all that is to be read, and reaches as far as was read.
    fn check(&self, info: &StreamInfo) -> Result<(), ReadError> {
        let state = &info.state;
        if state.last_seq + 1 < self.next {
            return Err(self.hole(format!("nothing after {}", state.last_seq)));
        }
        if state.first_seq > self.next {
            return Err(self.hole(format!("only entries from {} on", state.first_seq)));
        }
        Ok(())
    }

    /// Begins a feed at this place, if it is still the same log.
    async fn feed(&self, core: &Core) -> Result<Feed, ReadError> {
        let (info, epoch) = self.look(core).await?;
        if epoch != self.epoch || Some(info.created) != self.created {
            return Err(self.hole(format!(
                "epoch {epoch} of a stream made at {}: it is another log",
                info.created
            )));
        }
        self.check(&info)?;
        // With the last entry again, if it is still there: it must be the same.
        let again = self.last.is_some() && info.state.first_seq < self.next;
        let start = self.next - u64::from(again);
        let feed = Feed::open(core, self.partition, start).await;
        feed.map_err(|error| match error {
            // It has just been there.
            ApiError::Refused {
                code: code::STREAM_NOT_FOUND,
                ..
            } => self.hole("no stream at all".to_owned()),
            error => ReadError::Closed(error.to_string()),
        })
    }

    /// The next entry is missing.
    pub(super) fn hole(&self, found: String) -> ReadError {
        ReadError::Hole {
            partition: self.partition,
            expected: self.next,
            found,
        }
    }
}

/// Begins a feed at a place once that can be reached, within reason.
pub(super) async fn resume(core: Arc<Core>, known: Known, at_once: bool) -> Result<Feed, ReadError> {
    let deadline = Instant::now() + PATIENCE;
    if !at_once {
        sleep(BETWEEN).await;
    }
    loop {
        let error = match timeout_at(deadline, known.feed(&core)).await {
            Ok(Ok(feed)) => return Ok(feed),
            Ok(Err(hole @ ReadError::Hole { .. })) => return Err(hole),
            Ok(Err(error)) => error,
            Err(_) => ReadError::Closed("JetStream does not answer".to_owned()),
        };
        if Instant::now() + BETWEEN >= deadline || core.link.state().closed {
            return Err(error);
        }
        sleep(BETWEEN).await;
    }
}
