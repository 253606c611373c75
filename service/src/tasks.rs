//! Tasks with an owner: the one place that spawns.
//!
//! A [`Tasks`] belongs to one running thing (a gateway, a worker). Its tasks see its stop token, and
//! [`Tasks::stop`] waits until the last of them has ended.

use std::future::Future;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// The tasks of one running thing.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Tasks {
    /// No tasks yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Spawns a task under a name that its logs carry.
    pub fn spawn<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.spawn_on(&Handle::current(), name, task);
    }

    /// As [`spawn`](Self::spawn), on a given runtime.
    pub fn spawn_on<F>(&self, runtime: &Handle, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let span = tracing::info_span!(parent: None, "task", name);
        self.tracker.spawn_on(task.instrument(span), runtime);
    }

    /// Spawns a task without a span of its own: for the many (one a socket), where the span would cost memory.
    #[expect(clippy::disallowed_methods, reason = "this is its one home")]
    pub fn spawn_bare<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        tokio::spawn(self.tracker.track_future(task));
    }

    /// Cancelled when the tasks shall end.
    #[must_use]
    pub fn stopping(&self) -> &CancellationToken {
        &self.stop
    }

    /// How many tasks run.
    #[must_use]
    pub fn running(&self) -> usize {
        self.tracker.len()
    }

    /// Tells the tasks to end and waits until all have.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}
