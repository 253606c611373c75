//! The life of one connection: one loop over commands, frames and time.

use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_util::{FutureExt, SinkExt, StreamExt, poll};
use tokio::time::{MissedTickBehavior, interval_at, sleep_until, timeout};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::socket::Socket;
use super::{Command, Device, Ended};
use rand::Rng;

/// How often a device looks at its clock.
const TICK: Duration = Duration::from_secs(2);
/// A ping is sent when nothing was for so long; the service waits 20 s.
const QUIET: Duration = Duration::from_secs(8);
/// A service that takes nothing for so long has lost the connection.
const WRITE: Duration = Duration::from_secs(10);
/// What is taken in one turn, so that one busy connection does not starve the others.
const TURN: usize = 64;

type Frame = Option<Result<Message, Error>>;

impl Device {
    pub(super) async fn live(&mut self, socket: &mut Socket) -> Ended {
        let phase = Duration::from_millis(self.shared.borrow_mut().random.random_range(0..2_000));
        let mut ticks = interval_at((Instant::now() + phase).into(), TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut paused = None::<Instant>;
        let mut wrote = Instant::now();
        loop {
            if !self.out.is_empty() {
                wrote = Instant::now();
                if let Err(ended) = self.write(socket).await {
                    return ended;
                }
            }
            let next = tokio::select! {
                biased;
                command = self.commands.recv() => self.commanded(command),
                frame = socket.next(), if paused.is_none() => self.came(frame),
                () = until(paused), if paused.is_some() => {
                    paused = None;
                    self.reads(true);
                    Ok(())
                }
                _ = ticks.tick() => {
                    self.tick(wrote);
                    Ok(())
                }
            };
            let turned = match next {
                Ok(()) => self.turn(socket, paused.is_none()),
                Err(ended) => Err(ended),
            };
            if let Err(ended) = turned {
                return ended;
            }
            let pausing = self.shared.borrow().pausing;
            if let (Some(pause), None, true) = (self.pause, paused, pausing) {
                paused = Some(Instant::now() + pause);
                self.reads(false);
            }
        }
    }

    /// Everything that is there already.
    fn turn(&mut self, socket: &mut Socket, reading: bool) -> Result<(), Ended> {
        for _ in 0..TURN {
            match self.commands.try_recv() {
                Ok(command) => self.commanded(Some(command))?,
                Err(_) => break,
            }
        }
        for _ in 0..TURN {
            if !reading {
                break;
            }
            match socket.next().now_or_never() {
                Some(frame) => self.came(frame)?,
                None => break,
            }
        }
        Ok(())
    }

    async fn write(&mut self, socket: &mut Socket) -> Result<(), Ended> {
        let frames = std::mem::take(&mut self.out);
        let all = async {
            for frame in frames {
                socket.feed(Message::text(frame)).await?;
            }
            socket.flush().await
        };
        let mut all = pin!(all);
        let written = match poll!(all.as_mut()) {
            Poll::Ready(written) => written,
            Poll::Pending => {
                // The service does not read: what it should have been sent meanwhile is late by its doing.
                let written = timeout(WRITE, all).await;
                self.free_since = Instant::now();
                written.unwrap_or(Err(Error::ConnectionClosed))
            }
        };
        written.map_err(|_| self.lost(None))
    }

    fn commanded(&mut self, command: Option<Command>) -> Result<(), Ended> {
        match command {
            None => return Err(Ended::Done),
            // It was away anyway, by a loss that is timed.
            Some(Command::Away { told, .. }) if told < self.there_since => {}
            Some(Command::Away { until, forgets, .. }) => return Err(Ended::Away(until, forgets)),
            Some(Command::Act { act, chat, at, pick }) => self.act(act, chat, at, pick),
            Some(Command::Loop { chat, in_flight }) => (0..in_flight).for_each(|_| self.send_on(chat)),
            Some(Command::Ask {
                kind,
                payload,
                answer,
            }) => self.ask_for(kind, payload, answer),
        }
        Ok(())
    }

    fn came(&mut self, frame: Frame) -> Result<(), Ended> {
        match frame {
            Some(Ok(Message::Text(text))) => self.told(&text),
            Some(Ok(Message::Close(frame))) => return Err(self.lost(frame.as_ref())),
            Some(Ok(Message::Binary(_))) => self.unreadable("a frame", "it is no text", ""),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return Err(self.lost(None)),
        }
        Ok(())
    }

    pub(super) fn reads(&self, reading: bool) {
        let mut world = self.shared.borrow_mut();
        world.ledger.view_mut(self.number).reads(reading);
    }

    fn tick(&mut self, wrote: Instant) {
        let again = self.pending.overdue(Instant::now());
        if !again.is_empty() {
            self.shared.borrow_mut().stats.counts.repeated += again.len() as u64;
            self.out.extend(again);
        } else if wrote.elapsed() > QUIET {
            self.out.push("ping".to_owned());
        }
    }

    /// When to come back, as the service says it, or soon.
    fn lost(&mut self, frame: Option<&CloseFrame>) -> Ended {
        let mut world = self.shared.borrow_mut();
        let code = frame.map_or(1006, |frame| u16::from(frame.code));
        let refusal = world.stats.refusals.entry(format!("closed {code}"));
        refusal
            .or_insert_with(|| (0, frame.map(|frame| frame.reason.to_string()).unwrap_or_default()))
            .0 += 1;
        let told = frame.filter(|_| matches!(code, 1001 | 1012));
        let told = told.and_then(|frame| frame.reason.parse().ok());
        let wait = told.unwrap_or_else(|| world.random.random_range(0..200));
        Ended::Lost(Duration::from_millis(wait))
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}
