//! Soft messages to the loop that owns a partition.

use confab_chat::{GatewayId, SessionId, Timestamp, UserId};

use super::form::{Fault, Form, from_list, from_needed, from_option, need, to_list, to_option};
use super::{limits, pb};
use crate::message::{Attach, AttachFrom, Beat, Signal};

impl Form for Signal {
    type Message = pb::Signal;

    fn to_message(&self) -> pb::Signal {
        let kind = match self {
            Self::Attach(attach) => pb::signal::Kind::Attach(attach.to_message()),
            Self::Detach {
                user,
                gateway,
                session,
                draining,
            } => pb::signal::Kind::Detach(pb::signal::Detach {
                user: user.to_message(),
                gateway: gateway.to_message(),
                session: session.0,
                draining: *draining,
            }),
            Self::Heartbeat { gateway, sessions } => pb::signal::Kind::Heartbeat(pb::signal::Heartbeat {
                gateway: gateway.to_message(),
                sessions: to_list(sessions),
            }),
            Self::Ack { user, device, up_to } => pb::signal::Kind::Ack(pb::signal::Ack {
                user: user.to_message(),
                device: device.to_message(),
                up_to: *up_to,
            }),
            Self::Away {
                user,
                gateway,
                session,
                away,
            } => pb::signal::Kind::Away(pb::signal::Away {
                user: user.to_message(),
                gateway: gateway.to_message(),
                session: session.0,
                away: *away,
            }),
            Self::Typing { chat, user, stop } => pb::signal::Kind::Typing(pb::signal::Typing {
                chat: chat.to_message(),
                user: user.to_message(),
                stop: *stop,
            }),
            Self::TypingTo { chat, user, stop, to } => pb::signal::Kind::TypingTo(pb::signal::TypingTo {
                chat: chat.to_message(),
                user: user.to_message(),
                stop: *stop,
                to: to_list(to),
            }),
            Self::Probe {
                from,
                announce,
                reply_to,
                to,
            } => pb::signal::Kind::Probe(pb::signal::Probe {
                from: from.to_message(),
                announce: *announce,
                reply_to: to_option(reply_to.as_ref()),
                to: to_list(to),
            }),
            Self::AreOnline { to, users } => pb::signal::Kind::AreOnline(pb::signal::AreOnline {
                to: to.to_message(),
                users: to_list(users),
            }),
            Self::WentOffline { from, last_seen, to } => went_offline(from, *last_seen, to),
            Self::HandOver { online } => pb::signal::Kind::HandOver(pb::signal::HandOver {
                online: to_list(online),
            }),
        };
        pb::Signal { kind: Some(kind) }
    }

    fn from_message(message: pb::Signal) -> Result<Self, Fault> {
        Ok(match need("a signal's kind", message.kind)? {
            pb::signal::Kind::Attach(attach) => Self::Attach(Form::from_message(attach)?),
            pb::signal::Kind::Detach(detach) => Self::Detach {
                user: Form::from_message(detach.user)?,
                gateway: Form::from_message(detach.gateway)?,
                session: SessionId(detach.session),
                draining: detach.draining,
            },
            pb::signal::Kind::Heartbeat(heartbeat) => Self::Heartbeat {
                gateway: Form::from_message(heartbeat.gateway)?,
                sessions: from_list("sessions", limits::SESSIONS, heartbeat.sessions)?,
            },
            pb::signal::Kind::Ack(ack) => Self::Ack {
                user: Form::from_message(ack.user)?,
                device: Form::from_message(ack.device)?,
                up_to: ack.up_to,
            },
            pb::signal::Kind::Away(away) => Self::Away {
                user: Form::from_message(away.user)?,
                gateway: Form::from_message(away.gateway)?,
                session: SessionId(away.session),
                away: away.away,
            },
            pb::signal::Kind::Typing(typing) => Self::Typing {
                chat: Form::from_message(typing.chat)?,
                user: Form::from_message(typing.user)?,
                stop: typing.stop,
            },
            pb::signal::Kind::TypingTo(typing) => Self::TypingTo {
                chat: Form::from_message(typing.chat)?,
                user: Form::from_message(typing.user)?,
                stop: typing.stop,
                to: from_list("receivers", limits::CHAT_USERS, typing.to)?,
            },
            pb::signal::Kind::Probe(probe) => Self::Probe {
                from: Form::from_message(probe.from)?,
                announce: probe.announce,
                reply_to: from_option(probe.reply_to)?,
                to: from_list("users asked", limits::CONTACTS, probe.to)?,
            },
            pb::signal::Kind::AreOnline(online) => Self::AreOnline {
                to: Form::from_message(online.to)?,
                users: from_list("users", limits::CONTACTS, online.users)?,
            },
            pb::signal::Kind::WentOffline(offline) => Self::WentOffline {
                from: Form::from_message(offline.from)?,
                last_seen: Timestamp(offline.last_seen),
                to: from_list("receivers", limits::CONTACTS, offline.to)?,
            },
            pb::signal::Kind::HandOver(handed) => Self::HandOver {
                online: from_list("users online", limits::CONTACTS, handed.online)?,
            },
        })
    }
}

fn went_offline(from: &UserId, last_seen: Timestamp, to: &[UserId]) -> pb::signal::Kind {
    pb::signal::Kind::WentOffline(pb::signal::WentOffline {
        from: from.to_message(),
        last_seen: last_seen.0,
        to: to_list(to),
    })
}

impl Form for (GatewayId, SessionId) {
    type Message = pb::Waiter;

    fn to_message(&self) -> pb::Waiter {
        pb::Waiter {
            gateway: self.0.to_message(),
            session: self.1.0,
        }
    }

    fn from_message(message: pb::Waiter) -> Result<Self, Fault> {
        Ok((Form::from_message(message.gateway)?, SessionId(message.session)))
    }
}

impl Form for Attach {
    type Message = pb::Attach;

    fn to_message(&self) -> pb::Attach {
        pb::Attach {
            user: self.user.to_message(),
            device: self.device.to_message(),
            gateway: self.gateway.to_message(),
            session: self.session.0,
            from: Some(self.from.to_message()),
            repeat: self.repeat,
            away: self.away,
            profile: to_option(self.profile.as_ref()),
        }
    }

    fn from_message(message: pb::Attach) -> Result<Self, Fault> {
        Ok(Self {
            user: Form::from_message(message.user)?,
            device: Form::from_message(message.device)?,
            gateway: Form::from_message(message.gateway)?,
            session: SessionId(message.session),
            from: from_needed("where an attach goes on", message.from)?,
            repeat: message.repeat,
            away: message.away,
            profile: from_option(message.profile)?,
        })
    }
}

impl Form for AttachFrom {
    type Message = pb::attach::From;

    fn to_message(&self) -> pb::attach::From {
        match *self {
            Self::Cursor { last_event_id } => pb::attach::From::Cursor(pb::attach::Cursor { last_event_id }),
            Self::After(id) => pb::attach::From::After(id),
        }
    }

    fn from_message(message: pb::attach::From) -> Result<Self, Fault> {
        Ok(match message {
            pb::attach::From::Cursor(pb::attach::Cursor { last_event_id }) => Self::Cursor { last_event_id },
            pb::attach::From::After(id) => Self::After(id),
        })
    }
}

impl Form for Beat {
    type Message = pb::Beat;

    fn to_message(&self) -> pb::Beat {
        pb::Beat {
            user: self.user.to_message(),
            device: self.device.to_message(),
            session: self.session.0,
            forwarded: self.forwarded,
            away: self.away,
        }
    }

    fn from_message(message: pb::Beat) -> Result<Self, Fault> {
        Ok(Self {
            user: Form::from_message(message.user)?,
            device: Form::from_message(message.device)?,
            session: SessionId(message.session),
            forwarded: message.forwarded,
            away: message.away,
        })
    }
}
