//! Which workers live: what a row says of who is online counts as long as whoever wrote it does.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tokio::time::Instant;

/// After a worker's death its partitions are taken over within seconds, and the rows of those who are still online
/// are written again as their gateways attach them.
const VOUCHES_FOR: Duration = Duration::from_secs(30);

/// The workers that were heard of. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Peers {
    own: Arc<str>,
    heard: Arc<RwLock<HashMap<Arc<str>, Instant>>>,
}

impl Peers {
    /// Nobody but the worker itself.
    pub(crate) fn of(own: &Arc<str>) -> Self {
        Self {
            own: Arc::clone(own),
            heard: Arc::default(),
        }
    }

    /// A worker says that it lives.
    pub(crate) fn heard(&self, worker: &Arc<str>) {
        let now = Instant::now();
        let mut heard = self.heard.write();
        heard.retain(|_, last| now.duration_since(*last) < VOUCHES_FOR);
        heard.insert(Arc::clone(worker), now);
    }

    /// Whether what a worker wrote of who is online can still be so.
    pub(crate) fn vouches(&self, worker: &str) -> bool {
        let recent = |last: &Instant| last.elapsed() < VOUCHES_FOR;
        *worker == *self.own || self.heard.read().get(worker).is_some_and(recent)
    }
}
