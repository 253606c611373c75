//! What the client sends: requests, events, acknowledgements, signs of life.

use std::sync::atomic::Ordering;

use confab_bus::Bus;
use confab_chat::{ActorKey, ChatKey, Code, Rejection};
use confab_proto::client::{CloseCode, Incoming, decode, encode};
use confab_proto::message::Signal;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::closing::broken;
use super::rate::Verdict;
use super::{Ended, Session};
use crate::registry::End;

impl<B: Bus> Session<B> {
    /// Takes a frame, or the end of them.
    pub(super) fn on_frame(&mut self, frame: Option<Result<Message, Error>>) -> Result<(), Ended> {
        let message = match frame {
            None | Some(Ok(Message::Close(_))) => return Err(Ended::Gone),
            Some(Err(error)) => return Err(broken(&error)),
            Some(Ok(message)) => message,
        };
        match &message {
            Message::Text(text) => self.on_text(text.as_bytes()),
            Message::Binary(bytes) => self.on_text(bytes),
            Message::Ping(_) => {
                self.heard = Instant::now();
                Ok(())
            }
            Message::Pong(_) | Message::Close(_) | Message::Frame(_) => Ok(()),
        }
    }

    fn on_text(&mut self, frame: &[u8]) -> Result<(), Ended> {
        self.heard = Instant::now();
        self.core().meters.frames_in.increment(1);
        match decode(&self.registered.handle.user, frame) {
            Incoming::Ping => self
                .out
                .push(|out| out.extend_from_slice(encode::PONG.as_bytes())),
            Incoming::Request { id, request } => {
                self.back();
                if !self.within_rate(Some(&id))? {
                    return Ok(());
                }
                match request {
                    Ok(request) => self.ask(id, request),
                    Err(rejection) => self.refuse(Some(&id), &rejection, None),
                }
            }
            Incoming::Invalid { id, rejection } => {
                if self.within_rate(id.as_deref())? {
                    self.refuse(id.as_deref(), &rejection, None);
                }
            }
            Incoming::Ack(id) => {
                self.back();
                self.ack(id);
            }
            Incoming::Typing { chat, stop } => {
                self.back();
                self.typing(chat, stop);
            }
            Incoming::Offline => self.set_away(true),
            Incoming::Ignored => self.back(),
        }
        Ok(())
    }

    /// Counts a request against the client's rate; answers it where it is over.
    fn within_rate(&mut self, id: Option<&str>) -> Result<bool, Ended> {
        let (limit, burst) = (self.core().config.rate_limit, self.core().config.rate_burst);
        match self.rate.take(limit, burst, self.heard) {
            Verdict::Pass => Ok(true),
            Verdict::Close => Err(Ended::By(End::of(CloseCode::RateLimited))),
            Verdict::Refuse(wait) => {
                let rejection = Rejection::new(Code::RateLimited, "too many requests: send fewer a second");
                let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
                self.refuse(id, &rejection, Some(wait));
                Ok(false)
            }
        }
    }

    /// An acknowledgement of an event that was not sent yet is ignored.
    fn ack(&mut self, id: u64) {
        let handle = self.handle();
        if id > handle.forwarded.load(Ordering::Acquire) {
            return;
        }
        let Some(up_to) = self.acks.ack(id) else { return };
        let handle = self.handle();
        let (user, device) = (handle.user.clone(), handle.device.clone());
        self.signal(Signal::Ack { user, device, up_to });
    }

    fn typing(&self, chat: ChatKey, stop: bool) {
        let partition = ActorKey::Chat(chat.clone()).partition(self.core().bus.partitions());
        let user = self.handle().user.clone();
        self.core().signal(partition, Signal::Typing { chat, user, stop });
    }

    /// A client that counts as offline is back with its next request, event or ack.
    fn back(&self) {
        if self.handle().away.load(Ordering::Acquire) {
            self.set_away(false);
        }
    }

    fn set_away(&self, away: bool) {
        let handle = self.handle();
        if handle.away.swap(away, Ordering::AcqRel) == away {
            return;
        }
        self.signal(Signal::Away {
            user: handle.user.clone(),
            gateway: self.core().config.id.clone(),
            session: handle.session,
            away,
        });
    }
}
