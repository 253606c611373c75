//! A partition's reader: the log in order and without holes, whatever happens to the connection, and the signals.
//!
//! The entries come from a [`Feed`], and its word is not taken for anything: the next sequence must come next. Where
//! another comes, or none for too long, or the connection was made anew, the stream is looked at again and a new feed
//! begins with the entry read last, which must be there with the same id: only then is it still the same log. What is
//! really missing is a hole, and a hole is final.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use async_nats::Message;
use confab_chat::{EntryId, Partition, Timestamp};
use confab_proto::message::{LogEntry, Logged, Signal};
use confab_proto::wire::Wire;
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::{Sleep, sleep};

use super::core::Core;
use super::feed::{Feed, SILENCE};
use super::link::State;
use super::metrics;
use super::resume::{Known, resume};
use super::signals::Signals;
use super::subjects::Stamp;
use crate::{Input, PartitionReader, Position, ReadError};

/// So many feeds in a row must leave an entry out before it is believed to be missing, though the stream says it is there.
const GAPS: u32 = 3;

/// Reads a partition of the log on NATS. There may be several of one partition, anywhere: each reads all of it.
#[derive(Debug)]
pub struct NatsReader {
    log: LogReader,
    signals: Signals,
    end_at_open: Position,
}

impl NatsReader {
    pub(super) async fn open(
        core: Arc<Core>,
        partition: Partition,
        after: Position,
    ) -> Result<Self, ReadError> {
        if core.part(partition).is_none() {
            return Err(ReadError::Closed(format!(
                "there is no partition {}",
                partition.0
            )));
        }
        // First, so that it stands once the consumer does: the server takes one after the other.
        let signals = Signals::open(&core, partition).await?;
        let (log, end_at_open) = LogReader::open(core, partition, after).await?;
        Ok(Self {
            log,
            signals,
            end_at_open,
        })
    }
}

impl PartitionReader for NatsReader {
    async fn next(&mut self, max: usize) -> Result<Vec<Logged>, ReadError> {
        self.log.next(max.max(1)).await
    }

    async fn signals(&mut self) -> Vec<Signal> {
        self.signals.next().await
    }

    async fn input(&mut self, max: usize) -> Result<Input, ReadError> {
        let Self { log, signals, .. } = self;
        tokio::select! {
            biased;
            entries = log.next(max.max(1)) => Ok(Input {
                entries: entries?,
                signals: signals.waiting(),
            }),
            signals = signals.next() => Ok(Input {
                entries: Vec::new(),
                signals,
            }),
        }
    }

    fn end_at_open(&self) -> Position {
        self.end_at_open
    }
}

/// Where entries come from at present.
enum Source {
    Open(Feed),
    Opening(BoxFuture<'static, Result<Feed, ReadError>>),
    Ended(ReadError),
}

/// The log, entry after entry.
struct LogReader {
    core: Arc<Core>,
    place: Place,
    source: Source,
    link: watch::Receiver<State>,
    quiet: Pin<Box<Sleep>>,
    _counted: Counted,
}

impl std::fmt::Debug for LogReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogReader")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

/// A reader counts as one while it lives.
struct Counted(Arc<Core>, Partition);

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(part) = self.0.part(self.1) {
            part.readers.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// How far a reader is.
#[derive(Debug)]
struct Place {
    known: Known,
    /// What every entry of this log is published to.
    subject: String,
    /// How many feeds have failed since the last entry.
    failed: u32,
    /// How many of them left the next entry out. One alone may have lost it on the way.
    gaps: u32,
    /// What is wrong with the feed, to be dealt with before it is read on.
    trouble: Option<Trouble>,
}

/// Why a feed cannot be read on.
#[derive(Debug)]
enum Trouble {
    /// Perhaps another can.
    Feed(&'static str),
    Hole(String),
}

impl LogReader {
    async fn open(
        core: Arc<Core>,
        partition: Partition,
        after: Position,
    ) -> Result<(Self, Position), ReadError> {
        let (known, end) = Known::find(&core, partition, after).await?;
        if let Some(part) = core.part(partition) {
            part.readers.fetch_add(1, Ordering::Relaxed);
        }
        let counted = Counted(Arc::clone(&core), partition);
        let feed = Feed::open(&core, partition, known.next).await;
        let feed = feed.map_err(|error| ReadError::Closed(error.to_string()))?;
        let place = Place {
            subject: core.subjects.log(partition, known.epoch),
            known,
            failed: 0,
            gaps: 0,
            trouble: None,
        };
        let reader = Self {
            link: core.link.watch(),
            place,
            source: Source::Open(feed),
            quiet: Box::pin(sleep(SILENCE)),
            _counted: counted,
            core,
        };
        Ok((reader, end))
    }

    /// The next entries. Nothing is taken before the wait is over, and a new feed goes on being opened where the wait for it was
    /// given up.
    async fn next(&mut self, max: usize) -> Result<Vec<Logged>, ReadError> {
        loop {
            self.settle().await?;
            let Self {
                core,
                place,
                source,
                link,
                quiet,
                ..
            } = self;
            let Source::Open(feed) = source else { continue };
            let got = tokio::select! {
                biased;
                got = poll_fn(|cx| place.poll(core, feed, max, cx)) => got,
                // Whether the feed survives it is looked at above.
                _ = link.changed() => continue,
                () = quiet.as_mut() => {
                    let silent = feed.heard.elapsed() >= SILENCE;
                    quiet.as_mut().reset(tokio::time::Instant::now() + SILENCE);
                    if !silent {
                        continue;
                    }
                    Err(Trouble::Feed("it was silent"))
                }
            };
            match got {
                Ok(entries) if entries.is_empty() => {}
                Ok(entries) => return Ok(entries),
                Err(Trouble::Feed(why)) => self.reopen(why),
                Err(Trouble::Hole(found)) => self.source = Source::Ended(self.place.known.hole(found)),
            }
        }
    }

    /// Sees to it that there is a feed, and that it has been asked for entries.
    async fn settle(&mut self) -> Result<(), ReadError> {
        loop {
            match &mut self.source {
                Source::Ended(error) => return Err(error.clone()),
                Source::Opening(opening) => {
                    let opened = opening.as_mut().await;
                    self.quiet.as_mut().reset(tokio::time::Instant::now() + SILENCE);
                    self.source = opened.map_or_else(Source::Ended, Source::Open);
                }
                Source::Open(feed) => {
                    self.link.mark_unchanged();
                    if self.core.connection() != Some(feed.connection) {
                        self.reopen("the connection was lost");
                    } else if let Err(why) = feed.ask(&self.core).await {
                        self.reopen(why);
                    } else {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn reopen(&mut self, why: &'static str) {
        metrics::reopened(why);
        tracing::info!(
            partition = self.place.known.partition.0,
            next = self.place.known.next,
            why,
            "reading is taken up again"
        );
        // After one that has given nothing the next has no reason to do better at once.
        let at_once = self.place.failed == 0;
        self.place.failed += 1;
        self.place.trouble = None;
        let opening = resume(Arc::clone(&self.core), self.place.known.clone(), at_once);
        self.source = Source::Opening(Box::pin(opening));
    }
}

impl Place {
    /// What the feed has, at most `max` entries; none where it must be asked for more first.
    fn poll(
        &mut self,
        core: &Core,
        feed: &mut Feed,
        max: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Vec<Logged>, Trouble>> {
        let mut entries = Vec::new();
        while entries.len() < max && self.trouble.is_none() {
            match feed.poll_message(cx) {
                Poll::Ready(Ok(Some(message))) => match self.check(&message) {
                    Ok(logged) => entries.extend(logged),
                    Err(trouble) => self.trouble = Some(trouble),
                },
                Poll::Ready(Ok(None)) => break,
                Poll::Ready(Err(why)) => self.trouble = Some(Trouble::Feed(why)),
                Poll::Pending if entries.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        // What came before the trouble is good, and given out first.
        if entries.is_empty()
            && let Some(trouble) = self.trouble.take()
        {
            return Poll::Ready(Err(trouble));
        }
        if let Some(last) = entries.last() {
            feed.heard = tokio::time::Instant::now();
            core.saw(last.time);
        }
        Poll::Ready(Ok(entries))
    }

    /// Whether a message is the entry that must come next; `None` where it is the last one again.
    fn check(&mut self, message: &Message) -> Result<Option<Logged>, Trouble> {
        let stamp = message.reply.as_deref().and_then(Stamp::parse);
        let stamp = stamp.ok_or(Trouble::Feed("it gave what is no entry"))?;
        if message.subject.as_str() != self.subject {
            return Err(Trouble::Hole(format!("one of {}", message.subject)));
        }
        if stamp.seq > self.known.next {
            self.gaps += 1;
            return Err(if self.gaps < GAPS {
                Trouble::Feed("it has a gap")
            } else {
                Trouble::Hole(format!("entry {}", stamp.seq))
            });
        }
        let entry = LogEntry::decode(&message.payload).map_err(|error| {
            metrics::undecodable("entry");
            Trouble::Hole(format!("at {} one that cannot be read: {error}", stamp.seq))
        })?;
        if stamp.seq < self.known.next {
            return self.known.check_again(stamp.seq, &entry.id).map(|()| None);
        }
        (self.failed, self.gaps) = (0, 0);
        self.known.next += 1;
        self.known.last = Some(entry.id.clone());
        Ok(Some(Logged {
            seq: stamp.seq,
            time: Timestamp(stamp.nanos / 1_000_000),
            entry: Arc::new(entry),
        }))
    }
}

impl Known {
    /// An entry read before comes again: it must be the same.
    fn check_again(&self, seq: u64, id: &EntryId) -> Result<(), Trouble> {
        match &self.last {
            Some(last) if seq + 1 == self.next && last == id => Ok(()),
            Some(last) if seq + 1 == self.next => Err(Trouble::Hole(format!(
                "at {seq} the entry {}, where {} was read: it is another log",
                id.0, last.0
            ))),
            _ => Err(Trouble::Feed("it went back")),
        }
    }
}
