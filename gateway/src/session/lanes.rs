//! Entries on their way into the log, beside the session: one at a time a chat, those of different chats at once.
//!
//! The invariant: an entry is appended only once the one before it of its chat stands in the log. A lane is there only
//! while an append of its chat is under way; where the log takes entries at once there never is one.
//!
//! Dropped, lanes append nothing more; what the bus has already it may still take. So it is when a session ends: its client
//! has no answer and sends again, and what went on here, beside the repeats, could come to stand behind what that device
//! sends next.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use confab_bus::{AppendError, Bus};
use confab_chat::{ChatKey, Code, Partition, Rejection, RequestId};
use confab_proto::message::LogEntry;

use crate::metrics;

/// How long to wait before an entry of unknown fate is appended again, at first; then twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// How long at the most.
const LONGEST_PAUSE: Duration = Duration::from_millis(320);

/// An append under way. It ends when the entry stands in the log, or is refused.
pub(super) type Append = Pin<Box<dyn Future<Output = Result<(), Rejection>> + Send>>;

/// Appends an entry; one whose fate is unknown again, under the same id, until the log has acknowledged a copy.
pub(super) fn append<B: Bus>(bus: B, partition: Partition, entry: LogEntry) -> Append {
    let entry = Arc::new(entry);
    Box::pin(async move {
        let mut pause = FIRST_PAUSE;
        loop {
            match bus.append(partition, Arc::clone(&entry)).await {
                Ok(_) => return Ok(()),
                Err(AppendError::Refused(why)) => {
                    metrics::append_failed();
                    return Err(Rejection::new(Code::Unavailable, why));
                }
                Err(AppendError::Unknown(_)) => metrics::append_failed(),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    })
}

/// The entries of one chat.
struct Lane {
    chat: ChatKey,
    partition: Partition,
    /// Whose entry is under way.
    request: RequestId,
    append: Append,
    /// Not appended yet, in order.
    behind: VecDeque<(RequestId, LogEntry)>,
}

/// The lanes of one session.
#[derive(Default)]
pub(super) struct Lanes(Vec<Lane>);

impl Lanes {
    /// Whether nothing is under way.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts an entry behind those of its chat; gives it back where there are none.
    pub(super) fn wait(&mut self, chat: &ChatKey, request: RequestId, entry: LogEntry) -> Option<LogEntry> {
        match self.0.iter_mut().find(|lane| lane.chat == *chat) {
            Some(lane) => {
                lane.behind.push_back((request, entry));
                None
            }
            None => Some(entry),
        }
    }

    /// An append that takes its time: what comes of the same chat has to wait for it.
    pub(super) fn open(
        &mut self,
        (chat, partition): (ChatKey, Partition),
        request: RequestId,
        append: Append,
    ) {
        self.0.push(Lane {
            chat,
            partition,
            request,
            append,
            behind: VecDeque::new(),
        });
    }

    /// The entry of a command stands in the log: the next of its chat is begun.
    pub(super) fn go_on(&mut self, request: RequestId, begin: impl FnOnce(Partition, LogEntry) -> Append) {
        let Some(place) = self.0.iter().position(|lane| lane.request == request) else {
            return;
        };
        let lane = &mut self.0[place];
        match lane.behind.pop_front() {
            Some((next, entry)) => {
                lane.request = next;
                lane.append = begin(lane.partition, entry);
            }
            None => {
                self.remove(place);
            }
        }
    }

    /// Gives up the entry of a command and those behind it, whose commands are returned: if they went on, they would be
    /// ahead of it when the client sends it again.
    pub(super) fn give_up(&mut self, request: RequestId) -> Vec<RequestId> {
        if let Some(place) = self.0.iter().position(|lane| lane.request == request) {
            let behind = self.remove(place).behind;
            return behind.into_iter().map(|(queued, _)| queued).collect();
        }
        for lane in &mut self.0 {
            if let Some(at) = lane.behind.iter().position(|(queued, _)| *queued == request) {
                return lane.behind.drain(at..).map(|(queued, _)| queued).collect();
            }
        }
        Vec::new()
    }

    /// The next append that ends, and whose it is; never, if none is under way. Cancel-safe. What has ended is either
    /// followed by the next or given up before this is called again.
    pub(super) async fn next(&mut self) -> (RequestId, Result<(), Rejection>) {
        poll_fn(|context| {
            for lane in &mut self.0 {
                if let Poll::Ready(result) = lane.append.as_mut().poll(context) {
                    return Poll::Ready((lane.request, result));
                }
            }
            Poll::Pending
        })
        .await
    }

    fn remove(&mut self, place: usize) -> Lane {
        let lane = self.0.swap_remove(place);
        if self.0.is_empty() {
            self.0 = Vec::new();
        }
        lane
    }
}

#[cfg(test)]
mod tests {
    use confab_chat::{ChatKey, EntryId, Partition, RequestId, UserId};
    use confab_proto::message::{EntryBody, LogEntry};

    use super::{Append, Lanes};

    fn entry(of: u64) -> LogEntry {
        LogEntry {
            id: EntryId(of.to_string().into()),
            body: EntryBody::SetLogic(1),
        }
    }

    fn pending() -> Append {
        Box::pin(std::future::pending())
    }

    /// A lane in which commands 1 to 4 follow each other.
    fn four() -> (Lanes, ChatKey) {
        let mut lanes = Lanes::default();
        let chat = ChatKey::group(&UserId::parse("alice").unwrap(), "x");
        assert!(lanes.wait(&chat, RequestId(1), entry(1)).is_some());
        lanes.open((chat.clone(), Partition(3)), RequestId(1), pending());
        for n in 2..=4 {
            assert!(lanes.wait(&chat, RequestId(n), entry(n)).is_none());
        }
        (lanes, chat)
    }

    #[test]
    fn one_follows_the_other_until_none_is_left() {
        let (mut lanes, chat) = four();
        let mut begun = Vec::new();
        for n in 1..=4 {
            // One that is not under way says nothing of the others.
            lanes.go_on(RequestId(9), |_, _| pending());
            lanes.go_on(RequestId(n), |partition, entry| {
                begun.push((partition, entry));
                pending()
            });
        }
        assert_eq!(begun, [2, 3, 4].map(|n| (Partition(3), entry(n))));
        assert!(lanes.is_empty());
        assert!(lanes.wait(&chat, RequestId(5), entry(5)).is_some());
    }

    #[test]
    fn one_that_is_given_up_takes_those_behind_it_along_and_no_others() {
        let (mut lanes, chat) = four();
        assert_eq!(lanes.give_up(RequestId(9)), []);
        assert_eq!(lanes.give_up(RequestId(3)), [RequestId(3), RequestId(4)]);
        assert!(lanes.wait(&chat, RequestId(5), entry(5)).is_none());
        assert_eq!(lanes.give_up(RequestId(1)), [RequestId(2), RequestId(5)]);
        assert!(lanes.is_empty());
    }
}
