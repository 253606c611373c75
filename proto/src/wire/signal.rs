//! Soft messages to the loop that owns a partition.

use confab_chat::{ChatKey, GatewayId, SessionId, Timestamp, UserId};

use super::form::{Fault, Form, from_list, from_needed, from_option, need};
use super::out::{Fields, Out};
use super::{limits, pb};
use crate::message::{Attach, AttachFrom, Beat, Signal};

impl Fields for Signal {
    fn write(&self, out: &mut Out<'_>) {
        match self {
            Self::Attach(attach) => out.message(1, attach),
            Self::Detach {
                user,
                gateway,
                session,
                draining,
            } => out.nested(2, |out| {
                out.text(1, user.as_str());
                out.text(2, &gateway.0);
                out.number(3, session.0);
                out.flag(4, *draining);
            }),
            Self::Heartbeat { gateway, sessions } => out.nested(3, |out| {
                out.text(1, &gateway.0);
                out.messages(2, sessions);
            }),
            Self::Ack { user, device, up_to } => out.nested(4, |out| {
                out.text(1, user.as_str());
                out.text(2, device.as_str());
                out.number(3, *up_to);
            }),
            Self::Away {
                user,
                gateway,
                session,
                away,
            } => out.nested(5, |out| {
                out.text(1, user.as_str());
                out.text(2, &gateway.0);
                out.number(3, session.0);
                out.flag(4, *away);
            }),
            Self::Typing { chat, user, stop } => out.nested(6, |out| typing(out, (chat, user), *stop)),
            Self::TypingTo { chat, user, stop, to } => out.nested(7, |out| {
                typing(out, (chat, user), *stop);
                out.users(4, to);
            }),
            Self::Probe {
                from,
                announce,
                reply_to,
                to,
            } => out.nested(8, |out| {
                out.text(1, from.as_str());
                out.flag(2, *announce);
                out.optional_message(3, reply_to.as_ref());
                out.users(4, to);
            }),
            Self::AreOnline { to, users } => out.nested(9, |out| {
                out.text(1, to.as_str());
                out.users(2, users);
            }),
            Self::WentOffline { from, last_seen, to } => out.nested(10, |out| {
                out.text(1, from.as_str());
                out.number(2, last_seen.0);
                out.users(3, to);
            }),
            Self::HandOver { online } => out.nested(11, |out| out.users(1, online)),
        }
    }
}

fn typing(out: &mut Out<'_>, (chat, user): (&ChatKey, &UserId), stop: bool) {
    out.text(1, chat.as_str());
    out.text(2, user.as_str());
    out.flag(3, stop);
}

impl Form for Signal {
    type Message = pb::Signal;

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

impl Fields for (GatewayId, SessionId) {
    fn write(&self, out: &mut Out<'_>) {
        out.text(1, &self.0.0);
        out.number(2, self.1.0);
    }
}

impl Form for (GatewayId, SessionId) {
    type Message = pb::Waiter;

    fn from_message(message: pb::Waiter) -> Result<Self, Fault> {
        Ok((Form::from_message(message.gateway)?, SessionId(message.session)))
    }
}

impl Fields for Attach {
    fn write(&self, out: &mut Out<'_>) {
        out.text(1, self.user.as_str());
        out.text(2, self.device.as_str());
        out.text(3, &self.gateway.0);
        out.number(4, self.session.0);
        self.from.write(out);
        out.flag(7, self.repeat);
        out.flag(8, self.away);
        out.optional_message(9, self.profile.as_ref());
    }
}

impl Form for Attach {
    type Message = pb::Attach;

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

impl Fields for AttachFrom {
    fn write(&self, out: &mut Out<'_>) {
        match *self {
            Self::Cursor { last_event_id } => out.nested(5, |out| out.optional_number(1, last_event_id)),
            Self::After(id) => out.optional_number(6, Some(id)),
        }
    }
}

impl Form for AttachFrom {
    type Message = pb::attach::From;

    fn from_message(message: pb::attach::From) -> Result<Self, Fault> {
        Ok(match message {
            pb::attach::From::Cursor(pb::attach::Cursor { last_event_id }) => Self::Cursor { last_event_id },
            pb::attach::From::After(id) => Self::After(id),
        })
    }
}

impl Fields for Beat {
    fn write(&self, out: &mut Out<'_>) {
        out.text(1, self.user.as_str());
        out.text(2, self.device.as_str());
        out.number(3, self.session.0);
        out.number(4, self.forwarded);
        out.flag(5, self.away);
    }
}

impl Form for Beat {
    type Message = pb::Beat;

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
