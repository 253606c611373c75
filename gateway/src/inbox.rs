//! What waits for a session's task. Bounded in number and in bytes: a client that does not keep up is not waited for.
//!
//! A channel would keep a block of places for every connection, and in most of them nothing ever waits.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};

use confab_chat::Event;
use confab_proto::message::{DeliveryBody, MailboxEvent};
use parking_lot::Mutex;

use crate::config::QUEUE_BYTES;

/// Bytes of a frame without a text, about.
const FRAME_BYTES: usize = 256;
/// Room for so many is kept while nothing waits.
const KEPT: usize = 4;

/// One message to a session.
#[derive(Clone, Debug)]
pub(crate) enum Mail {
    /// From a worker; one message for all the user's sessions here.
    Delivery(Arc<DeliveryBody>),
    /// The mailbox has a new owner: attach again.
    Reattach,
}

impl Mail {
    /// About how many bytes it takes as frames.
    fn weight(&self) -> usize {
        match self {
            Self::Delivery(body) => match &**body {
                DeliveryBody::Live(events) => events.iter().map(weight).sum(),
                DeliveryBody::Attached(attached) => attached.events.iter().map(weight).sum(),
                DeliveryBody::Contacts { online, .. } | DeliveryBody::Online(online) => {
                    online.len() * FRAME_BYTES
                }
                _ => FRAME_BYTES,
            },
            Self::Reattach => 0,
        }
    }
}

fn weight(event: &MailboxEvent) -> usize {
    let (text, attachments) = match &*event.event {
        Event::New {
            text, attachments, ..
        }
        | Event::Edit {
            text, attachments, ..
        } => (text.len(), attachments.len()),
        _ => (0, 0),
    };
    let quoted = event.quoted.as_ref().and_then(|quoted| quoted.text.as_ref());
    // Attachments stand in a frame twice.
    FRAME_BYTES + text + quoted.map_or(0, String::len) + attachments * 2 * FRAME_BYTES
}

/// A message that has no room.
#[derive(Debug)]
pub(crate) struct Full;

/// The messages that wait for one session.
#[derive(Debug)]
pub(crate) struct Inbox {
    waiting: Mutex<Waiting>,
    /// Most messages that wait.
    most: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    mails: VecDeque<Mail>,
    /// What they take, about.
    bytes: usize,
    /// Who is to hear of the next one.
    waker: Option<Waker>,
}

impl Inbox {
    /// Room for so many messages.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            waiting: Mutex::default(),
            most,
        }
    }

    /// Adds a message.
    ///
    /// # Errors
    /// There is no room. What alone is larger than all that may wait is let through: nothing else would ever carry it.
    pub(crate) fn put(&self, mail: Mail) -> Result<(), Full> {
        let weight = mail.weight();
        let mut waiting = self.waiting.lock();
        let heavy = waiting.bytes > 0 && waiting.bytes + weight > QUEUE_BYTES;
        if heavy || waiting.mails.len() >= self.most {
            return Err(Full);
        }
        waiting.bytes += weight;
        waiting.mails.push_back(mail);
        let waker = waiting.waker.take();
        drop(waiting);
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }

    /// The next message, if one is there.
    pub(crate) fn take(&self) -> Option<Mail> {
        let mut waiting = self.waiting.lock();
        let mail = waiting.mails.pop_front()?;
        waiting.bytes -= mail.weight();
        if waiting.mails.is_empty() && waiting.mails.capacity() > KEPT {
            waiting.mails = VecDeque::new();
        }
        Some(mail)
    }

    /// Waits until there is something to take. For one task only.
    pub(crate) async fn arrival(&self) {
        poll_fn(|context| {
            let mut waiting = self.waiting.lock();
            if !waiting.mails.is_empty() {
                return Poll::Ready(());
            }
            match &mut waiting.waker {
                Some(waker) => waker.clone_from(context.waker()),
                none => *none = Some(context.waker().clone()),
            }
            Poll::Pending
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn online(users: usize) -> Mail {
        let user = confab_chat::UserId::parse("alice").unwrap();
        Mail::Delivery(Arc::new(DeliveryBody::Online(vec![user; users])))
    }

    #[test]
    fn what_has_come_is_taken_in_order() {
        let inbox = Inbox::new(8);
        assert!(inbox.arrival().now_or_never().is_none());
        inbox.put(online(1)).unwrap();
        inbox.put(Mail::Reattach).unwrap();
        assert!(inbox.arrival().now_or_never().is_some());
        assert!(matches!(inbox.take(), Some(Mail::Delivery(_))));
        assert!(inbox.arrival().now_or_never().is_some(), "one is left");
        assert!(matches!(inbox.take(), Some(Mail::Reattach)));
        assert!(inbox.take().is_none());
        assert!(inbox.arrival().now_or_never().is_none());
    }

    #[tokio::test]
    async fn who_waits_hears_of_what_comes() {
        let inbox = Inbox::new(8);
        let comes = async { inbox.put(Mail::Reattach).unwrap() };
        // The wait is polled first, and finds nothing.
        tokio::join!(inbox.arrival(), comes);
    }

    #[test]
    fn neither_too_many_nor_too_large_ones_wait() {
        let inbox = Inbox::new(2);
        inbox.put(Mail::Reattach).unwrap();
        inbox.put(Mail::Reattach).unwrap();
        assert!(inbox.put(Mail::Reattach).is_err());
        let inbox = Inbox::new(8);
        let large = QUEUE_BYTES / FRAME_BYTES + 1;
        inbox.put(online(large)).expect("nothing else waits");
        assert!(inbox.put(online(1)).is_err());
        inbox.take().unwrap();
        inbox.put(online(1)).expect("there is room again");
        assert!(inbox.put(online(large)).is_err());
    }
}
