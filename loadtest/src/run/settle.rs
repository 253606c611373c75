//! After the load: what is under way gets the time to arrive.

use std::time::{Duration, Instant};

use super::Run;
use crate::world::World;

/// However much still arrives, it ends after so many times `load.settle`.
const MOST: u32 = 10;
/// How often it is looked whether all marks have come.
const LOOK: Duration = Duration::from_millis(500);
/// What comes twice comes soon after.
const TWICE: Duration = Duration::from_millis(300);

/// What had become of the load when the time for it was over.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Settled {
    /// Whether all was answered, delivered and read back, and every connection was there.
    pub(crate) all: bool,
    /// Events that are owed to connections that were not there, or did not read, or still got some: they are late.
    pub(crate) owed: u64,
    /// Those connections.
    pub(crate) devices: u32,
    /// Requests without an answer.
    pub(crate) unanswered: u64,
    /// Connections that were lost and did not come back.
    pub(crate) gone: u32,
}

/// Whether everything has come, marks too.
#[derive(Default)]
struct Complete {
    found: bool,
    looked: Option<Instant>,
}

impl Complete {
    /// Marks are held against all messages of the run, which is not done at every turn.
    fn of(&mut self, world: &World) -> bool {
        let due = self.looked.is_none_or(|looked| looked.elapsed() > LOOK);
        if due && world.is_settled() {
            self.looked = Some(Instant::now());
            self.found = world.ledger.marks_complete();
        }
        self.found
    }
}

impl Run {
    /// Waits until everything is answered, everybody is there and has everything; or until for `load.settle` nothing has
    /// come any more.
    pub(super) async fn settle(&mut self) -> Settled {
        let limit = self.scenario.load.settle;
        let mut before = None;
        let mut moved = Instant::now();
        let mut complete = Complete::default();
        let over = |world: &World| {
            let now = Some((world.ledger.heard(), world.open_requests));
            if now != before {
                (before, moved) = (now, Instant::now());
            }
            complete.of(world) || moved.elapsed() > limit
        };
        self.wait("settling", limit.saturating_mul(MOST), over).await;
        let end = Instant::now();
        let all = complete.found;
        self.wait("settling", TWICE, |_| false).await;
        self.sample("settling");
        let world = &mut *self.shared.borrow_mut();
        let left = world.ledger.close(end.checked_sub(limit));
        Settled {
            all,
            owed: left.owed,
            devices: left.devices,
            unanswered: world.open_requests,
            gone: world.gone(),
        }
    }
}
