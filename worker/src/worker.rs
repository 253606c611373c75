//! The running worker: starts the loops and the query tasks, and stops them in order.

use std::sync::Arc;
use std::time::Duration;

use confab_bus::{Bus, WorkerEnd};
use confab_chat::Partition;
use confab_service::Tasks;
use confab_store::Store;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::health::{Health, NotReady};
use crate::keeper::{Keeper, abandonable};
use crate::metrics;
use crate::partition::Shared;
use crate::peers::Peers;
use crate::query;
use crate::seams::Seams;

/// A running worker. It ends with [`Worker::shutdown`]; one that is only dropped runs on until its runtimes end.
#[derive(Debug)]
pub struct Worker {
    tasks: Tasks,
    health: Health,
    /// Asks the keeper to leave, and tells that it has.
    leave: CancellationToken,
    left: CancellationToken,
    abandon: CancellationToken,
}

impl Worker {
    /// Starts the query tasks and what gives the loops their partitions. Returns once queries reach it; whether the
    /// loops have caught up is for [`Worker::ready`] to say.
    pub async fn start<B: Bus, S: Store>(config: Config, bus: B, store: S) -> Self {
        metrics::describe();
        let tasks = Tasks::new();
        let abandon = CancellationToken::new();
        let health = Health::new(bus.partitions());
        let end = bus.join_as_worker().await;
        let WorkerEnd {
            queries,
            announcements,
        } = end;
        let queries = Arc::new(tokio::sync::Mutex::new(queries));
        let runtime = config.query_runtime.clone().unwrap_or_else(Handle::current);
        let peers = Peers::of(&config.name);
        for _ in 0..config.query_tasks.max(1) {
            let answering = query::answer_all(
                bus.clone(),
                store.clone(),
                config.alone_since.unwrap_or_default(),
                peers.clone(),
                queries.clone(),
                tasks.stopping().clone(),
            );
            tasks.spawn_on(&runtime, "query", abandonable(abandon.clone(), answering));
        }
        let shared = Shared::new(Seams { bus, store }, config, health.clone());
        let (leave, left) = (CancellationToken::new(), CancellationToken::new());
        let keeper = Keeper::start(shared, peers, tasks.clone(), abandon.clone());
        let keeping = {
            let (leave, left) = (leave.clone(), left.clone().drop_guard());
            async move {
                let _left = left;
                keeper.run(announcements, leave).await;
            }
        };
        tasks.spawn("keeper", abandonable(abandon.clone(), keeping));
        Self {
            tasks,
            health,
            leave,
            left,
            abandon,
        }
    }

    /// Waits until it is known which partitions are this worker's, and each of them has applied what its log held when
    /// it was begun.
    ///
    /// # Errors
    /// When one of them has stopped with an alarm: it will not get ready.
    pub async fn ready(&self) -> Result<(), NotReady> {
        self.health.ready().await
    }

    /// Whether every partition that is this worker's is caught up and at work.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.health.is_ready()
    }

    /// The partitions at work here. While one moves it is at work in two places.
    #[must_use]
    pub fn owned(&self) -> Vec<Partition> {
        self.health.owned()
    }

    /// Waits until a partition stops with an alarm, which it may never. It stays stopped as long as this worker runs;
    /// the others go on.
    pub async fn failure(&self) -> NotReady {
        self.health.failure().await
    }

    /// Stops in order: other workers take the partitions over where they are shared, batches at hand are finished,
    /// changed states and checkpoints written. What is not done by the deadline is left to the next owner, as after a
    /// crash. Returns whether all was done.
    pub async fn shutdown(self, deadline: Duration) -> bool {
        let stopping = async {
            self.leave.cancel();
            self.left.cancelled().await;
            self.tasks.stop().await;
        };
        let in_order = tokio::time::timeout(deadline, stopping).await.is_ok();
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
