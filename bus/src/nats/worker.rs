//! A worker's end of the bus: the queries that fall to it, and what is said to everybody.

use std::sync::Arc;

use async_nats::{HeaderMap, Message, Subject, Subscriber};
use confab_proto::message::{Announcement, Answer, Query};
use confab_proto::wire::Wire;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::core::Core;
use super::gateway::{ANNOUNCEMENTS, decode_announcement};
use super::metrics;
use super::soft::NO_ANSWER;
use super::subjects::QUERY_GROUP;
use super::tasks::Tasks;
use crate::{Answerer, Asked, WorkerEnd};

/// Most queries that this worker has taken and not answered.
const QUERIES: usize = 4 * 1024;

struct Pump {
    core: Arc<Core>,
    queries: mpsc::Sender<Asked>,
    announcements: mpsc::Sender<Announcement>,
    /// Those that are being answered.
    asked: FuturesUnordered<BoxFuture<'static, ()>>,
}

/// Subscribes, and returns once that stands.
pub(super) async fn join(core: &Arc<Core>, tasks: &Tasks) -> WorkerEnd {
    let (queries, asked) = mpsc::channel(QUERIES);
    let (announcements, heard) = mpsc::channel(ANNOUNCEMENTS);
    let subject = core.subjects.query();
    let arrived = core.client.queue_subscribe(subject, QUERY_GROUP.to_owned()).await;
    let announced = core.client.subscribe(core.subjects.announce()).await;
    core.settled().await;
    match (arrived, announced) {
        (Ok(arrived), Ok(announced)) => {
            let pump = Pump {
                core: Arc::clone(core),
                queries,
                announcements,
                asked: FuturesUnordered::new(),
            };
            tasks.spawn(pump.run(arrived, announced));
        }
        // Only once the connection is closed: both ends of the worker are over then.
        (Err(error), _) | (_, Err(error)) => tracing::warn!(%error, "a worker cannot join"),
    }
    WorkerEnd {
        queries: asked,
        announcements: heard,
    }
}

impl Pump {
    async fn run(mut self, mut arrived: Subscriber, mut announced: Subscriber) {
        loop {
            tokio::select! {
                message = arrived.next() => {
                    let Some(message) = message else { return };
                    self.ask(message);
                }
                Some(()) = self.asked.next() => {}
                message = announced.next() => {
                    let Some(message) = message else { return };
                    let announcement = decode_announcement(&message);
                    let sent = announcement.map(|announcement| self.announcements.try_send(announcement));
                    if let Some(Err(TrySendError::Full(_))) = sent {
                        metrics::dropped("announcement");
                    }
                }
                () = self.queries.closed() => break,
            }
        }
        drop(announced);
        self.leave(arrived).await;
    }

    /// Refuses what still comes until the server knows that this worker is gone, and answers what is being answered.
    async fn leave(mut self, mut arrived: Subscriber) {
        if arrived.drain().await.is_ok() {
            while let Some(message) = arrived.next().await {
                self.ask(message);
            }
        }
        while self.asked.next().await.is_some() {}
    }

    /// Hands a query to the worker, or says at once that it will not be answered.
    fn ask(&self, message: Message) {
        let Some(reply) = message.reply else { return };
        let refuse = |why: String| {
            let refusal = refuse(Arc::clone(&self.core), reply.clone(), why);
            self.asked.push(Box::pin(refusal));
        };
        let query = match Query::decode(&message.payload) {
            Ok(query) => query,
            Err(error) => {
                metrics::undecodable("query");
                return refuse(error.to_string());
            }
        };
        if self.asked.len() >= QUERIES {
            return refuse("the worker is busy".to_owned());
        }
        let (answer, answered) = oneshot::channel();
        let asked = Asked {
            query,
            answer: Answerer(answer),
        };
        match self.queries.try_send(asked) {
            Ok(()) => {
                let core = Arc::clone(&self.core);
                self.asked.push(Box::pin(answer_query(core, reply, answered)));
            }
            Err(TrySendError::Full(_)) => refuse("the worker is busy".to_owned()),
            Err(TrySendError::Closed(_)) => refuse("the worker is leaving".to_owned()),
        }
    }
}

async fn answer_query(core: Arc<Core>, reply: Subject, answered: oneshot::Receiver<Answer>) {
    let Ok(answer) = answered.await else {
        return refuse(core, reply, "the worker did not answer".to_owned()).await;
    };
    let sent = core.client.publish(reply.clone(), answer.encode()).await;
    if let Err(error) = sent {
        tracing::warn!(%error, "an answer cannot be sent");
        refuse(core, reply, format!("the answer cannot be sent: {error}")).await;
    }
}

async fn refuse(core: Arc<Core>, reply: Subject, why: String) {
    let mut headers = HeaderMap::new();
    // A header is one line.
    headers.insert(NO_ANSWER, why.replace(['\r', '\n'], " ").as_str());
    let sent = core
        .client
        .publish_with_headers(reply, headers, bytes::Bytes::new());
    if let Err(error) = sent.await {
        tracing::debug!(%error, "a refusal cannot be sent");
    }
}
