//! The task beside the loops: says that this worker lives, hears who else does, and starts and stops the loops as
//! placement says.
//!
//! A loop that is no longer wanted ends in order, and is begun again only when it has ended: a worker never has two
//! of one partition.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use confab_bus::Bus;
use confab_chat::Partition;
use confab_proto::message::Announcement;
use confab_service::Tasks;
use confab_store::Store;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::config::Placement;
use crate::metrics;
use crate::partition::{self, Shared};
use crate::peers::Peers;
use crate::placement::{Patience, Place, View};

/// How long to wait for more to change before it is said: loops that begin together are told of together.
const GATHER: Duration = Duration::from_millis(10);
/// With nothing else to wait for.
const IDLE: Duration = Duration::from_secs(3600);

/// What starts and stops the loops.
pub(crate) struct Keeper<B: Bus, S: Store> {
    shared: Shared<B, S>,
    tasks: Tasks,
    abandon: CancellationToken,
    /// Where the partitions are shared.
    view: Option<View>,
    /// What the view's times are counted from.
    begun: Instant,
    /// The loops that run, and what stops each.
    loops: BTreeMap<Partition, CancellationToken>,
    /// Those of them that had no owner when they were begun, until they are at work.
    orphans: BTreeSet<Partition>,
    /// Loops were begun, so that a further one is taken over from somebody.
    placed: bool,
    /// The partitions last said to be at work on.
    said: Vec<Partition>,
    /// When the next change is said.
    say_at: Option<Instant>,
    /// Until when this worker, which stops, waits for those who take its partitions over.
    leaving: Option<Instant>,
    peers: Peers,
}

impl<B: Bus, S: Store> Keeper<B, S> {
    /// Begins the loops of the partitions that are this worker's whoever else there is.
    pub(crate) fn start(
        shared: Shared<B, S>,
        peers: Peers,
        tasks: Tasks,
        abandon: CancellationToken,
    ) -> Self {
        let config = &shared.config;
        let patience = Patience {
            beat: config.alive_every,
            gone: config.gone_after,
            settle: config.settle,
        };
        let is_shared = config.placement == Placement::Shared;
        let view = is_shared.then(|| View::new(config.name.clone(), shared.seams.bus.partitions(), patience));
        let mut keeper = Self {
            tasks,
            abandon,
            view,
            begun: Instant::now(),
            loops: BTreeMap::new(),
            orphans: BTreeSet::new(),
            placed: false,
            said: Vec::new(),
            say_at: None,
            leaving: None,
            peers,
            shared,
        };
        keeper.place();
        keeper
    }

    /// Goes on until the worker stops, or has left in order: then no loop is left.
    pub(crate) async fn run(mut self, announcements: mpsc::Receiver<Announcement>, leave: CancellationToken) {
        let mut announcements = Some(announcements);
        let mut beat = tokio::time::interval(self.shared.config.alive_every);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut changes = self.shared.health.changes();
        let stopping = self.tasks.stopping().clone();
        while self.leaving.is_none() || !self.loops.is_empty() {
            let wakes_at = self.wakes_at();
            tokio::select! {
                () = stopping.cancelled() => return,
                () = leave.cancelled(), if self.leaving.is_none() => self.leave().await,
                _ = beat.tick() => {
                    self.report();
                    self.say().await;
                }
                heard = next(&mut announcements) => self.hear(heard),
                () = changes.next() => self.say_soon(),
                () = tokio::time::sleep_until(wakes_at) => {}
            }
            if self.say_at.is_some_and(|at| at <= Instant::now()) {
                self.say().await;
            }
            self.place();
        }
    }

    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    fn hear(&mut self, announcement: Announcement) {
        if let Announcement::Alive { worker, .. } = &announcement {
            self.peers.heard(worker);
        }
        let now = self.now();
        let Some(view) = &mut self.view else { return };
        match announcement {
            Announcement::Alive { worker, partitions } => view.alive(&worker, partitions, now),
            Announcement::Leaving { worker } => view.leaves(&worker, now),
            Announcement::Began { partition } => {
                let had_none = self.orphans.remove(&partition);
                let has_one = self.loops.contains_key(&partition) || view.is_at_work(partition, now);
                if had_none || !has_one {
                    self.shared.begins.note(partition, Instant::now());
                }
            }
        }
        metrics::workers_alive(view.alive_count(now));
    }

    fn say_soon(&mut self) {
        if self.leaving.is_none() && self.shared.health.owned() != self.said {
            self.say_at.get_or_insert(Instant::now() + GATHER);
        }
    }

    async fn say(&mut self) {
        self.say_at = None;
        let config = &self.shared.config;
        if matches!(config.placement, Placement::Fixed(_)) {
            return;
        }
        let worker = config.name.clone();
        let announcement = if self.leaving.is_some() {
            Announcement::Leaving { worker }
        } else {
            self.said = self.shared.health.owned();
            let partitions = self.said.clone();
            Announcement::Alive { worker, partitions }
        };
        // A bus that takes nothing must not keep this task from what it has to do meanwhile.
        let saying = self.shared.seams.bus.announce(announcement);
        let _unheard = tokio::time::timeout(config.alive_every, saying).await;
    }

    /// Tells how long what the loops have at hand waits.
    fn report(&self) {
        let now = self.shared.seams.bus.now();
        for partition in self.loops.keys() {
            self.shared.oldest.report(*partition, now);
        }
    }

    async fn leave(&mut self) {
        let patience = match self.view {
            Some(_) => self.shared.config.handover,
            None => Duration::ZERO,
        };
        self.leaving = Some(Instant::now() + patience);
        if let Some(view) = &mut self.view {
            view.leave();
        }
        self.say().await;
    }

    /// When there is something to do though nothing happens.
    fn wakes_at(&self) -> Instant {
        let places_change = self.view.as_ref().and_then(|view| view.changes_at(self.now()));
        let places_change = places_change.map(|at| self.begun + at);
        let due = self.leaving.filter(|_| !self.loops.is_empty());
        let others = [places_change, self.say_at, due.filter(|at| *at > Instant::now())];
        let first = others.into_iter().flatten().min();
        first.unwrap_or_else(|| Instant::now() + IDLE)
    }

    fn places(&mut self) -> Option<Vec<Place>> {
        let partitions = self.shared.seams.bus.partitions();
        let all = |place| vec![place; usize::from(partitions)];
        if self.leaving.is_some_and(|until| until <= Instant::now()) {
            return Some(all(Place::Theirs));
        }
        let now = self.now();
        match (&mut self.view, &self.shared.config.placement) {
            (Some(view), _) => view.places(now),
            (None, Placement::Fixed(mine)) => {
                let place = |number| match mine.contains(&Partition(number)) {
                    true => Place::Mine,
                    false => Place::Theirs,
                };
                Some((0..partitions).map(place).collect())
            }
            (None, _) => Some(all(Place::Mine)),
        }
    }

    /// Starts the loops of the partitions that are this worker's, and stops those that others do the work of.
    fn place(&mut self) {
        let health = self.shared.health.clone();
        self.loops.retain(|partition, _| health.runs(*partition));
        let Some(places) = self.places() else { return };
        health.place(&places);
        for (partition, place) in (0u16..).map(Partition).zip(places) {
            match (place, self.loops.get(&partition)) {
                // One that has stopped with an alarm stays stopped.
                (Place::Mine, None) if !health.has_stopped(partition) => self.begin(partition),
                (Place::Theirs, Some(stop)) => stop.cancel(),
                _ => {}
            }
        }
        self.placed = true;
    }

    fn begin(&mut self, partition: Partition) {
        if self.placed {
            metrics::taken_over();
            tracing::info!(partition = partition.0, "takes the partition over");
        }
        let now = self.now();
        if self
            .view
            .as_ref()
            .is_some_and(|view| !view.is_at_work(partition, now))
        {
            self.orphans.insert(partition);
        }
        let stop = self.tasks.stopping().child_token();
        self.loops.insert(partition, stop.clone());
        self.shared.health.starting(partition);
        let owned = partition::own(self.shared.clone(), partition, stop);
        self.tasks
            .spawn("partition", abandonable(self.abandon.clone(), owned));
    }
}

/// The next announcement; never, once there are no more.
async fn next(announcements: &mut Option<mpsc::Receiver<Announcement>>) -> Announcement {
    if let Some(receiver) = announcements {
        if let Some(announcement) = receiver.recv().await {
            return announcement;
        }
        *announcements = None;
    }
    std::future::pending().await
}

/// A task that ends wherever it waits, once it is told to.
pub(crate) async fn abandonable(abandon: CancellationToken, task: impl Future<Output = ()>) {
    let _abandoned = abandon.run_until_cancelled(task).await;
}
