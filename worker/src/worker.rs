//! The running worker: starts the loops and the query tasks, says that it lives, and stops in order.

use std::sync::Arc;
use std::time::Duration;

use confab_bus::{Bus, WorkerEnd};
use confab_chat::Partition;
use confab_proto::message::Announcement;
use confab_service::Tasks;
use confab_store::Store;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::health::{Health, NotReady};
use crate::metrics;
use crate::partition::{self, Shared};
use crate::query;
use crate::seams::Seams;

/// How often a worker says that it lives.
const ALIVE_EVERY: Duration = Duration::from_secs(1);

/// A running worker. It ends with [`Worker::shutdown`]; one that is only dropped runs on until its runtime ends.
#[derive(Debug)]
pub struct Worker {
    tasks: Tasks,
    health: Health,
    abandon: CancellationToken,
}

impl Worker {
    /// Starts the loops of all partitions, and the query tasks. Returns once queries reach it; whether the loops have
    /// caught up is for [`Worker::ready`] to say.
    pub async fn start<B: Bus, S: Store>(config: Config, bus: B, store: S) -> Self {
        metrics::describe();
        let tasks = Tasks::new();
        let abandon = CancellationToken::new();
        let partitions = bus.partitions();
        let health = Health::new(partitions);
        let end = bus.join_as_worker().await;
        let config = Arc::new(config);
        let shared = Shared {
            seams: Seams {
                bus: bus.clone(),
                store: store.clone(),
            },
            config: config.clone(),
            health: health.clone(),
            stopping: tasks.stopping().clone(),
        };
        for number in 0..partitions {
            let owned = partition::own(shared.clone(), Partition(number));
            tasks.spawn("partition", abandonable(abandon.clone(), owned));
        }
        let WorkerEnd {
            queries,
            announcements,
        } = end;
        let queries = Arc::new(tokio::sync::Mutex::new(queries));
        for _ in 0..config.query_tasks.max(1) {
            let answering = query::answer_all(
                bus.clone(),
                store.clone(),
                config.alone_since.unwrap_or_default(),
                queries.clone(),
                tasks.stopping().clone(),
            );
            tasks.spawn("query", abandonable(abandon.clone(), answering));
        }
        let alive = say_alive(
            bus,
            config,
            health.clone(),
            announcements,
            tasks.stopping().clone(),
        );
        tasks.spawn("alive", abandonable(abandon.clone(), alive));
        Self {
            tasks,
            health,
            abandon,
        }
    }

    /// Waits until every partition has applied what its log held at the start.
    ///
    /// # Errors
    /// When a partition has stopped with an alarm: it will not get ready.
    pub async fn ready(&self) -> Result<(), NotReady> {
        self.health.ready().await
    }

    /// Whether every partition is caught up and at work.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.health.is_ready()
    }

    /// Waits until a partition stops with an alarm, which it may never.
    pub async fn failure(&self) -> NotReady {
        self.health.failure().await
    }

    /// Stops in order: batches at hand are finished, changed states and checkpoints written. What is not done by the
    /// deadline is left to the next owner, as after a crash. Returns whether all was done.
    pub async fn shutdown(self, deadline: Duration) -> bool {
        let in_order = tokio::time::timeout(deadline, self.tasks.stop()).await.is_ok();
        if !in_order {
            tracing::warn!("the worker did not finish in time, the next one replays what it left");
            self.abort().await;
        }
        in_order
    }

    /// Ends at once, wherever each task waits: what a crash would leave.
    pub async fn abort(self) {
        self.abandon.cancel();
        self.tasks.stop().await;
    }
}

async fn abandonable(abandon: CancellationToken, task: impl Future<Output = ()>) {
    let _abandoned = abandon.run_until_cancelled(task).await;
}

async fn say_alive<B: Bus>(
    bus: B,
    config: Arc<Config>,
    health: Health,
    mut announcements: mpsc::Receiver<Announcement>,
    stopping: CancellationToken,
) {
    let mut every = tokio::time::interval(ALIVE_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut listening = true;
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = every.tick() => {
                let worker = config.name.clone();
                bus.announce(Announcement::Alive { worker, partitions: health.at_work() }).await;
            }
            // Nothing here follows from the others' announcements: every worker owns every partition. They are
            // taken so that they do not pile up.
            heard = announcements.recv(), if listening => listening = heard.is_some(),
        }
    }
}
