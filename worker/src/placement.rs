//! Which partitions are this worker's, from what it has heard of the others. Pure: words and times in, places out.
//!
//! Partitions are shared by rendezvous hashing: of all live workers the one with the highest score for a partition has
//! it. So workers that have heard the same come to the same, without asking each other, and one that comes or goes moves
//! no partitions but its own. Where they differ for a moment a partition has two owners, which is harmless, or a
//! new one that the old one waits for: it lets go only of what the new one says to be at work on.
//!
//! Nothing moves in haste. One who falls silent is counted on for a while, one who comes only after it has been heard
//! steadily, and a worker that hears not even itself is cut off, or was not running: it judges nobody.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use confab_chat::Partition;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// How long what takes. Four beats are at most `gone`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// How often a live worker says so.
    pub(crate) beat: Duration,
    /// After how long a silent one is gone.
    pub(crate) gone: Duration,
    /// How long a worker is heard before it counts, and how long one that starts listens first.
    pub(crate) settle: Duration,
}

impl Patience {
    /// Who has not heard itself for so long hears nobody.
    fn deaf(&self) -> Duration {
        self.beat * 5 / 2
    }
}

/// What is to be done about a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is this worker's.
    Mine,
    /// It is another's, who is not at work on it yet: whoever has it goes on.
    Awaited,
    /// It is another's, who is at work on it, or nobody's: whoever has it lets go.
    Theirs,
}

/// What is known of another worker.
#[derive(Clone, Debug)]
struct Peer {
    /// When it was first heard, since it was last gone.
    since: Duration,
    /// When it was last heard.
    last: Duration,
    at_work: Vec<Partition>,
    leaving: bool,
}

/// What a worker has heard. Times are counted from any one moment, such as its start.
#[derive(Debug)]
pub(crate) struct View {
    me: Arc<str>,
    patience: Patience,
    /// When it heard itself first, and last.
    echo: Option<(Duration, Duration)>,
    leaving: bool,
    peers: BTreeMap<Arc<str>, Peer>,
    /// Those that count, in order of their names, and what each partition's owner among them is.
    members: Vec<Arc<str>>,
    owners: Vec<Option<usize>>,
}

impl View {
    pub(crate) fn new(me: Arc<str>, partitions: u16, patience: Patience) -> Self {
        Self {
            me,
            patience,
            echo: None,
            leaving: false,
            peers: BTreeMap::new(),
            members: Vec::new(),
            owners: vec![None; usize::from(partitions)],
        }
    }

    /// A worker, this one or another, says that it is alive.
    pub(crate) fn alive(&mut self, worker: &Arc<str>, at_work: Vec<Partition>, now: Duration) {
        if *worker == self.me {
            return self.heard_itself(now);
        }
        let peer = self.peer(worker, now);
        // One that leaves may have said before that it lives.
        if !peer.leaving {
            (peer.last, peer.at_work) = (now, at_work);
        }
    }

    /// Another worker says that it leaves.
    pub(crate) fn leaves(&mut self, worker: &Arc<str>, now: Duration) {
        if *worker != self.me {
            let peer = self.peer(worker, now);
            (peer.last, peer.leaving) = (now, true);
        }
    }

    /// This worker leaves: it counts no more.
    pub(crate) fn leave(&mut self) {
        self.leaving = true;
    }

    fn peer(&mut self, worker: &Arc<str>, now: Duration) -> &mut Peer {
        let judged = self.judged(now);
        let gone = self.patience.gone;
        self.peers
            .retain(|_, peer| judged.saturating_sub(peer.last) < gone);
        self.peers.entry(Arc::clone(worker)).or_insert_with(|| Peer {
            since: now,
            last: now,
            at_work: Vec::new(),
            leaving: false,
        })
    }

    fn heard_itself(&mut self, now: Duration) {
        let (first, last) = self.echo.unwrap_or((now, now));
        self.echo = Some((first, now));
        if now.saturating_sub(last) > self.patience.deaf() {
            // What the others said meanwhile has passed this worker by: they are given time to say it again.
            self.peers.values_mut().for_each(|peer| peer.last = now);
        }
    }

    /// The time up to which silence means something.
    fn judged(&self, now: Duration) -> Duration {
        self.echo
            .map_or(Duration::ZERO, |(_, last)| now.min(last + self.patience.deaf()))
    }

    /// When this worker has listened long enough.
    fn settled_at(&self) -> Option<Duration> {
        self.echo.map(|(first, _)| first + self.patience.settle)
    }

    fn is_live(&self, peer: &Peer, now: Duration) -> bool {
        !peer.leaving && self.judged(now).saturating_sub(peer.last) < self.patience.gone
    }

    /// Whether a live worker counts: one who was there before this one began to, or has been heard for a while.
    fn counts(&self, peer: &Peer, now: Duration) -> bool {
        let was_there = self.settled_at().is_some_and(|settled| peer.since < settled);
        let is_steady = peer.last > peer.since && now.saturating_sub(peer.since) >= self.patience.settle;
        was_there || is_steady
    }

    /// How many workers are alive, as far as this one hears; itself is one.
    pub(crate) fn alive_count(&self, now: Duration) -> usize {
        let live = self.peers.values().filter(|peer| self.is_live(peer, now));
        live.count() + usize::from(self.echo.is_some() && !self.leaving)
    }

    /// Whether another worker that is alive is at work on a partition.
    pub(crate) fn is_at_work(&self, partition: Partition, now: Duration) -> bool {
        let mut live = self.peers.values().filter(|peer| self.is_live(peer, now));
        live.any(|peer| peer.at_work.contains(&partition))
    }

    /// What is to be done about each partition; `None` while this worker has not listened long enough.
    pub(crate) fn places(&mut self, now: Duration) -> Option<Vec<Place>> {
        if self.settled_at().is_none_or(|settled| now < settled) {
            return None;
        }
        self.elect(now);
        let numbered = (0u16..).map(Partition).zip(&self.owners);
        Some(
            numbered
                .map(|(partition, owner)| self.place(partition, *owner))
                .collect(),
        )
    }

    fn place(&self, partition: Partition, owner: Option<usize>) -> Place {
        let Some(owner) = owner.and_then(|place| self.members.get(place)) else {
            return Place::Theirs;
        };
        if *owner == self.me {
            return Place::Mine;
        }
        match self.peers.get(owner) {
            Some(peer) if !peer.at_work.contains(&partition) => Place::Awaited,
            _ => Place::Theirs,
        }
    }

    /// Finds each partition's owner, where the workers are not those of the last time.
    fn elect(&mut self, now: Duration) {
        let counted = self.peers.iter();
        let counted = counted.filter(|(_, peer)| self.is_live(peer, now) && self.counts(peer, now));
        let mut members: Vec<Arc<str>> = counted.map(|(name, _)| Arc::clone(name)).collect();
        if !self.leaving {
            members.push(Arc::clone(&self.me));
        }
        members.sort_unstable();
        if members == self.members {
            return;
        }
        for (number, owner) in (0u16..).zip(&mut self.owners) {
            *owner = owner_of(Partition(number), &members);
        }
        self.members = members;
    }

    /// When [`places`](Self::places) may change though nobody says anything.
    pub(crate) fn changes_at(&self, now: Duration) -> Option<Duration> {
        let (_, echo) = self.echo?;
        let deaf = echo + self.patience.deaf();
        let of_peers = self.peers.values().flat_map(|peer| {
            let goes = Some(peer.last + self.patience.gone).filter(|at| *at <= deaf);
            let counts = (peer.last > peer.since).then(|| peer.since + self.patience.settle);
            goes.into_iter().chain(counts)
        });
        of_peers.chain(self.settled_at()).filter(|at| *at > now).min()
    }
}

/// A worker's claim to a partition. Part of what workers of all versions agree on: it may never change.
fn score(worker: &str, partition: Partition) -> u64 {
    xxh3_64_with_seed(worker.as_bytes(), u64::from(partition.0))
}

/// The place of a partition's owner among the workers: the highest score, and of equal ones the higher name.
fn owner_of(partition: Partition, workers: &[Arc<str>]) -> Option<usize> {
    let claims = workers.iter().enumerate();
    let first = claims.max_by_key(|(_, worker)| (score(worker, partition), *worker));
    first.map(|(place, _)| place)
}

#[cfg(test)]
mod tests;
