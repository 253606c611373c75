//! One connection, as a gateway keeps it: attached again when its partition begins anew, and at every hole; and said
//! again all the time.

use std::time::Duration;

use confab_bus::{Bus, GatewayEnd, Local};
use confab_chat::{ActorKey, GatewayId, Partition, SessionId, UserId};
use confab_proto::message::{
    Announcement, Attach, AttachFrom, Attached, Beat, DeliveryBody, MailboxEvent, Signal, ToGateway,
};
use tokio::time::{Instant, Interval};

use super::{device, in_time, user};

/// After how long an attach without an answer is sent again.
const AGAIN: Duration = Duration::from_millis(200);

/// How often the connection is said again.
const BEAT: Duration = Duration::from_millis(200);

/// A connection on a gateway of its own.
pub(crate) struct Follower {
    bus: Local,
    end: GatewayEnd,
    attach: Attach,
    partition: Partition,
    beat: Interval,
    /// An attach is under way, and is sent again at this time.
    attaching: Option<Instant>,
    /// How often it was attached.
    pub attachments: usize,
    /// The events taken, in order and without a hole.
    pub events: Vec<MailboxEvent>,
    /// The last event taken.
    taken: u64,
    /// Who came and went, in order: whether online, and who.
    pub presence: Vec<(bool, UserId)>,
}

impl Follower {
    /// Connects a device for the first time.
    pub(crate) async fn connect(bus: &Local, who: &str) -> Self {
        let gateway = GatewayId(format!("gateway-of-{who}").into());
        let mut follower = Self {
            bus: bus.clone(),
            end: bus.join_as_gateway(&gateway).await,
            partition: ActorKey::Mailbox(user(who)).partition(bus.partitions()),
            attach: Attach {
                user: user(who),
                device: device("phone"),
                gateway,
                session: SessionId(1),
                from: AttachFrom::Cursor { last_event_id: None },
                repeat: false,
                away: false,
                profile: None,
            },
            beat: tokio::time::interval(BEAT),
            attaching: None,
            attachments: 0,
            events: Vec::new(),
            taken: 0,
            presence: Vec::new(),
        };
        follower.attach_now().await;
        follower.until_attached_again().await;
        follower
    }

    /// Waits for the next attachment.
    pub(crate) async fn until_attached_again(&mut self) {
        let before = self.attachments;
        self.until("its attachment", |follower| follower.attachments > before)
            .await;
    }

    /// Follows until something is so.
    pub(crate) async fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let following = async {
            while !is_so(self) {
                self.turn().await;
            }
        };
        in_time(what, following).await;
    }

    /// Goes on for ever.
    pub(crate) async fn follow(&mut self) {
        loop {
            self.turn().await;
        }
    }

    async fn turn(&mut self) {
        let again = self.attaching.unwrap_or_else(Instant::now);
        tokio::select! {
            heard = self.end.announcements.recv() => match heard.unwrap() {
                Announcement::Began { partition } if partition == self.partition => self.attach_now().await,
                _ => {}
            },
            message = self.end.deliveries.recv() => self.take(message.unwrap()).await,
            _ = self.beat.tick() => self.say().await,
            () = tokio::time::sleep_until(again), if self.attaching.is_some() => self.attach_now().await,
        }
    }

    async fn say(&self) {
        if !self.attach.repeat {
            return;
        }
        let signal = Signal::Heartbeat {
            gateway: self.attach.gateway.clone(),
            sessions: vec![Beat {
                user: self.attach.user.clone(),
                device: self.attach.device.clone(),
                session: self.attach.session,
                forwarded: self.taken,
                away: false,
            }],
        };
        self.bus.signal(self.partition, signal).await;
    }

    async fn attach_now(&mut self) {
        self.attaching = Some(Instant::now() + AGAIN);
        let signal = Signal::Attach(self.attach.clone());
        self.bus.signal(self.partition, signal).await;
    }

    async fn take(&mut self, message: ToGateway) {
        match message.body {
            DeliveryBody::Attached(attached) => self.attached(attached).await,
            DeliveryBody::Live(events) => self.live(events).await,
            DeliveryBody::Online(users) | DeliveryBody::Contacts { online: users, .. } => {
                self.presence.extend(users.into_iter().map(|user| (true, user)));
            }
            DeliveryBody::Offline { user, .. } => self.presence.push((false, user)),
            _ => {}
        }
    }

    async fn attached(&mut self, attached: Attached) {
        assert_eq!(attached.reset, None, "nothing has expired");
        if !self.attach.repeat {
            (self.attach.repeat, self.taken) = (true, attached.after);
        }
        let whole = attached.after <= self.taken && self.take_events(attached.events);
        self.attaching = None;
        self.attachments += 1;
        if !whole || attached.more {
            self.attach_now().await;
        }
    }

    /// Before it is attached again events are dropped: the attach brings them.
    async fn live(&mut self, events: Vec<MailboxEvent>) {
        if self.attaching.is_none() && !self.take_events(events) {
            self.attach_now().await;
        }
    }

    fn take_events(&mut self, events: Vec<MailboxEvent>) -> bool {
        for event in events {
            if event.id > self.taken + 1 {
                return false;
            }
            if event.id == self.taken + 1 {
                self.taken = event.id;
                self.attach.from = AttachFrom::After(event.id);
                self.events.push(event);
            }
        }
        self.attach.from = AttachFrom::After(self.taken);
        true
    }
}
