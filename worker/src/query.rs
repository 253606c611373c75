//! Queries: answered from rows alone, which are written before the command that made them is answered. So a client
//! reads its own writes, and any worker answers any query.

mod chat;
mod chats;
mod marks;
mod messages;
mod page;
mod people;
mod reads;

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use confab_bus::{Asked, Bus};
use confab_chat::Timestamp;
use confab_proto::message::{Answer, Query, QueryKind};
use confab_store::Store;
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

use crate::metrics;
use crate::peers::Peers;
use reads::Reads;

/// How many reads one query has under way at a time.
const CONCURRENCY: usize = 16;

/// Answers queries until there are no more, or the worker stops. Several of these share one queue.
pub(crate) async fn answer_all<B: Bus, S: Store>(
    bus: B,
    store: S,
    alone_since: Timestamp,
    peers: Peers,
    queries: Arc<Mutex<mpsc::Receiver<Asked>>>,
    stopping: CancellationToken,
) {
    let reads = Reads::new(store, alone_since, peers);
    loop {
        let next = async { queries.lock().await.recv().await };
        let Some(Some(asked)) = stopping.run_until_cancelled(next).await else {
            return;
        };
        let begun = Instant::now();
        // The task that waits for the next query was woken just now, by this thread and for this thread, where no other thread looks
        // for it. It goes first, or queries would be answered one after the other.
        tokio::task::yield_now().await;
        let Asked {
            query,
            answer: answerer,
        } = asked;
        let kind = kind(&query.what);
        let answer = answer(&reads, query, bus.now()).await;
        metrics::query_seconds(kind).record(begun.elapsed());
        // Whoever asked may have given up.
        let _unwanted = answerer.0.send(answer);
    }
}

fn kind(what: &QueryKind) -> &'static str {
    match what {
        QueryKind::Chats { .. } => "chats",
        QueryKind::Chat { .. } => "chat",
        QueryKind::Messages { .. } => "messages",
    }
}

async fn answer<S: Store>(reads: &Reads<S>, query: Query, now: Timestamp) -> Answer {
    let Query { user, what } = query;
    match what {
        QueryKind::Chats { count, before } => chats::chats(reads, &user, count, before, now).await,
        QueryKind::Chat { chat } => chat::chat(reads, &user, &chat, now).await,
        QueryKind::Messages { chat, page, count } => {
            Box::pin(messages::messages(reads, &user, &chat, page, count)).await
        }
    }
}

/// Awaits all of them, some at a time; the first refusal ends it.
async fn concurrently<F, T, E>(futures: Vec<F>) -> Result<Vec<T>, E>
where
    F: Future<Output = Result<T, E>>,
{
    use futures_util::stream::{self, StreamExt, TryStreamExt};
    stream::iter(futures).buffered(CONCURRENCY).try_collect().await
}
