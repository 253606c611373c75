//! What breaks the world: processes die, stop and start, views differ, clocks step; and in the end, the log.

use std::sync::Arc;
use std::time::Duration;

use confab_chat::Partition;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::faults::Fault;
use crate::plan::DEEDS;
use crate::world::{Nodes, World, nodes};

/// More workers than so many beside those planned do not run at once.
const SECONDS: usize = 2;
/// The log's clock is wrong by at most so many milliseconds.
const STEP: u64 = 6_000;
/// How long a worker is given to say that it cannot go on.
const ALARM: Duration = Duration::from_secs(30);

/// Partitions whose log has lost its end.
#[derive(Debug, Default)]
struct Lost {
    /// Rows stand for entries that are gone: these must stop.
    must_stop: Vec<Partition>,
    /// Not every reader sees the row that says so: these may stop.
    may_stop: Vec<Partition>,
}

/// What breaks a world.
#[derive(Debug)]
pub struct Chaos {
    world: World,
    nodes: Arc<Mutex<Nodes>>,
}

impl Chaos {
    /// Does nothing yet.
    #[must_use]
    pub fn new(world: World, nodes: Arc<Mutex<Nodes>>) -> Self {
        Self { world, nodes }
    }

    /// Breaks things as long as the plan says.
    pub async fn rage(&mut self) {
        let until = Instant::now() + self.world.plan.busy;
        while Instant::now() < until {
            let quiet = self.world.faults.while_of(50, self.world.plan.quiet);
            tokio::time::sleep(quiet).await;
            let nth = self.number(DEEDS.len());
            let deed = DEEDS[nth];
            if !self.world.plan.spared.contains(&deed) {
                self.do_it(deed).await;
            }
            self.look_for_alarms();
        }
    }

    fn number(&self, below: usize) -> usize {
        let most = (below as u64).max(1) - 1;
        usize::try_from(self.world.faults.between(0, most)).unwrap_or(0)
    }

    async fn do_it(&mut self, deed: Fault) {
        self.world.history.note("chaos", format_args!("{}", deed.name()));
        let done = match deed {
            Fault::WorkerCrash => self.crash_worker().await,
            Fault::WorkerPause => self.pause_worker(),
            Fault::WorkerStop => self.stop_worker().await,
            Fault::SecondOwner => self.second_owner().await,
            Fault::ViewsDiffer => self.deafen(),
            Fault::GatewayCrash => self.crash_gateway().await,
            Fault::GatewayDrain => self.drain_gateway().await,
            Fault::LogTime => self.step_log_time(),
            _ => false,
        };
        if done {
            self.world.faults.count(deed);
        }
    }

    fn take_worker(&self) -> Option<nodes::WorkerNode> {
        let nth = self.number(self.nodes.lock().workers.len());
        let mut nodes = self.nodes.lock();
        (nth < nodes.workers.len()).then(|| nodes.workers.swap_remove(nth))
    }

    async fn crash_worker(&self) -> bool {
        let Some(node) = self.take_worker() else {
            return false;
        };
        let second = node.second;
        if self.world.faults.chance(40) {
            // What it writes last stands on one replica, and nobody was told that it stands.
            node.host.cut_off(self.number(3));
            tokio::time::sleep(self.world.faults.while_of(20, 1_800)).await;
        }
        nodes::kill_worker(&self.world, node);
        if !second {
            tokio::time::sleep(self.world.faults.while_of(0, 3_000)).await;
            nodes::start_worker(&self.world, &self.nodes).await;
        }
        true
    }

    fn pause_worker(&self) -> bool {
        let nth = self.number(self.nodes.lock().workers.len());
        let Some(host) = self.nodes.lock().workers.get(nth).map(|node| node.host.clone()) else {
            return false;
        };
        host.pause();
        self.world.history.note(host.name(), format_args!("is paused"));
        let history = Arc::clone(&self.world.history);
        self.world
            .wire
            .after(self.world.faults.while_of(50, 12_000), move || {
                history.note(host.name(), format_args!("goes on"));
                host.go_on();
            });
        true
    }

    async fn stop_worker(&self) -> bool {
        let Some(node) = self.take_worker() else {
            return false;
        };
        let deadline = self.world.faults.while_of(200, 5_000);
        self.world.history.note(node.host.name(), format_args!("stops"));
        let host = node.host.clone();
        self.world.tasks.spawn_bare(async move {
            let _in_order = node.worker.shutdown(deadline).await;
            host.kill();
        });
        if !node.second {
            nodes::start_worker(&self.world, &self.nodes).await;
        }
        true
    }

    async fn second_owner(&self) -> bool {
        let seconds = self
            .nodes
            .lock()
            .workers
            .iter()
            .filter(|node| node.second)
            .count();
        if seconds >= SECONDS {
            return false;
        }
        let all = (0..self.world.plan.partitions).map(Partition);
        let some = all.filter(|_| self.world.faults.chance(50)).collect();
        nodes::start_second_owner(&self.world, &self.nodes, some).await;
        true
    }

    fn deafen(&self) -> bool {
        let hosts: Vec<_> = self
            .nodes
            .lock()
            .workers
            .iter()
            .map(|node| node.host.clone())
            .collect();
        let (speaker, listener) = (self.number(hosts.len()), self.number(hosts.len()));
        let (Some(speaker), Some(listener)) = (hosts.get(speaker), hosts.get(listener)) else {
            return false;
        };
        self.world.hub.deafen(speaker, listener, true);
        let (hub, speaker, listener) = (Arc::clone(&self.world.hub), speaker.clone(), listener.clone());
        self.world
            .wire
            .after(self.world.faults.while_of(1_000, 12_000), move || {
                hub.deafen(&speaker, &listener, false);
            });
        true
    }

    fn take_gateway(&self) -> Option<nodes::GatewayNode> {
        let nth = self.number(self.nodes.lock().gateways.len());
        let mut nodes = self.nodes.lock();
        (nth < nodes.gateways.len()).then(|| nodes.gateways.swap_remove(nth))
    }

    async fn crash_gateway(&self) -> bool {
        let Some(node) = self.take_gateway() else {
            return false;
        };
        nodes::kill_gateway(&self.world, node);
        tokio::time::sleep(self.world.faults.while_of(0, 2_000)).await;
        nodes::start_gateway(&self.world, &self.nodes).await;
        true
    }

    async fn drain_gateway(&self) -> bool {
        let Some(node) = self.take_gateway() else {
            return false;
        };
        nodes::start_gateway(&self.world, &self.nodes).await;
        self.world.history.note(node.host.name(), format_args!("drains"));
        self.world.doors.close(&node.host);
        let over = self.world.faults.while_of(0, 5_000);
        self.world.tasks.spawn_bare(async move {
            node.gateway.drain(over).await;
            node.gateway.shutdown().await;
            node.host.kill();
        });
        true
    }

    fn step_log_time(&self) -> bool {
        let step = i64::try_from(self.world.faults.between(0, STEP)).unwrap_or(0);
        self.world.hub.logs().step(-step);
        true
    }

    /// No partition stops where no log is lost.
    fn look_for_alarms(&self) {
        for node in &self.nodes.lock().workers {
            if let Some(stopped) = nodes::alarm(node) {
                let name = node.host.name();
                self.world
                    .history
                    .violation(format!("worker {name} stopped without need: {stopped}"));
            }
        }
    }

    /// From here on nothing goes wrong any more.
    pub async fn end(&mut self) {
        self.world.faults.heal();
        self.world.hub.logs().step(0);
        self.world.history.note("chaos", format_args!("ends"));
        let hosts: Vec<_> = self
            .nodes
            .lock()
            .workers
            .iter()
            .map(|node| node.host.clone())
            .collect();
        for speaker in &hosts {
            for listener in &hosts {
                self.world.hub.deafen(speaker, listener, false);
            }
            speaker.go_on();
        }
        self.look_for_alarms();
    }

    /// The log loses its end, which the workers must notice; then it is recreated by hand.
    pub async fn lose_the_log(&mut self) {
        self.end().await;
        self.kill_all_workers();
        let lost = self.lose_tails();
        nodes::start_worker(&self.world, &self.nodes).await;
        self.await_alarms(&lost).await;
        self.kill_all_workers();
        for partition in (0..self.world.plan.partitions).map(Partition) {
            let damaged = nodes::is_alarmed(&self.world, partition, ALARM).await;
            // By hand a sound one may be recreated too; what it has not applied is dropped.
            let damaged = damaged || lost.may_stop.contains(&partition);
            if !damaged && self.world.faults.chance(60) {
                continue;
            }
            let epoch = self.world.hub.logs().end(partition).epoch + 1;
            self.world.hub.logs().recreate(partition, epoch);
            self.world.faults.count(Fault::LogRecreated);
        }
        self.world.history.note("chaos", format_args!("recovers the log"));
        for _ in 0..self.world.plan.workers {
            nodes::start_worker(&self.world, &self.nodes).await;
        }
    }

    fn kill_all_workers(&self) {
        let all = std::mem::take(&mut self.nodes.lock().workers);
        for node in all {
            nodes::kill_worker(&self.world, node);
        }
    }

    fn lose_tails(&self) -> Lost {
        let mut all = Lost::default();
        for partition in (0..self.world.plan.partitions).map(Partition) {
            if self.world.faults.chance(40) {
                continue;
            }
            let lost = usize::try_from(self.world.faults.between(1, 20)).unwrap_or(1);
            let tail = self.world.hub.logs().lose_tail(partition, lost);
            if tail.lost.is_empty() {
                continue;
            }
            self.world.faults.count(Fault::TailLost);
            self.world.history.note(
                "chaos",
                format_args!("{partition:?} loses {} entries", tail.lost.len()),
            );
            let reach = nodes::reach(&self.world, partition);
            if reach.least > tail.end {
                all.must_stop.push(partition);
            } else if reach.most > tail.end {
                all.may_stop.push(partition);
            }
        }
        all
    }

    /// The worker that has all partitions stops those, and whoever looks from outside finds them.
    async fn await_alarms(&self, lost: &Lost) {
        for partition in &lost.must_stop {
            if !nodes::is_alarmed(&self.world, *partition, ALARM).await {
                self.world.history.violation(format!(
                    "{partition:?} has lost entries that rows stand for, and nobody says so"
                ));
            }
        }
        let until = Instant::now() + ALARM;
        while Instant::now() < until {
            if self.idle(lost).is_empty() && self.is_alarmed(&lost.must_stop) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        for partition in self.idle(lost) {
            // What a dead worker has sent may have arrived since, and says that this one has lost something too.
            if !nodes::is_alarmed(&self.world, partition, ALARM).await {
                self.world.history.violation(format!(
                    "{partition:?} has lost nothing that counts, and is not at work"
                ));
            }
        }
        if !self.is_alarmed(&lost.must_stop) {
            self.world
                .history
                .violation("a worker goes on where the log has lost what its rows stand for".to_owned());
        }
    }

    /// The partitions that need not stop and that nobody has at work.
    fn idle(&self, lost: &Lost) -> Vec<Partition> {
        let nodes = self.nodes.lock();
        let owned: Vec<_> = nodes
            .workers
            .iter()
            .flat_map(|node| node.worker.owned())
            .collect();
        let all = (0..self.world.plan.partitions).map(Partition);
        let stops =
            |partition: &Partition| lost.must_stop.contains(partition) || lost.may_stop.contains(partition);
        all.filter(|partition| !stops(partition) && !owned.contains(partition))
            .collect()
    }

    /// Whether a worker says that it cannot go on, and does not, where one must stop.
    fn is_alarmed(&self, must_stop: &[Partition]) -> bool {
        self.nodes.lock().workers.iter().all(|node| {
            let owned = node.worker.owned();
            let goes_on = must_stop.iter().any(|partition| owned.contains(partition));
            !goes_on && (must_stop.is_empty() || nodes::alarm(node).is_some())
        })
    }
}
