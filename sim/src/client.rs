//! A device as an SDK drives it: it keeps a cursor and an outbox, connects again when it has to, and sends again what was
//! not answered.

mod acks;
mod inbound;
mod known;
mod link;
mod moves;
mod outbox;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use crate::faults::{Fault, Faults};
use crate::history::History;
use crate::plan::Someone;
use acks::Acks;
use known::Known;
use link::Socket;
pub use link::{Accepted, Door, Doors};
use outbox::Outbox;

/// What all are to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Whatever comes to their mind.
    Busy,
    /// Finish what is begun.
    Settle,
}

/// How far a device is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// The last event processed.
    pub cursor: Option<u64>,
    /// Requests without an answer.
    pub open: usize,
    /// It has said its last word.
    pub last_word: bool,
    /// How many things have come to its mind.
    pub moves: u32,
}

/// What all devices share.
#[derive(Debug)]
pub struct Shared {
    /// Where everything is noted.
    pub history: Arc<History>,
    /// The gateways.
    pub doors: Arc<Doors>,
    /// The dice.
    pub faults: Arc<Faults>,
    /// Everybody.
    pub users: Vec<String>,
    /// What to do.
    pub phase: watch::Receiver<Phase>,
    /// How far each device is.
    pub progress: Mutex<BTreeMap<(String, String), Progress>>,
}

/// How a device behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Habits {
    /// The longest it thinks before it does something, in milliseconds.
    pub pause: u64,
    /// Acknowledges so many of a hundred events.
    pub acks: u64,
    /// Says where it stands when it connects, so many times of a hundred.
    pub names_cursor: u64,
}

/// Why a connection is over.
enum Left {
    /// The other end closed or broke it; how long to stay away.
    Lost(Duration),
    /// It is left open, and nobody is at this end.
    HalfOpen,
}

/// A device.
pub struct Device {
    shared: Arc<Shared>,
    user: String,
    name: String,
    who: String,
    rng: StdRng,
    someone: Someone,
    /// How many things have come to its mind.
    moves: u32,
    cursor: Option<u64>,
    acks: Acks,
    outbox: Outbox,
    known: Known,
    /// The connection at present.
    connection: usize,
    reads_again: Option<Instant>,
    last_word: Option<Instant>,
}

/// A request of which nothing was heard for so long is one whose connection is dead.
const PATIENCE: Duration = Duration::from_secs(9);
/// So much of a frame is noted.
const SHOWN: usize = 2_000;
/// How often something is sent.
const PING: Duration = Duration::from_secs(8);
/// How long a connection of which one end knows nothing is kept.
const GRAVE: Duration = Duration::from_secs(60);

impl Device {
    /// A device that was never connected.
    #[must_use]
    pub fn new(shared: Arc<Shared>, someone: &Someone) -> Self {
        Self {
            shared,
            user: someone.user.clone(),
            name: someone.device.clone(),
            who: format!("{}/{}", someone.user, someone.device),
            rng: StdRng::seed_from_u64(someone.seed),
            someone: someone.clone(),
            moves: 0,
            cursor: None,
            acks: Acks::default(),
            outbox: Outbox::default(),
            known: Known::default(),
            connection: 0,
            reads_again: None,
            last_word: None,
        }
    }

    /// Lives, for ever.
    pub async fn run(mut self) {
        self.pause(0, 1_000).await;
        loop {
            let Some((socket, door)) = self.connect().await else {
                self.pause(50, 800).await;
                continue;
            };
            let mut socket = Box::new(socket);
            let left = self.converse(&mut socket, &door).await;
            self.outbox.nothing_is_under_way();
            self.reads_again = None;
            match left {
                Left::Lost(away) => {
                    drop(socket);
                    tokio::time::sleep(away).await;
                }
                Left::HalfOpen => self.shared.doors.bury(*socket, GRAVE),
            }
            self.pause(0, 300).await;
        }
    }

    async fn pause(&mut self, low: u64, high: u64) {
        let pause = self.rng.random_range(low..=high);
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }

    fn note(&self, what: std::fmt::Arguments<'_>) -> u64 {
        self.shared.history.note(&self.who, what)
    }

    fn phase(&self) -> Phase {
        *self.shared.phase.borrow()
    }

    fn report(&self) {
        let progress = Progress {
            cursor: self.cursor,
            open: self.outbox.len(),
            last_word: self.last_word.is_some(),
            moves: self.moves,
        };
        let key = (self.user.clone(), self.name.clone());
        self.shared.progress.lock().insert(key, progress);
    }

    async fn converse(&mut self, socket: &mut Socket, door: &Door) -> Left {
        let mut phase = self.shared.phase.clone();
        let mut moves_at = Instant::now() + self.think();
        let mut pings_at = Instant::now() + PING;
        loop {
            self.report();
            if let Err(left) = self.send_out(socket).await {
                return left;
            }
            let reads_at = self.reads_again.unwrap_or_else(Instant::now);
            let wakes_at = moves_at.min(pings_at).min(self.outbox.wakes_at());
            tokio::select! {
                biased;
                () = door.host().death() => return Left::Lost(Duration::ZERO),
                changed = phase.changed() => if changed.is_err() {
                    std::future::pending::<()>().await;
                },
                () = tokio::time::sleep_until(reads_at), if self.reads_again.is_some() => self.reads_again = None,
                frame = socket.next(), if self.reads_again.is_none() => {
                    if let Some(left) = self.on_frame(frame) {
                        return left;
                    }
                }
                () = tokio::time::sleep_until(wakes_at) => {
                    let now = Instant::now();
                    if self.outbox.oldest().is_some_and(|sent| sent + PATIENCE <= now) && self.reads_again.is_none() {
                        self.note(format_args!("gives the connection up"));
                        return Left::Lost(Duration::ZERO);
                    }
                    if pings_at <= now {
                        pings_at = now + PING;
                        self.outbox.say("ping".to_owned());
                    }
                    if moves_at <= now {
                        moves_at = now + self.think();
                        if let Some(left) = self.misfortune() {
                            return left;
                        }
                        self.moves();
                    }
                }
            }
        }
    }

    fn think(&mut self) -> Duration {
        Duration::from_millis(self.rng.random_range(10..=self.someone.habits.pause))
    }

    /// What happens to a client, sometimes.
    fn misfortune(&mut self) -> Option<Left> {
        let faults = Arc::clone(&self.shared.faults);
        if faults.strikes(Fault::ClientCut) {
            self.note(format_args!("is cut off"));
            return Some(Left::Lost(Duration::ZERO));
        }
        if faults.strikes(Fault::HalfOpen) {
            self.note(format_args!("leaves the connection half open"));
            return Some(Left::HalfOpen);
        }
        if faults.strikes(Fault::ClientCrash) {
            self.note(format_args!("crashes"));
            self.outbox.forget();
            // What it has stored is what it has acknowledged.
            self.cursor = self.acks.up_to().or(self.cursor);
            return Some(Left::Lost(Duration::ZERO));
        }
        if faults.strikes(Fault::SlowReader) {
            let pause = Duration::from_millis(self.rng.random_range(500..15_000));
            self.note(format_args!("does not read for {pause:?}"));
            self.reads_again = Some(Instant::now() + pause);
        }
        None
    }

    async fn send_out(&mut self, socket: &mut Socket) -> Result<(), Left> {
        while let Some(frame) = self.next_frame() {
            let text: String = frame.chars().take(SHOWN).collect();
            // Either is the same to a gateway.
            let message = match frame.len() % 16 {
                0 => Message::Binary(frame.into_bytes().into()),
                _ => Message::Text(frame.into()),
            };
            let sending = socket.send(message);
            match tokio::time::timeout(PATIENCE, sending).await {
                Ok(Ok(())) => {
                    self.note(format_args!("> {text}"));
                }
                Ok(Err(_)) | Err(_) => return Err(Left::Lost(Duration::ZERO)),
            }
        }
        Ok(())
    }

    /// The next frame to send; a request is noted as sent.
    fn next_frame(&mut self) -> Option<String> {
        if let Some(said) = self.outbox.next_said() {
            return Some(said);
        }
        let (op, frame) = self.outbox.next_request(Instant::now())?;
        let connection = self.connection;
        let step = self.note(format_args!("asks {op}"));
        self.shared
            .history
            .with(|records| records.ops[op].sends.push((step, connection)));
        Some(frame)
    }

    /// Thinks of a request.
    fn request(&mut self, kind: &'static str, payload: Value) {
        let op = crate::history::Op {
            user: self.user.clone(),
            device: self.name.clone(),
            kind,
            payload: payload.clone(),
            sends: Vec::new(),
            outcome: crate::history::Outcome::Open,
        };
        let number = self.shared.history.with(|records| {
            records.ops.push(op);
            records.ops.len() - 1
        });
        self.outbox.put(number, kind, payload);
    }
}
