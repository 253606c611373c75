//! The states a loop has in memory.
//!
//! Bounded: those that nobody writes are forgotten, the longest unused first. A state with changes that do not stand
//! in the store yet is never forgotten; the loop flushes when there are too many of those.
//!
//! No entry is applied to a state of an earlier epoch: it is restored before it is taken in.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::num::NonZeroUsize;

use bytes::Bytes;
use confab_chat::ActorKey;
use confab_store::{Key, Record, StatePart, Write};
use lru::LruCache;

use crate::seams::Fault;

/// An actor's state as rows: a head, and parts that change one by one.
pub(crate) trait Stored: Sized {
    /// What names the actor.
    type Id: Clone + Eq + Hash;
    /// What names a part.
    type Part: Clone + Ord;

    /// The actor.
    fn actor(id: &Self::Id) -> ActorKey;
    /// Puts a state together from all its rows; none make a new one. Also tells which rows are empty: parts that are
    /// gone.
    fn from_records(id: &Self::Id, records: &[Record]) -> Result<(Self, Vec<Self::Part>), Fault>;
    /// The actor's version.
    fn version(&self) -> u64;
    /// The epoch of the log that the state belongs to; 0 for a new one.
    fn epoch(&self) -> u32;
    /// The head's bytes.
    fn head(&self) -> Bytes;
    /// Which parts there are.
    fn parts(&self) -> Vec<Self::Part>;
    /// A part's bytes; empty for one that is gone.
    fn part(&self, part: &Self::Part) -> Bytes;
    /// The key of a part's row.
    fn part_key(part: Self::Part) -> StatePart;
}

/// A state, and what of it is not written.
pub(crate) struct Cached<T: Stored> {
    /// The state.
    pub(crate) state: T,
    /// Parts whose rows are empty.
    gone: Vec<T::Part>,
    /// All of it is to be written: it was loaded, and made the loop skip an entry.
    pub(crate) whole: bool,
    /// The parts that changed.
    pub(crate) changed: BTreeSet<T::Part>,
}

/// States as they were loaded.
pub(crate) type Loaded<T> = Vec<(<T as Stored>::Id, Cached<T>)>;

impl<T: Stored> Cached<T> {
    /// A state as its rows have it.
    pub(crate) fn load(id: &T::Id, records: &[Record]) -> Result<Self, Fault> {
        let (state, gone) = T::from_records(id, records)?;
        Ok(Self {
            state,
            gone,
            whole: false,
            changed: BTreeSet::new(),
        })
    }

    /// A state that was restored from what its rows were. All of it is to be written, since what was loaded may stand
    /// on one replica only.
    pub(crate) fn restored(state: T, before: Self) -> Self {
        let parts: BTreeSet<_> = state.parts().into_iter().collect();
        let mut gone = before.gone;
        gone.extend(before.state.parts());
        gone.retain(|part| !parts.contains(part));
        Self {
            state,
            gone,
            whole: true,
            changed: BTreeSet::new(),
        }
    }

    /// The rows that are not written, as one batch. The head is always among them.
    fn writes(&self, actor: &ActorKey) -> Vec<Write> {
        let write = |part: StatePart, value: Bytes| Write {
            key: Key::State(actor.clone(), part),
            timestamp: self.state.version(),
            value,
            expires: None,
        };
        let mut changed = self.changed.clone();
        if self.whole {
            changed.extend(self.state.parts());
            changed.extend(self.gone.iter().cloned());
        }
        let parts = changed.into_iter().map(|part| {
            let value = self.state.part(&part);
            write(T::part_key(part), value)
        });
        std::iter::once(write(StatePart::Head, self.state.head()))
            .chain(parts)
            .collect()
    }

    fn settle(&mut self) {
        for part in std::mem::take(&mut self.changed) {
            self.gone.retain(|gone| *gone != part);
            if self.state.part(&part).is_empty() {
                self.gone.push(part);
            }
        }
        self.whole = false;
    }
}

/// Whether a state of one epoch needs no restoring in another. Before the first epoch no log was lost.
pub(crate) fn is_current(state: u32, epoch: u32) -> bool {
    epoch <= 1 || state >= epoch
}

/// The states of one kind of actor.
pub(crate) struct Cache<T: Stored> {
    /// In the hands of the current batch, or changed since they were written.
    dirty: HashMap<T::Id, Box<Cached<T>>>,
    /// As they stand in the store.
    clean: LruCache<T::Id, Box<Cached<T>>>,
    /// The log's epoch.
    epoch: u32,
}

impl<T: Stored> Cache<T> {
    /// At most so many clean ones.
    pub(crate) fn new(capacity: usize, epoch: u32) -> Self {
        let capacity = NonZeroUsize::new(capacity).unwrap_or(NonZeroUsize::MIN);
        Self {
            dirty: HashMap::new(),
            clean: LruCache::new(capacity),
            epoch,
        }
    }

    /// Whether entries of the log can be applied to a state: it is not of an earlier epoch.
    fn is_current(&self, state: &T) -> bool {
        is_current(state.epoch(), self.epoch)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.dirty.len() + self.clean.len()
    }

    /// Whether so many are changed that they should be written soon.
    pub(crate) fn is_filling(&self) -> bool {
        self.dirty.len() >= self.clean.cap().get().div_ceil(2)
    }

    /// Whether so many are changed that they should be written at once.
    pub(crate) fn is_full(&self) -> bool {
        self.dirty.len() >= self.clean.cap().get()
    }

    /// Makes a state ready for the batch; false where it must be loaded first.
    pub(crate) fn ready(&mut self, id: &T::Id) -> bool {
        if self.dirty.contains_key(id) {
            return true;
        }
        match self.clean.pop_entry(id) {
            Some((id, cached)) if self.is_current(&cached.state) => {
                self.dirty.insert(id, cached);
                true
            }
            _ => false,
        }
    }

    /// Takes loaded states into the batch; returns those of an earlier epoch, which must be restored first.
    pub(crate) fn take_in_current(&mut self, loaded: Loaded<T>) -> Result<Loaded<T>, Fault> {
        let mut lost = Vec::new();
        for (id, cached) in loaded {
            let epoch = cached.state.epoch();
            if epoch > self.epoch {
                let why = format!(
                    "the log is of epoch {}, the state of {} of {epoch}",
                    self.epoch,
                    T::actor(&id)
                );
                return Err(Fault::Alarm(why));
            }
            if self.is_current(&cached.state) {
                self.take_in(id, cached);
            } else {
                lost.push((id, cached));
            }
        }
        Ok(lost)
    }

    /// Takes a state into the batch.
    pub(crate) fn take_in(&mut self, id: T::Id, cached: Cached<T>) {
        self.dirty.insert(id, Box::new(cached));
    }

    /// Keeps a loaded state that is only looked at.
    pub(crate) fn keep(&mut self, id: T::Id, cached: Cached<T>) {
        self.clean.put(id, Box::new(cached));
    }

    /// A state of the batch, to apply an entry to.
    pub(crate) fn working(&mut self, id: &T::Id) -> Result<&mut Cached<T>, Fault> {
        let cached = self.dirty.get_mut(id).map(Box::as_mut);
        cached.ok_or_else(|| Fault::Alarm(format!("the state of {} was not loaded", T::actor(id))))
    }

    /// A state to look at, if it is here.
    pub(crate) fn peek(&mut self, id: &T::Id) -> Option<&T> {
        if let Some(cached) = self.dirty.get(id) {
            return Some(&cached.state);
        }
        self.clean.get(id).map(|cached| &cached.state)
    }

    /// The actors with something to write.
    pub(crate) fn dirty(&self) -> Vec<T::Id> {
        self.dirty.keys().cloned().collect()
    }

    /// What of these actors is to be written, one batch an actor.
    pub(crate) fn writes(&self, ids: &[T::Id]) -> impl Iterator<Item = (ActorKey, Vec<Write>)> {
        let dirty = ids.iter().filter_map(|id| self.dirty.get_key_value(id));
        dirty.map(|(id, cached)| {
            let actor = T::actor(id);
            let writes = cached.writes(&actor);
            (actor, writes)
        })
    }

    /// What has changed of these actors is written.
    pub(crate) fn settle(&mut self, ids: &[T::Id]) {
        for id in ids {
            if let Some((id, mut cached)) = self.dirty.remove_entry(id) {
                cached.settle();
                self.clean.put(id, cached);
            }
        }
    }
}
