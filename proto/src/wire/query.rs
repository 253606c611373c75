//! Questions that any worker answers, and what is said to everybody.

use confab_chat::{Partition, Timestamp};

use super::form::{Fault, Form, from_list, from_needed, need};
use super::out::{Fields, Out};
use super::{limits, pb};
use crate::message::{Announcement, Answer, Page, Query, QueryKind};

impl Fields for Query {
    fn write(&self, out: &mut Out<'_>) {
        out.text(1, self.user.as_str());
        self.what.write(out);
    }
}

impl Form for Query {
    type Message = pb::Query;

    fn from_message(message: pb::Query) -> Result<Self, Fault> {
        Ok(Self {
            user: Form::from_message(message.user)?,
            what: from_needed("a question", message.what)?,
        })
    }
}

impl Fields for QueryKind {
    fn write(&self, out: &mut Out<'_>) {
        match self {
            Self::Chats { count, before } => out.nested(2, |out| {
                out.number(1, *count);
                out.optional_number(2, before.map(|before| before.0));
            }),
            Self::Chat { chat } => out.nested(3, |out| out.text(1, chat.as_str())),
            Self::Messages { chat, page, count } => out.nested(4, |out| {
                out.text(1, chat.as_str());
                out.number(2, *count);
                match *page {
                    Page::Latest => {}
                    Page::From(id) => out.optional_number(3, Some(id)),
                    Page::Before(id) => out.optional_number(4, Some(id)),
                }
            }),
        }
    }
}

impl Form for QueryKind {
    type Message = pb::query::What;

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

impl Fields for Answer {
    fn write(&self, out: &mut Out<'_>) {
        match self {
            Ok(payload) => out.bytes(1, payload),
            Err(rejection) => out.message(2, rejection),
        }
    }
}

impl Form for Answer {
    type Message = pb::Answer;

    fn from_message(message: pb::Answer) -> Result<Self, Fault> {
        Ok(match need("an answer's result", message.result)? {
            pb::answer::Result::Payload(payload) => Ok(payload),
            pb::answer::Result::Rejection(rejection) => Err(Form::from_message(rejection)?),
        })
    }
}

impl Fields for Announcement {
    fn write(&self, out: &mut Out<'_>) {
        match self {
            Self::Alive { worker, partitions } => out.nested(1, |out| {
                out.text(1, worker);
                out.numbers(2, partitions.iter().map(|partition| partition.0.into()));
            }),
            Self::Began { partition } => out.nested(2, |out| out.number(1, partition.0)),
            Self::Leaving { worker } => out.nested(3, |out| out.text(1, worker)),
        }
    }
}

impl Form for Announcement {
    type Message = pb::Announcement;

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

    fn from_message(number: u32) -> Result<Self, Fault> {
        u16::try_from(number)
            .map(Self)
            .map_err(|_| Fault(format!("there is no partition {number}")))
    }
}
