//! What a worker tells a gateway.

use confab_chat::{RequestId, SessionId, Timestamp};

use super::form::{Fault, Form, from_list, from_needed, from_option, need, to_list, to_option};
use super::{limits, pb};
use crate::message::{Attached, DeliveryBody, MailboxEvent, Quoted, ToGateway};

impl Form for ToGateway {
    type Message = pb::ToGateway;

    fn to_message(&self) -> pb::ToGateway {
        pb::ToGateway {
            user: self.user.to_message(),
            body: Some(self.body.to_message()),
        }
    }

    fn from_message(message: pb::ToGateway) -> Result<Self, Fault> {
        Ok(Self {
            user: Form::from_message(message.user)?,
            body: from_needed("a delivery's body", message.body)?,
        })
    }
}

impl Form for DeliveryBody {
    type Message = pb::to_gateway::Body;

    fn to_message(&self) -> pb::to_gateway::Body {
        match self {
            Self::Reply {
                session,
                request,
                result,
            } => pb::to_gateway::Body::Reply(pb::to_gateway::Reply {
                session: session.0,
                request: request.0,
                result: Some(match result {
                    Ok(reply) => pb::to_gateway::reply::Result::Ok(reply.to_message()),
                    Err(rejection) => pb::to_gateway::reply::Result::Rejection(rejection.to_message()),
                }),
            }),
            Self::Live(events) => pb::to_gateway::Body::Live(pb::to_gateway::Live {
                events: to_list(events),
            }),
            Self::Attached(attached) => pb::to_gateway::Body::Attached(attached.to_message()),
            Self::Online(users) => pb::to_gateway::Body::Online(pb::to_gateway::Online {
                users: to_list(users),
            }),
            Self::Offline { user, last_seen } => pb::to_gateway::Body::Offline(pb::to_gateway::Offline {
                user: user.to_message(),
                last_seen: last_seen.0,
            }),
            Self::Typing { chat, user, stop } => pb::to_gateway::Body::Typing(pb::to_gateway::Typing {
                chat: chat.to_message(),
                user: user.to_message(),
                stop: *stop,
            }),
            Self::Contacts { session, online } => pb::to_gateway::Body::Contacts(pb::to_gateway::Contacts {
                session: session.0,
                online: to_list(online),
            }),
            Self::Replaced { session } => {
                pb::to_gateway::Body::Replaced(pb::to_gateway::Replaced { session: session.0 })
            }
        }
    }

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

impl Form for Attached {
    type Message = pb::Attached;

    fn to_message(&self) -> pb::Attached {
        pb::Attached {
            session: self.session.0,
            after: self.after,
            events: to_list(&self.events),
            more: self.more,
            reset: self.reset,
            probes: self.probes,
        }
    }

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

impl Form for MailboxEvent {
    type Message = pb::MailboxEvent;

    fn to_message(&self) -> pb::MailboxEvent {
        pb::MailboxEvent {
            id: self.id,
            at: self.at.0,
            event: Some(self.event.to_message()),
            quoted: to_option(self.quoted.as_ref()),
        }
    }

    fn from_message(message: pb::MailboxEvent) -> Result<Self, Fault> {
        Ok(Self {
            id: message.id,
            at: Timestamp(message.at),
            event: from_needed("an event", message.event)?,
            quoted: from_option(message.quoted)?,
        })
    }
}

impl Form for Quoted {
    type Message = pb::Quoted;

    fn to_message(&self) -> pb::Quoted {
        pb::Quoted {
            quote: Some(self.quote.to_message()),
            text: self.text.clone(),
        }
    }

    fn from_message(message: pb::Quoted) -> Result<Self, Fault> {
        Ok(Self {
            quote: from_needed("a quote", message.quote)?,
            text: message.text,
        })
    }
}
