//! What a worker tells a gateway.

use confab_chat::{RequestId, SessionId, Timestamp};

use super::form::{Fault, Form, from_list, from_needed, from_option, need};
use super::out::{Fields, Out};
use super::{limits, pb};
use crate::message::{Attached, DeliveryBody, MailboxEvent, Quoted, ToGateway};

impl Fields for ToGateway {
    fn write(&self, out: &mut Out<'_>) {
        out.text(1, self.user.as_str());
        self.body.write(out);
    }
}

impl Form for ToGateway {
    type Message = pb::ToGateway;

    fn from_message(message: pb::ToGateway) -> Result<Self, Fault> {
        Ok(Self {
            user: Form::from_message(message.user)?,
            body: from_needed("a delivery's body", message.body)?,
        })
    }
}

impl Fields for DeliveryBody {
    fn write(&self, out: &mut Out<'_>) {
        match self {
            Self::Reply {
                session,
                request,
                result,
            } => out.nested(2, |out| {
                out.number(1, session.0);
                out.number(2, request.0);
                match result {
                    Ok(reply) => out.message(3, reply),
                    Err(rejection) => out.message(4, rejection),
                }
            }),
            Self::Live(events) => out.nested(3, |out| out.messages(1, events)),
            Self::Attached(attached) => out.message(4, attached),
            Self::Online(users) => out.nested(5, |out| out.users(1, users)),
            Self::Offline { user, last_seen } => out.nested(6, |out| {
                out.text(1, user.as_str());
                out.number(2, last_seen.0);
            }),
            Self::Typing { chat, user, stop } => out.nested(7, |out| {
                out.text(1, chat.as_str());
                out.text(2, user.as_str());
                out.flag(3, *stop);
            }),
            Self::Contacts { session, online } => out.nested(8, |out| {
                out.number(1, session.0);
                out.users(2, online);
            }),
            Self::Replaced { session } => out.nested(9, |out| out.number(1, session.0)),
        }
    }
}

impl Form for DeliveryBody {
    type Message = pb::to_gateway::Body;

    fn from_message(message: pb::to_gateway::Body) -> Result<Self, Fault> {
        Ok(match message {
            pb::to_gateway::Body::Reply(reply) => Self::Reply {
                session: SessionId(reply.session),
                request: RequestId(reply.request),
                result: match need("a reply's result", reply.result)? {
                    pb::to_gateway::reply::Result::Ok(reply) => Ok(Form::from_message(reply)?),
                    pb::to_gateway::reply::Result::Rejection(rejection) => {
                        Err(Form::from_message(rejection)?)
                    }
                },
            },
            pb::to_gateway::Body::Live(live) => Self::Live(from_list("events", limits::EVENTS, live.events)?),
            pb::to_gateway::Body::Attached(attached) => Self::Attached(Form::from_message(attached)?),
            pb::to_gateway::Body::Online(online) => {
                Self::Online(from_list("users", limits::CONTACTS, online.users)?)
            }
            pb::to_gateway::Body::Offline(offline) => Self::Offline {
                user: Form::from_message(offline.user)?,
                last_seen: Timestamp(offline.last_seen),
            },
            pb::to_gateway::Body::Typing(typing) => Self::Typing {
                chat: Form::from_message(typing.chat)?,
                user: Form::from_message(typing.user)?,
                stop: typing.stop,
            },
            pb::to_gateway::Body::Contacts(contacts) => Self::Contacts {
                session: SessionId(contacts.session),
                online: from_list("contacts", limits::CONTACTS, contacts.online)?,
            },
            pb::to_gateway::Body::Replaced(replaced) => Self::Replaced {
                session: SessionId(replaced.session),
            },
        })
    }
}

impl Fields for Attached {
    fn write(&self, out: &mut Out<'_>) {
        out.number(1, self.session.0);
        out.number(2, self.after);
        out.messages(3, &self.events);
        out.flag(4, self.more);
        out.optional_number(5, self.reset);
        out.number(6, self.probes);
    }
}

impl Form for Attached {
    type Message = pb::Attached;

    fn from_message(message: pb::Attached) -> Result<Self, Fault> {
        Ok(Self {
            session: SessionId(message.session),
            after: message.after,
            events: from_list("events", limits::EVENTS, message.events)?,
            more: message.more,
            reset: message.reset,
            probes: message.probes,
        })
    }
}

impl Fields for MailboxEvent {
    fn write(&self, out: &mut Out<'_>) {
        out.number(1, self.id);
        out.number(2, self.at.0);
        out.message(3, &*self.event);
        out.optional_message(4, self.quoted.as_ref());
    }
}

impl Form for MailboxEvent {
    type Message = pb::MailboxEvent;

    fn from_message(message: pb::MailboxEvent) -> Result<Self, Fault> {
        Ok(Self {
            id: message.id,
            at: Timestamp(message.at),
            event: from_needed("an event", message.event)?,
            quoted: from_option(message.quoted)?,
        })
    }
}

impl Fields for Quoted {
    fn write(&self, out: &mut Out<'_>) {
        out.message(1, &self.quote);
        out.optional_text(2, self.text.as_deref());
    }
}

impl Form for Quoted {
    type Message = pb::Quoted;

    fn from_message(message: pb::Quoted) -> Result<Self, Fault> {
        Ok(Self {
            quote: from_needed("a quote", message.quote)?,
            text: message.text,
        })
    }
}
