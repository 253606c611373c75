//! What is not logged: deliveries, queries and announcements, each in a bounded queue of its receiver.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use confab_chat::GatewayId;
use confab_proto::message::{Announcement, Answer, Query, ToGateway};
use parking_lot::{Mutex, RwLock};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::LocalOptions;
use crate::{Answerer, Asked, GatewayEnd, QueryError, WorkerEnd};

pub(super) struct Soft {
    gateways: RwLock<HashMap<GatewayId, mpsc::Sender<ToGateway>>>,
    workers: RwLock<Vec<mpsc::Sender<Asked>>>,
    /// Spreads queries over the workers.
    turn: AtomicUsize,
    listeners: Mutex<Vec<mpsc::Sender<Announcement>>>,
    deliveries: usize,
    queries: usize,
    announcements: usize,
}

impl Soft {
    pub(super) fn new(options: &LocalOptions) -> Self {
        Self {
            gateways: RwLock::default(),
            workers: RwLock::default(),
            turn: AtomicUsize::new(0),
            listeners: Mutex::default(),
            deliveries: options.deliveries,
            queries: options.queries,
            announcements: options.announcements,
        }
    }

    /// The queue of a gateway that is there.
    pub(super) fn gateway(&self, gateway: &GatewayId) -> Option<mpsc::Sender<ToGateway>> {
        self.gateways.read().get(gateway).cloned()
    }

    pub(super) fn join_as_gateway(&self, gateway: &GatewayId) -> GatewayEnd {
        let (to, deliveries) = mpsc::channel(self.deliveries);
        let mut gateways = self.gateways.write();
        gateways.retain(|_, to| !to.is_closed());
        gateways.insert(gateway.clone(), to);
        drop(gateways);
        GatewayEnd {
            deliveries,
            announcements: self.listen(),
        }
    }

    pub(super) fn join_as_worker(&self) -> WorkerEnd {
        let (to, queries) = mpsc::channel(self.queries);
        let mut workers = self.workers.write();
        workers.retain(|to| !to.is_closed());
        workers.push(to);
        drop(workers);
        WorkerEnd {
            queries,
            announcements: self.listen(),
        }
    }

    /// Puts a query to a worker that has room for it.
    pub(super) fn ask(&self, query: Query) -> Result<oneshot::Receiver<Answer>, QueryError> {
        let (answer, answered) = oneshot::channel();
        let mut asked = Asked {
            query,
            answer: Answerer(answer),
        };
        let workers = self.workers.read();
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        for nth in 0..workers.len() {
            match workers[first.wrapping_add(nth) % workers.len()].try_send(asked) {
                Ok(()) => return Ok(answered),
                Err(TrySendError::Full(back) | TrySendError::Closed(back)) => asked = back,
            }
        }
        let why = if workers.is_empty() {
            "there is no worker"
        } else {
            "every worker is busy"
        };
        Err(QueryError(why.to_owned()))
    }

    pub(super) fn announce(&self, announcement: &Announcement) {
        self.listeners.lock().retain(|to| {
            send("announcement", to, announcement.clone());
            !to.is_closed()
        });
    }

    fn listen(&self) -> mpsc::Receiver<Announcement> {
        let (to, announcements) = mpsc::channel(self.announcements);
        self.listeners.lock().push(to);
        announcements
    }
}

/// Sends what may be lost: if the queue is full, it is.
pub(super) fn send<T>(what: &'static str, to: &mpsc::Sender<T>, message: T) {
    if let Err(TrySendError::Full(_)) = to.try_send(message) {
        dropped(what);
    }
}

/// Counts a message that was lost.
pub(super) fn dropped(what: &'static str) {
    metrics::counter!("confab_bus_dropped_total", "what" => what).increment(1);
}
