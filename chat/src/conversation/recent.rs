//! The ids of the last entries of a chat: a copy of one changes nothing.

use std::collections::VecDeque;

use xxhash_rust::xxh3::xxh3_64;

use crate::command::EntryId;
use crate::limits;

/// The last [`limits::RECENT_ENTRIES`] ids, oldest first, each behind its hash: every entry is looked for here, and hardly
/// any is found, which the hashes say without a look at the ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recent(VecDeque<(u64, EntryId)>);

impl Recent {
    /// Whether it is one of them.
    #[must_use]
    pub fn contains(&self, id: &EntryId) -> bool {
        let hash = hash(id);
        self.0.iter().any(|(known, other)| *known == hash && other == id)
    }

    /// Adds one, and forgets the oldest where there are too many.
    pub(super) fn push(&mut self, id: EntryId) {
        while self.0.len() >= limits::RECENT_ENTRIES {
            self.0.pop_front();
        }
        self.0.push_back((hash(&id), id));
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// All of them, oldest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &EntryId> {
        self.0.iter().map(|(_, id)| id)
    }
}

fn hash(id: &EntryId) -> u64 {
    xxh3_64(id.0.as_bytes())
}

impl FromIterator<EntryId> for Recent {
    fn from_iter<I: IntoIterator<Item = EntryId>>(ids: I) -> Self {
        Self(ids.into_iter().map(|id| (hash(&id), id)).collect())
    }
}
