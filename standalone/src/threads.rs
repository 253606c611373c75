//! The threads of a process.
//!
//! Where the tables are in this process they have threads of their own: one commits, one saves, one merges. And each thread of the
//! runtime that has work wakes others to share it, which costs more than it brings while one is enough. So there the runtime has one
//! thread less than there are cores. On two cores a message takes 10 to 20% less CPU so, where two threads hold a higher rate.
//!
//! Queries are answered by further threads there: one may read from the disk, which blocks its thread, and a list of chats takes as
//! long as many messages. Messages would wait for them. (A loop reads, too: what an actor that it has not in memory was, and what a
//! device has missed. It waits for that itself.)

use std::io;
use std::num::NonZeroUsize;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::allocator;

/// How many threads can run at once here.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, NonZeroUsize::get)
}

/// What everything runs on: sockets, loops, connections to engines. It has as many `threads` as are asked for; else as many as suit
/// it, by whether the tables are in this process.
pub(crate) fn runtime(threads: Option<usize>, beside_tables: bool) -> io::Result<Runtime> {
    let suited = if beside_tables {
        (cores() - 1).max(1)
    } else {
        cores()
    };
    let mut builder = Builder::new_multi_thread();
    builder
        .worker_threads(threads.unwrap_or(suited))
        .thread_name("confab-messages");
    builder.enable_all().on_thread_park(allocator::give_back).build()
}

/// The runtime on which queries are answered. It ends when this is dropped: whoever wants its answers waits for its tasks first.
pub(crate) struct QueryThreads(Option<Runtime>);

impl QueryThreads {
    /// At most so many: as many queries are answered at a time.
    pub(crate) fn start(most: usize) -> io::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        builder
            .worker_threads(cores().min(most))
            .thread_name("confab-query");
        let runtime = builder.enable_time().on_thread_park(allocator::give_back).build();
        Ok(Self(Some(runtime?)))
    }

    /// To spawn on it.
    pub(crate) fn handle(&self) -> Option<Handle> {
        self.0.as_ref().map(|runtime| runtime.handle().clone())
    }
}

impl Drop for QueryThreads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // Waiting for it would block a thread of the other runtime.
            runtime.shutdown_background();
        }
    }
}
