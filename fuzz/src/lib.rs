//! Entry points for fuzzing: each takes whatever bytes there are, and panics where a promise is broken.
//!
//! The same functions are run by libFuzzer (`targets/`), on what `corpus/` holds, and by property tests on the stable
//! toolchain (`tests/`).

mod apply;
mod entries;
pub mod samples;

use std::fmt::Debug;

use confab_chat::row::{ClientIdRow, HeadRow, MembershipRow, MessageRow, RosterRow};
use confab_chat::{Timestamp, UserId, conversation, mailbox};
use confab_proto::client::{Incoming, decode};
use confab_proto::message::{Announcement, LogEntry, Query, Signal, ToGateway};
use confab_proto::row::{CheckpointRow, CursorRow, InboxRow, ReachRow, UserRow};
use confab_proto::wire::Wire;

pub use apply::apply;
pub use entries::{pack, unpack};

/// A frame of a client: whatever it is, it is told what it is, and a request keeps within what the protocol allows.
///
/// # Panics
/// Where it does not.
pub fn client_frame(frame: &[u8]) {
    let Ok(user) = UserId::parse("ann") else {
        return;
    };
    if let Incoming::Request { id, .. } = decode(&user, frame) {
        assert!(
            id.len() <= confab_proto::client::REQUEST_ID_BYTES,
            "an id of {} bytes was taken",
            id.len()
        );
    }
}

/// A message of the bus or a row: what decodes encodes to what decodes to the same.
///
/// # Panics
/// Where it does not.
pub fn wire(bytes: &[u8]) {
    holds::<LogEntry>(bytes);
    holds::<Signal>(bytes);
    holds::<ToGateway>(bytes);
    holds::<Query>(bytes);
    holds::<Announcement>(bytes);
    holds::<MessageRow>(bytes);
    holds::<ClientIdRow>(bytes);
    holds::<HeadRow>(bytes);
    holds::<RosterRow>(bytes);
    holds::<MembershipRow>(bytes);
    holds::<Timestamp>(bytes);
    holds::<InboxRow>(bytes);
    holds::<CursorRow>(bytes);
    holds::<UserRow>(bytes);
    holds::<CheckpointRow>(bytes);
    holds::<ReachRow>(bytes);
}

/// A part of a state: what decodes encodes to what decodes to the same.
///
/// # Panics
/// Where it does not.
pub fn state(bytes: &[u8]) {
    holds::<conversation::Head>(bytes);
    holds::<conversation::Member>(bytes);
    holds::<mailbox::Head>(bytes);
    holds::<u64>(bytes);
}

fn holds<T: Wire + PartialEq + Debug>(bytes: &[u8]) {
    let Ok(value) = T::decode(bytes) else {
        return;
    };
    let canonical = value.encode();
    match T::decode(&canonical) {
        Ok(again) => {
            assert_eq!(again, value, "it comes back as something else");
            assert_eq!(again.encode(), canonical, "equal values are equal bytes");
        }
        Err(error) => panic!("what was encoded does not decode: {error}"),
    }
}
