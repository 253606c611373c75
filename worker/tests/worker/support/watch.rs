//! What workers say of themselves, in the order in which they say it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use confab_bus::{Bus, GatewayEnd, Local};
use confab_chat::{GatewayId, Partition};
use confab_proto::message::Announcement;

use super::in_time;

/// Hears all announcements.
pub(crate) struct Watch {
    end: GatewayEnd,
    partitions: u16,
    /// What each worker last said to be at work on.
    pub at_work: BTreeMap<Arc<str>, BTreeSet<Partition>>,
    /// Those that said to leave.
    pub leaving: BTreeSet<Arc<str>>,
    pub began: Vec<Partition>,
    /// Once every partition was at work somewhere: one was nowhere.
    pub gaps: Vec<Partition>,
    covered: bool,
}

impl Watch {
    pub(crate) async fn join(bus: &Local) -> Self {
        Self {
            end: bus.join_as_gateway(&GatewayId("watch".into())).await,
            partitions: bus.partitions(),
            at_work: BTreeMap::new(),
            leaving: BTreeSet::new(),
            began: Vec::new(),
            gaps: Vec::new(),
            covered: false,
        }
    }

    /// Waits until what was said makes something true.
    pub(crate) async fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let hearing = async {
            while !is_so(self) {
                let heard = self.end.announcements.recv().await.unwrap();
                self.hear(heard);
            }
        };
        in_time(what, hearing).await;
    }

    /// Takes in what was said already.
    fn catch_up(&mut self) {
        while let Ok(heard) = self.end.announcements.try_recv() {
            self.hear(heard);
        }
    }

    /// A worker is no more, so that nothing is at work there.
    pub(crate) fn is_gone(&mut self, name: &str) {
        self.catch_up();
        self.at_work.remove(name);
        self.look_for_gaps();
    }

    /// Waits until each partition is at work in one place, and each of these workers has some.
    pub(crate) async fn until_shared_by(&mut self, names: &[&str]) {
        self.until(&format!("{names:?} to share"), |watch| watch.are_sharing(names))
            .await;
    }

    fn are_sharing(&self, names: &[&str]) -> bool {
        let places: Vec<Partition> = self.at_work.values().flatten().copied().collect();
        let distinct: BTreeSet<Partition> = places.iter().copied().collect();
        let has_some = |name: &&str| self.at_work.get(*name).is_some_and(|share| !share.is_empty());
        names.iter().all(has_some)
            && places.len() == distinct.len()
            && distinct.len() == usize::from(self.partitions)
    }

    fn hear(&mut self, heard: Announcement) {
        match heard {
            Announcement::Alive { worker, partitions } => {
                self.at_work.insert(worker, partitions.into_iter().collect());
            }
            Announcement::Leaving { worker } => {
                self.leaving.insert(worker);
            }
            Announcement::Began { partition } => self.began.push(partition),
        }
        self.look_for_gaps();
    }

    fn look_for_gaps(&mut self) {
        let at_work: BTreeSet<Partition> = self.at_work.values().flatten().copied().collect();
        let all = (0..self.partitions).map(Partition);
        let missing: Vec<Partition> = all.filter(|partition| !at_work.contains(partition)).collect();
        self.covered |= missing.is_empty();
        if self.covered {
            self.gaps.extend(missing);
        }
    }
}
