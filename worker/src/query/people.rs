//! The other side of a dialog, as it is shown.

use std::borrow::Cow;

use confab_chat::{Rejection, Timestamp, UserId};
use confab_proto::row::UserRow;
use confab_store::{Key, Store};

use super::reads::Reads;

/// A row that says `online` and was not written for so long belongs to a user whose worker died. Online ones are
/// written every five minutes; this leaves room for two.
const ONLINE_FOR: u64 = 12 * 60 * 1000;

/// A user.
pub(super) struct Person {
    pub(super) id: UserId,
    pub(super) row: UserRow,
    /// A row written before says nothing of who is online now.
    alone_since: Timestamp,
    /// Whoever wrote the row lives.
    vouched: bool,
}

impl Person {
    pub(super) async fn read<S: Store>(reads: &Reads<S>, id: UserId) -> Result<Self, Rejection> {
        let row: Option<UserRow> = reads.get(Key::User(id.clone())).await?;
        let row = row.unwrap_or_default();
        Ok(Self {
            id,
            vouched: reads.peers.vouches(&row.worker),
            row,
            alone_since: reads.alone_since,
        })
    }

    /// A user without a name is called by the id.
    pub(super) fn name(&self) -> Cow<'static, str> {
        let name = self.row.profile.name.as_deref().filter(|name| !name.is_empty());
        name.unwrap_or(self.id.as_str()).to_owned().into()
    }

    pub(super) fn photo_url(&self) -> Option<Cow<'static, str>> {
        self.row.profile.photo_url.clone().map(Cow::Owned)
    }

    pub(super) fn verified(&self) -> Option<bool> {
        self.row.profile.verified
    }

    /// When last online, of one who is not now and ever was.
    pub(super) fn last_seen(&self, now: Timestamp) -> Option<u64> {
        let last_seen = self.row.last_seen.0;
        let fresh = now.0.saturating_sub(last_seen) <= ONLINE_FOR && self.row.last_seen >= self.alone_since;
        let online = self.row.online && fresh && self.vouched;
        (!online && last_seen > 0).then_some(last_seen)
    }
}
