//! A worker on a thread of its own that can be stopped as a process is by SIGSTOP: none of its tasks runs, and what is
//! sent to it waits.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use confab_bus::Bus;
use confab_store::Store;
use confab_worker::{Config, Worker};
use tokio::sync::mpsc;

/// A running worker.
pub(crate) struct Pausable {
    pauses: mpsc::Sender<std::sync::mpsc::Receiver<()>>,
    thread: JoinHandle<()>,
}

/// A worker that is stopped, until it is let go on.
pub(crate) struct Paused(SyncSender<()>);

impl Pausable {
    /// Starts it, and waits until it is ready.
    pub(crate) async fn start(config: Config, bus: impl Bus, store: impl Store) -> Self {
        let (pauses, mut paused) = mpsc::channel::<std::sync::mpsc::Receiver<()>>(1);
        let (ready, is_ready) = tokio::sync::oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let worker = Worker::start(config, bus, store).await;
                worker.ready().await.unwrap();
                ready.send(()).unwrap();
                while let Some(pause) = paused.recv().await {
                    // Blocks the one thread that the worker has.
                    let _let_go = pause.recv();
                }
                worker.abort().await;
            });
        });
        super::in_time("the worker", is_ready).await.unwrap();
        Self { pauses, thread }
    }

    /// Stops it; from the return on nothing of it runs.
    pub(crate) async fn pause(&self) -> Paused {
        let (go_on, stopped) = sync_channel(0);
        self.pauses.send(stopped).await.unwrap();
        // Taken out of the queue by the thread that is then blocked.
        let taken = async {
            while self.pauses.capacity() == 0 {
                tokio::task::yield_now().await;
            }
        };
        super::in_time("the pause", taken).await;
        Paused(go_on)
    }

    /// Ends it, as a crash does.
    pub(crate) async fn abort(self) {
        drop(self.pauses);
        let ended = tokio::task::spawn_blocking(move || self.thread.join());
        super::in_time("the worker's end", ended).await.unwrap().unwrap();
    }
}

impl Paused {
    /// Lets it go on.
    pub(crate) fn go_on(self) {
        drop(self.0);
    }
}
