//! The home of every task of the NATS form: they end with the last clone of the bus.

use std::future::Future;

use parking_lot::Mutex;
use tokio::task::JoinSet;

#[derive(Debug, Default)]
pub(super) struct Tasks(Mutex<JoinSet<()>>);

impl Tasks {
    /// Runs a task until it ends or the bus does.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.0.lock();
        while let Some(ended) = tasks.try_join_next() {
            if let Err(error) = ended
                && error.is_panic()
            {
                tracing::error!(%error, "a task of the bus has panicked");
            }
        }
        tasks.spawn(task);
    }

    /// Ends them all.
    pub(super) fn abort(&self) {
        self.0.lock().abort_all();
    }
}
