//! How large a message may be. A bus carries 1 MiB at the most; everything that may grow is cut at half of that, so that
//! what is reckoned here need not be exact.

use confab_chat::{Event, UserId};
use confab_proto::message::MailboxEvent;
use smallvec::SmallVec;

/// Where a message is cut.
pub(super) const BYTES: usize = 512 * 1024;

/// Two chat or user ids, a client id, a quote and the numbers of an event, each with its tag and length.
const EVENT: usize = 1024;
/// The same of a quote as it is when a frame is made.
const QUOTE: usize = 512;

/// A list in runs: one, as a rule.
pub(super) type Runs<T> = SmallVec<[Vec<T>; 1]>;

/// Cuts a list into runs that stay within the bound, in order. An item that exceeds it by itself is a run.
pub(super) fn runs<T>(mut items: Vec<T>, bytes: impl Fn(&T) -> usize) -> Runs<T> {
    let mut runs = SmallVec::new();
    while !items.is_empty() {
        let rest = items.split_off(fitting(&items, &bytes));
        runs.push(items);
        items = rest;
    }
    runs
}

/// How many items, from the first on, stay within the bound: at least one, where there is any.
pub(super) fn fitting<T>(items: &[T], bytes: impl Fn(&T) -> usize) -> usize {
    let mut sum = 0;
    let over = items.iter().position(|item| {
        sum += bytes(item);
        sum > BYTES
    });
    over.map_or(items.len(), |over| over.max(1))
}

/// No less than what a user in a list takes.
pub(super) fn user_bytes(user: &UserId) -> usize {
    user.as_str().len() + 4
}

/// No less than what an event of a mailbox takes.
pub(super) fn mailbox_event_bytes(item: &MailboxEvent) -> usize {
    let quoted = item.quoted.as_ref();
    let quoted = quoted.map_or(0, |quoted| QUOTE + quoted.text.as_ref().map_or(0, String::len));
    event_bytes(&item.event) + quoted
}

/// No less than what an event takes.
pub(super) fn event_bytes(event: &Event) -> usize {
    match event {
        Event::New {
            text, attachments, ..
        }
        | Event::Edit {
            text, attachments, ..
        } => {
            let attachments = attachments.iter().map(|attachment| {
                use confab_chat::AttachmentMeta::{File, Image, Video};
                let kind = match &attachment.meta {
                    File { extension, .. } => extension,
                    Image { mimetype, .. } | Video { mimetype, .. } => mimetype,
                };
                attachment.id.len() + attachment.filename.len() + attachment.url.len() + kind.len() + 96
            });
            EVENT + text.len() + attachments.sum::<usize>()
        }
        Event::Chats | Event::Delete { .. } | Event::Delivered { .. } | Event::Read { .. } => EVENT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_stay_within_the_bound_and_in_order() {
        let sizes = vec![1, BYTES - 1, 1, BYTES, BYTES + 1, 0, 2];
        let cut = runs(sizes, |size| *size);
        assert_eq!(
            cut.as_slice(),
            [
                vec![1, BYTES - 1],
                vec![1],
                vec![BYTES],
                vec![BYTES + 1],
                vec![0, 2]
            ]
        );
        assert!(runs(Vec::new(), |size: &usize| *size).is_empty());
    }
}
