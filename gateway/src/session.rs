//! One socket: one task, one `select!`, bounded queues both ways. It never waits for the bus: appends and queries go on
//! beside it, and a signal that the bus does not take at once is lost, as any may be.
//!
//! Each turn takes some frames of the client, so that what is pipelined is appended together, and then what workers have
//! sent meanwhile, so that neither side can keep the other waiting. What workers send waits in a queue of
//! [`QUEUE`](crate::config::QUEUE); a socket that lets it fill up is closed with 4009. Frames that are ready are written
//! together and flushed once.

mod acks;
mod closing;
mod feed;
mod frames;
mod inbound;
mod lanes;
mod outbound;
mod queries;
mod rate;
mod requests;

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use confab_bus::Bus;
use confab_proto::client::CloseCode;
use confab_proto::message::{Attach, AttachFrom, Profile, Signal};
use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

use self::acks::Acks;
use self::closing::close;
use self::feed::{Feed, Then};
use self::frames::Frames;
use self::outbound::Outbound;
use self::queries::Asking;
use self::rate::Rate;
use self::requests::Requests;
use crate::accept::Place;
use crate::config::{OPEN_TIMEOUT, WRITE_TIMEOUT};
use crate::gateway::Core;
use crate::handshake::{Admitted, Registered};
use crate::metrics;
use crate::registry::{End, Handle};
use crate::stream::{Stream, Transport};

type Socket<S> = WebSocketStream<Stream<S>>;

/// Messages from workers that are taken in one turn.
const MAILS: usize = 64;
/// Frames of the client that are taken in one turn.
const FRAMES: usize = 32;
/// A token that ends later than this does not end while a connection is open.
const FAR: Duration = Duration::from_secs(365 * 86_400);

/// What a session keeps while its socket is open.
struct Session<B: Bus> {
    registered: Registered<B>,
    feed: Feed,
    acks: Acks,
    rate: Rate,
    requests: Requests,
    out: Outbound,
    /// When the client was last heard of.
    heard: Instant,
    opened: Instant,
    expires: Option<Instant>,
    /// Until the mailbox has it.
    profile: Option<Box<Profile>>,
}

/// How a session ended.
enum Ended {
    /// The client closed, or its connection broke.
    Gone,
    /// The service closes.
    By(End),
}

/// A session that its mailbox knows, or at least has been told of, and whose socket is about to open.
pub(crate) struct Opening<B: Bus>(Session<B>);

impl<B: Bus> Opening<B> {
    /// Attaches. The client learns that it is connected once its cursor is set: from then on no event passes it by.
    /// Where the mailbox does not answer, the client is let in after a while all the same, and attached later: the gateway
    /// cannot tell a bus that is away from a partition that has no owner just now, while all but this user's events may
    /// well be at work. Whoever comes then is where those are who were connected before, and nobody has to connect again.
    pub(crate) async fn attach(admitted: Box<Admitted<B>>) -> Box<Self> {
        let mut opening = Box::new(Self(Session::new(*admitted)));
        let known = opening.until_known();
        if tokio::time::timeout(OPEN_TIMEOUT, known).await.is_err() {
            tracing::warn!("a mailbox does not answer; its client is let in nevertheless");
        }
        opening
    }

    /// By a call of its own: what is moved out of a box leaves the box's memory taken until the end of its scope, which
    /// would be the end of the connection.
    fn into_session(self: Box<Self>) -> Session<B> {
        self.0
    }

    async fn until_known(&mut self) {
        let Self(session) = self;
        let handle = Arc::clone(&session.registered.handle);
        let first = session.feed.attach_again(Instant::now());
        session.follow(first);
        while !session.feed.has_begun() {
            let again = session.feed.wakes_at().unwrap_or_else(Instant::now);
            tokio::select! {
                biased;
                () = handle.inbox.arrival() => session.on_mails(),
                () = tokio::time::sleep_until(again) => {
                    let then = session.feed.wake(Instant::now());
                    session.follow(then);
                }
            }
        }
    }
}

/// Serves a socket until it ends. The caller's place among the connections is held until all is over.
#[expect(
    clippy::manual_async_fn,
    reason = "what a block captures is in its future once, the arguments of an async function twice"
)]
pub(crate) fn run<B: Bus, S: Transport>(
    mut socket: Socket<S>,
    opening: Box<Opening<B>>,
    place: Place<B>,
) -> impl Future<Output = ()> + Send {
    async move {
        let mut session = opening.into_session();
        let ended = session.serve(&mut socket).await;
        // What is done once, or rarely, has its memory only meanwhile: all of a task's memory is there as long as the task
        // is.
        session.count_end(&ended);
        let draining = matches!(&ended, Ended::By(end) if end.is_draining());
        Box::pin(session.registered.detach(draining)).await;
        let rest = session.out.take();
        drop(session);
        Box::pin(close(socket, rest, ended)).await;
        drop(place);
    }
}

impl<B: Bus> Session<B> {
    fn new(admitted: Admitted<B>) -> Self {
        let now = Instant::now();
        let left = |at: u64| Duration::from_millis(at.saturating_sub(confab_service::clock::now_millis()));
        Self {
            feed: Feed::new(admitted.last_event_id, now),
            acks: Acks::default(),
            rate: Rate::new(admitted.registered.core.config.rate_burst, now),
            requests: Requests::default(),
            out: Outbound::default(),
            heard: now,
            opened: now,
            expires: admitted
                .expires_at
                .map(left)
                .filter(|left| *left < FAR)
                .map(|left| now + left),
            profile: Some(Box::new(admitted.profile)),
            registered: admitted.registered,
        }
    }

    fn core(&self) -> &Core<B> {
        &self.registered.core
    }

    fn handle(&self) -> &Handle {
        &self.registered.handle
    }

    async fn serve<S: Transport>(&mut self, socket: &mut Socket<S>) -> Ended {
        let handle = Arc::clone(&self.registered.handle);
        let mut asking = Asking::default();
        self.heard = Instant::now();
        let mut timer = pin!(tokio::time::sleep_until(self.next_deadline()));
        // One wait for all turns: to begin it anew at each costs more than it looks.
        let mut end = pin!(handle.ended());
        if let Err(ended) = self.put_out(socket, end.as_mut(), &mut asking).await {
            return ended;
        }
        loop {
            let outcome = tokio::select! {
                biased;
                end = &mut end => Err(Ended::By(end)),
                frame = socket.next(), if self.requests.has_room() => self.on_frames(frame, socket),
                (request, result) = self.requests.appended() => {
                    self.on_appended(request, result);
                    Ok(())
                }
                done = asking.done() => {
                    self.on_done(done);
                    Ok(())
                }
                () = handle.inbox.arrival() => Ok(()),
                () = &mut timer => Ok(()),
            };
            if let Err(ended) = outcome {
                return ended;
            }
            self.on_mails();
            self.on_appends();
            if timer.deadline() <= Instant::now() {
                if let Err(ended) = self.on_time() {
                    return ended;
                }
                timer.as_mut().reset(self.next_deadline());
            }
            if let Err(ended) = self.put_out(socket, end.as_mut(), &mut asking).await {
                return ended;
            }
            let due = self.next_deadline();
            if due < timer.deadline() {
                timer.as_mut().reset(due);
            }
        }
    }

    /// Takes a frame and those behind it that are there already.
    fn on_frames<S: Transport>(
        &mut self,
        first: Option<Result<Message, Error>>,
        socket: &mut Socket<S>,
    ) -> Result<(), Ended> {
        self.on_frame(first)?;
        for _ in 1..FRAMES {
            if !self.requests.has_room() {
                break;
            }
            let Some(frame) = socket.next().now_or_never() else {
                break;
            };
            self.on_frame(frame)?;
        }
        Ok(())
    }

    /// Writes all that is ready, and asks for what is not.
    async fn put_out<S: Transport>(
        &mut self,
        socket: &mut Socket<S>,
        mut end: Pin<&mut impl Future<Output = End>>,
        asking: &mut Asking,
    ) -> Result<(), Ended> {
        loop {
            let more = self.gather_events();
            self.ask_queries(asking);
            self.write(socket, end.as_mut()).await?;
            if !more {
                return Ok(());
            }
        }
    }

    /// The next moment at which [`Session::on_time`] has something to do.
    fn next_deadline(&self) -> Instant {
        let silent = self.heard + self.core().config.ping_timeout;
        let others = [self.requests.next_deadline(), self.feed.wakes_at(), self.expires];
        others.into_iter().flatten().fold(silent, Instant::min)
    }

    fn on_time(&mut self) -> Result<(), Ended> {
        let now = Instant::now();
        if !self.requests.has_room() {
            // Who is not read cannot be heard.
            self.heard = now;
        }
        if self.expires.is_some_and(|at| at <= now) {
            return Err(Ended::By(End::of(CloseCode::TokenExpired)));
        }
        if self.heard + self.core().config.ping_timeout <= now {
            return Err(Ended::By(End::of(CloseCode::NoPing)));
        }
        self.time_out_requests(now);
        let then = self.feed.wake(now);
        self.follow(then);
        Ok(())
    }

    /// Attaches, where the feed says so.
    fn follow(&self, then: Then) {
        let Then::Attach(from) = then else { return };
        let repeat = matches!(from, AttachFrom::After(_));
        if repeat {
            metrics::reattached();
        }
        let handle = self.handle();
        handle.known.store(true, Ordering::Release);
        let attach = Attach {
            user: handle.user.clone(),
            device: handle.device.clone(),
            gateway: self.core().config.id.clone(),
            session: handle.session,
            from,
            repeat,
            away: handle.away.load(Ordering::Acquire),
            profile: self.profile.as_deref().cloned(),
        };
        self.signal(Signal::Attach(attach));
    }

    /// Tells the owner of the user's mailbox.
    fn signal(&self, signal: Signal) {
        self.core().signal(self.handle().mailbox, signal);
    }

    fn count_end(&self, ended: &Ended) {
        if let Ended::By(end) = ended {
            metrics::closed(end.code);
            tracing::debug!(user = %self.handle().user, code = end.code, "closes");
        }
    }

    /// Writes what is ready and flushes once.
    async fn write<S: Transport>(
        &mut self,
        socket: &mut Socket<S>,
        end: Pin<&mut impl Future<Output = End>>,
    ) -> Result<(), Ended> {
        if self.out.is_empty() {
            return Ok(());
        }
        let frames = self.out.frames();
        self.registered.core.meters.frames_out.increment(frames.count());
        let writing = tokio::time::timeout(WRITE_TIMEOUT, write_all(socket, frames));
        tokio::select! {
            biased;
            written = writing => match written {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(Ended::Gone),
                Err(_) => return Err(Ended::By(End::of(CloseCode::TooSlow))),
            },
            end = end => return Err(Ended::By(end)),
        }
        if let Some(id) = self.out.written() {
            self.handle().forwarded.store(id, Ordering::Release);
        }
        Ok(())
    }
}

/// Writes frames past the WebSocket layer, after what stands in line there: a pong. Nothing is read meanwhile, so no
/// further one gets between.
async fn write_all<S: Transport>(socket: &mut Socket<S>, frames: &mut Frames) -> Result<(), Error> {
    socket.flush().await?;
    Ok(frames.write_to(socket.get_mut()).await?)
}

#[cfg(test)]
mod tests {
    use confab_bus::local::Local;
    use tokio::net::TcpStream;

    /// The size of what an async function of three arguments gives.
    fn size_of_future<A, B, C, F>(_: impl FnOnce(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    /// With this the whole task takes 1,664 bytes, the most for which the allocator has a block of 1,792: a task is aligned to
    /// 128 bytes, for which it takes 127 more. A connection has some 6 KB in all: beside its task a read buffer, its handle
    /// with what waits for it, the system's registration of its socket, and the mailbox's knowledge of it.
    #[test]
    fn the_task_of_a_session_is_small() {
        let size = size_of_future(super::run::<Local, TcpStream>);
        assert!(size <= 1496, "{size} bytes");
    }
}
