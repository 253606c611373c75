//! Questions that any worker answers, and what is said to everybody.

use confab_chat::{Partition, Timestamp};

use super::form::{Fault, Form, from_list, from_needed, need, to_list};
use super::{limits, pb};
use crate::message::{Announcement, Answer, Page, Query, QueryKind};

impl Form for Query {
    type Message = pb::Query;

    fn to_message(&self) -> pb::Query {
        pb::Query {
            user: self.user.to_message(),
            what: Some(self.what.to_message()),
        }
    }

    fn from_message(message: pb::Query) -> Result<Self, Fault> {
        Ok(Self {
            user: Form::from_message(message.user)?,
            what: from_needed("a question", message.what)?,
        })
    }
}

impl Form for QueryKind {
    type Message = pb::query::What;

    fn to_message(&self) -> pb::query::What {
        match self {
            Self::Chats { count, before } => pb::query::What::Chats(pb::query::Chats {
                count: *count,
                before: before.map(|before| before.0),
            }),
            Self::Chat { chat } => pb::query::What::Chat(pb::query::Chat {
                chat: chat.to_message(),
            }),
            Self::Messages { chat, page, count } => pb::query::What::Messages(pb::query::Messages {
                chat: chat.to_message(),
                count: *count,
                page: match *page {
                    Page::Latest => None,
                    Page::From(id) => Some(pb::query::messages::Page::From(id)),
                    Page::Before(id) => Some(pb::query::messages::Page::Before(id)),
                },
            }),
        }
    }

    fn from_message(message: pb::query::What) -> Result<Self, Fault> {
        Ok(match message {
            pb::query::What::Chats(chats) => Self::Chats {
                count: chats.count,
                before: chats.before.map(Timestamp),
            },
            pb::query::What::Chat(chat) => Self::Chat {
                chat: Form::from_message(chat.chat)?,
            },
            pb::query::What::Messages(messages) => Self::Messages {
                chat: Form::from_message(messages.chat)?,
                page: match messages.page {
                    None => Page::Latest,
                    Some(pb::query::messages::Page::From(id)) => Page::From(id),
                    Some(pb::query::messages::Page::Before(id)) => Page::Before(id),
                },
                count: messages.count,
            },
        })
    }
}

impl Form for Answer {
    type Message = pb::Answer;

    fn to_message(&self) -> pb::Answer {
        pb::Answer {
            result: Some(match self {
                Ok(payload) => pb::answer::Result::Payload(payload.clone()),
                Err(rejection) => pb::answer::Result::Rejection(rejection.to_message()),
            }),
        }
    }

    fn from_message(message: pb::Answer) -> Result<Self, Fault> {
        Ok(match need("an answer's result", message.result)? {
            pb::answer::Result::Payload(payload) => Ok(payload),
            pb::answer::Result::Rejection(rejection) => Err(Form::from_message(rejection)?),
        })
    }
}

impl Form for Announcement {
    type Message = pb::Announcement;

    fn to_message(&self) -> pb::Announcement {
        let kind = match self {
            Self::Alive { worker, partitions } => pb::announcement::Kind::Alive(pb::announcement::Alive {
                worker: worker.to_message(),
                partitions: to_list(partitions),
            }),
            Self::Began { partition } => pb::announcement::Kind::Began(pb::announcement::Began {
                partition: partition.to_message(),
            }),
            Self::Leaving { worker } => pb::announcement::Kind::Leaving(pb::announcement::Leaving {
                worker: worker.to_message(),
            }),
        };
        pb::Announcement { kind: Some(kind) }
    }

    fn from_message(message: pb::Announcement) -> Result<Self, Fault> {
        Ok(match need("an announcement's kind", message.kind)? {
            pb::announcement::Kind::Alive(alive) => Self::Alive {
                worker: Form::from_message(alive.worker)?,
                partitions: from_list("partitions", limits::PARTITIONS, alive.partitions)?,
            },
            pb::announcement::Kind::Began(began) => Self::Began {
                partition: Form::from_message(began.partition)?,
            },
            pb::announcement::Kind::Leaving(leaving) => Self::Leaving {
                worker: Form::from_message(leaving.worker)?,
            },
        })
    }
}

impl Form for Partition {
    type Message = u32;

    fn to_message(&self) -> u32 {
        self.0.into()
    }

    fn from_message(number: u32) -> Result<Self, Fault> {
        u16::try_from(number)
            .map(Self)
            .map_err(|_| Fault(format!("there is no partition {number}")))
    }
}
