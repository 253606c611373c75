//! One device of one user: a connection, and what a client keeps across connections.
//!
//! It behaves as a client should: names the last event it has on connecting, acknowledges each event, sends again what
//! was not answered, in order, and comes back when its connection is lost.

mod act;
mod answer;
mod live;
mod pending;
mod socket;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

pub(crate) use socket::{PER_SOURCE, Socket, Target, Way, trust};

use crate::arrivals::Act;
use crate::stats::Timed;
use crate::world::Shared;
use pending::Pending;
use rand::Rng;

/// What a device is told to do.
pub(crate) enum Command {
    /// An action of the plan.
    Act {
        act: Act,
        chat: u32,
        at: Instant,
        pick: u64,
    },
    /// A closed loop begins in a chat, with so many messages under way.
    Loop { chat: u32, in_flight: u32 },
    /// A request that somebody waits for.
    Ask {
        kind: &'static str,
        payload: String,
        answer: oneshot::Sender<Result<String, String>>,
    },
    /// The connection is cut, and there again at that time; then it may have forgotten which events it has.
    Away {
        told: Instant,
        until: Instant,
        forgets: bool,
    },
}

/// Commands that wait for a device.
pub(crate) const COMMANDS: usize = 4_096;

/// Own messages that may still be edited or deleted.
const OWN: usize = 16;

/// See the module.
pub(crate) struct Device {
    number: u32,
    user: u32,
    shared: Shared,
    way: Way,
    commands: mpsc::Receiver<Command>,
    pending: Pending,
    /// Frames that go out next.
    out: Vec<String>,
    own: VecDeque<u32>,
    /// When the tool has let the connection be there: what waits since before then waited for the tool.
    since: Instant,
    /// Since when the service takes what it is sent: what was planned before then is not late by the tool.
    free_since: Instant,
    /// Reads nothing for so long at a time.
    pause: Option<Duration>,
    /// When the connection came about.
    there_since: Instant,
    /// Names no event at the next connection, as if it knew of none.
    forgets: bool,
    /// While it comes back.
    coming: Option<Coming>,
    was_live: bool,
}

/// How a connection comes about.
#[derive(Clone, Copy)]
struct Coming {
    /// Since when it is wanted: since it was planned, or since an earlier one was lost, however often it is lost again before it is
    /// there.
    since: Instant,
    /// How many messages it must have seen to have missed none; none as long as there is no connection.
    must_see: Option<u64>,
}

impl Coming {
    fn since(since: Instant) -> Self {
        Self {
            since,
            must_see: None,
        }
    }
}

/// Why a connection ended.
enum Ended {
    /// Nobody commands the device any more.
    Done,
    /// It was told to go, until then; and whether it forgets.
    Away(Instant, bool),
    /// It was lost; it may come back after so long.
    Lost(Duration),
}

impl Device {
    pub(crate) fn new(number: u32, shared: Shared, way: Way, commands: mpsc::Receiver<Command>) -> Self {
        let world = shared.borrow();
        let user = number / world.plan.devices;
        let pause = (number < world.slow.0).then_some(world.slow.1);
        drop(world);
        Self {
            number,
            user,
            shared,
            way,
            commands,
            pending: Pending::default(),
            out: Vec::new(),
            own: VecDeque::with_capacity(OWN),
            since: Instant::now(),
            free_since: Instant::now(),
            pause,
            there_since: Instant::now(),
            forgets: false,
            coming: None,
            was_live: false,
        }
    }

    /// Is there from `planned` on, until nobody commands it any more.
    pub(crate) async fn run(mut self, planned: Instant) {
        let mut planned = planned;
        self.since = planned;
        self.coming = Some(Coming::since(planned));
        tokio::time::sleep_until(planned.into()).await;
        // At first only: a storm has as many dial at once as there are, which takes the tool its time.
        self.shared.borrow_mut().stats.dials(planned);
        loop {
            tokio::time::sleep_until(planned.into()).await;
            let Some(mut socket) = self.connect().await else {
                return;
            };
            self.shared.borrow_mut().is_there(self.number, true);
            self.reads(true);
            let ended = self.live(&mut socket).await;
            self.reads(false);
            self.shared.borrow_mut().is_there(self.number, false);
            match ended {
                Ended::Done => return self.say_goodbye(socket).await,
                Ended::Away(until, forgets) => {
                    (planned, self.since, self.forgets) = (until, until, forgets);
                    // Whatever it waited for: the tool has sent it away.
                    self.coming = Some(Coming::since(until));
                }
                Ended::Lost(wait) => {
                    self.shared.borrow_mut().stats.counts.lost += 1;
                    let lost = Instant::now();
                    planned = lost + wait;
                    // From the first loss on, where it was lost again before it was back.
                    let since = self.coming.map_or(lost, |coming| coming.since);
                    self.coming = Some(Coming::since(since));
                }
            }
        }
    }

    /// Tries until it is connected. None where nobody commands the device any more.
    async fn connect(&mut self) -> Option<socket::Socket> {
        loop {
            let last_event = self.shared.borrow().ledger.view(self.number).last_event;
            let named = if self.forgets { 0 } else { last_event };
            match self.way.connect(named).await {
                Ok(socket) => {
                    self.connected(named > 0);
                    return Some(socket);
                }
                Err(error) => {
                    let mut world = self.shared.borrow_mut();
                    let refusal = world.stats.refusals.entry("connecting".to_owned());
                    refusal.or_insert_with(|| (0, format!("{error:#}"))).0 += 1;
                }
            }
            if self.commands.is_closed() {
                return None;
            }
            let wait = self.shared.borrow_mut().random.random_range(200..1_000);
            sleep(Duration::from_millis(wait)).await;
        }
    }

    fn connected(&mut self, named: bool) {
        self.forgets = false;
        let mut world = self.shared.borrow_mut();
        let view = world.ledger.view_mut(self.number);
        view.reconnected(named);
        let must_see = view.seen + view.owed;
        if let Some(coming) = &mut self.coming {
            coming.must_see = Some(must_see);
        }
        (self.there_since, self.free_since) = (Instant::now(), Instant::now());
        drop(world);
        // The answer shows that the connection is live.
        self.out.push("ping".to_owned());
        let again = self.pending.all_again(Instant::now());
        self.shared.borrow_mut().stats.counts.repeated += again.len() as u64;
        self.out.extend(again);
    }

    /// Once the first answer is there and nothing that was missed is missing, the connection is back.
    fn check_resumed(&mut self) {
        let Some(Coming {
            since,
            must_see: Some(must_see),
        }) = self.coming
        else {
            return;
        };
        let mut world = self.shared.borrow_mut();
        if world.ledger.view(self.number).seen < must_see {
            return;
        }
        self.coming = None;
        if self.was_live {
            world.stats.took(Timed::Resume, since);
        } else {
            world.stats.took(Timed::Connect, since);
            world.ready += 1;
        }
        drop(world);
        self.was_live = true;
    }

    async fn say_goodbye(&mut self, mut socket: socket::Socket) {
        let _ = tokio::time::timeout(Duration::from_secs(1), socket.close(None)).await;
    }
}
