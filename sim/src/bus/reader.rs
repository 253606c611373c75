//! What a partition's owner reads.

use std::sync::Arc;

use confab_bus::{Input, PartitionReader, Position, ReadError};
use confab_chat::Partition;
use confab_proto::message::{Logged, Signal};
use tokio::sync::{mpsc, watch};

use super::Hub;
use crate::faults::Fault;
use crate::host::Host;
use crate::trace;

/// A reader of one partition.
#[derive(Debug)]
pub struct SimReader {
    hub: Arc<Hub>,
    host: Host,
    partition: Partition,
    generation: u64,
    /// The last entry returned.
    at: u64,
    end_at_open: Position,
    changes: watch::Receiver<()>,
    signals: mpsc::Receiver<Signal>,
}

impl SimReader {
    pub(super) fn open(
        hub: &Arc<Hub>,
        host: &Host,
        partition: Partition,
        after: Position,
    ) -> Result<Self, ReadError> {
        let end = hub.logs.end(partition);
        let beginning = after.seq == 0 && after.epoch <= end.epoch;
        if !beginning && (after.epoch != end.epoch || after.seq > end.seq) {
            return Err(ReadError::Hole {
                partition,
                expected: after.seq + 1,
                found: format!("{end:?} as its end"),
            });
        }
        Ok(Self {
            hub: Arc::clone(hub),
            host: host.clone(),
            partition,
            generation: hub.logs.generation(partition),
            at: after.seq,
            end_at_open: end,
            changes: hub.logs.changes(partition),
            signals: hub.soft.listen(host, partition),
        })
    }

    fn check(&self) -> Result<(), ReadError> {
        if self.hub.logs.generation(self.partition) != self.generation {
            return Err(ReadError::Closed(
                "the stream is another one (simulated)".to_owned(),
            ));
        }
        if self.hub.faults.strikes(Fault::ReaderLost) {
            return Err(ReadError::Closed("the consumer is gone (simulated)".to_owned()));
        }
        Ok(())
    }

    /// Waits until there is an entry, or the log is another one.
    async fn there_is_more(&mut self) {
        loop {
            self.changes.borrow_and_update();
            let end = self.hub.logs.end(self.partition);
            if end.seq > self.at || self.hub.logs.generation(self.partition) != self.generation {
                return;
            }
            if self.changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    fn take(&mut self, max: usize) -> Vec<Logged> {
        let entries = self.hub.logs.after(self.partition, self.at, max);
        self.at += entries.len() as u64;
        trace::tell(
            Some(&self.host),
            format_args!("reads {:?} up to {}", self.partition, self.at),
        );
        entries
    }

    fn take_signals(&mut self, first: Option<Signal>) -> Vec<Signal> {
        let mut signals: Vec<_> = first.into_iter().collect();
        while let Ok(signal) = self.signals.try_recv() {
            signals.push(signal);
        }
        signals
    }
}

impl PartitionReader for SimReader {
    async fn next(&mut self, max: usize) -> Result<Vec<Logged>, ReadError> {
        self.there_is_more().await;
        self.hub.faults.dawdle().await;
        self.host.runs().await;
        self.check()?;
        Ok(self.take(max))
    }

    async fn signals(&mut self) -> Vec<Signal> {
        self.host.runs().await;
        match self.signals.recv().await {
            Some(first) => self.take_signals(Some(first)),
            None => std::future::pending().await,
        }
    }

    async fn input(&mut self, max: usize) -> Result<Input, ReadError> {
        loop {
            if !self.signals.is_empty() {
                self.host.runs().await;
                let signals = self.take_signals(None);
                let entries = match self.hub.logs.generation(self.partition) == self.generation {
                    true => self.take(max),
                    false => Vec::new(),
                };
                return Ok(Input { entries, signals });
            }
            let waits = self.hub.soft.signalled(self.partition);
            tokio::select! {
                biased;
                () = self.there_is_more() => {
                    self.hub.faults.dawdle().await;
                    self.host.runs().await;
                    self.check()?;
                    let entries = self.take(max);
                    let signals = self.take_signals(None);
                    return Ok(Input { entries, signals });
                }
                () = waits => {}
            }
        }
    }

    fn end_at_open(&self) -> Position {
        self.end_at_open
    }
}
