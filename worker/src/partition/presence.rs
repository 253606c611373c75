//! Who is online, and who is told. Contacts are those who share a dialog that has a message, or a group of at most 50
//! members; they are found anew each time, from rows.

use std::collections::{BTreeMap, BTreeSet};

use confab_bus::Bus;
use confab_chat::limits::CONTACT_GROUP_MEMBERS;
use confab_chat::row::{HeadRow, MembershipRow, RosterRow};
use confab_chat::{ActorKey, ChatKey, ChatKind, GatewayId, Partition, SessionId, Timestamp, UserId};
use confab_proto::message::{DeliveryBody, Profile, Signal};
use confab_proto::row::UserRow;
use confab_proto::wire::Wire;
use confab_store::{Key, Range, Store, Take, Write};

use super::Owner;
use super::sessions::Millis;
use super::signals::Outbox;
use crate::seams::{Fault, Seams, decode};

/// How often the row of a user who stays online is written again.
const REFRESH: Millis = 5 * 60 * 1000;
/// How many of those are written in one sweep.
const REFRESHED_A_SWEEP: usize = 1024;

/// A user's contacts.
pub(super) async fn contacts<B: Bus, S: Store>(
    seams: &Seams<B, S>,
    user: &UserId,
) -> Result<BTreeSet<UserId>, Fault> {
    let records = seams.scan(Range::Memberships(user.clone()), Take::All).await?;
    let mut contacts = BTreeSet::new();
    let mut groups = Vec::new();
    for record in &records {
        let Key::Membership(_, chat) = &record.key else {
            return Err(Fault::Alarm(format!("row {:?} is no membership", record.key)));
        };
        let row: MembershipRow = decode(record)?;
        match chat.other_side(user) {
            // A dialog has rows from its first message on.
            Some(other) => contacts.extend(Some(other)),
            None if row.role.is_some() => groups.push(chat),
            None => {}
        }
    }
    let groups = groups.into_iter().map(|chat| group_members(seams, chat));
    contacts.extend(super::concurrently(groups.collect()).await?.into_iter().flatten());
    contacts.remove(user);
    Ok(contacts)
}

/// The members of a group whose members are each other's contacts.
async fn group_members<B: Bus, S: Store>(seams: &Seams<B, S>, chat: &ChatKey) -> Result<Vec<UserId>, Fault> {
    let roster: Option<RosterRow> = seams.get(Key::Roster(chat.clone())).await?;
    let members = roster.map(|roster| roster.members).unwrap_or_default();
    if members.len() > CONTACT_GROUP_MEMBERS {
        return Ok(Vec::new());
    }
    let head: Option<HeadRow> = seams.get(Key::Head(chat.clone())).await?;
    let is_group = head.is_some_and(|head| head.kind == ChatKind::Group);
    Ok(if is_group { members } else { Vec::new() })
}

/// What a row of a user becomes: claims that the token has, and those that it leaves out as they were.
pub(super) fn merged(old: Profile, new: Option<Profile>) -> Profile {
    let new = new.unwrap_or_default();
    Profile {
        name: new.name.or(old.name),
        photo_url: new.photo_url.or(old.photo_url),
        username: new.username.or(old.username),
        phone_number: new.phone_number.or(old.phone_number),
        verified: new.verified.or(old.verified),
    }
}

impl<B: Bus, S: Store> Owner<B, S> {
    /// A user's row, to be written before anybody is told.
    pub(super) fn write_user(&mut self, user: &UserId, row: &UserRow, out: &mut Outbox) {
        out.rows.push(Write {
            key: Key::User(user.clone()),
            timestamp: self.soft.clock.next(),
            value: row.encode(),
            expires: None,
        });
    }

    /// Asks the partitions of a user's contacts who is online; tells how many there are.
    pub(super) fn probe(
        &self,
        from: &UserId,
        announce: bool,
        reply_to: Option<&(GatewayId, SessionId)>,
        contacts: impl IntoIterator<Item = UserId>,
        out: &mut Outbox,
    ) -> u32 {
        let mut probes = 0;
        for (partition, to) in self.by_partition(contacts) {
            let signal = Signal::Probe {
                from: from.clone(),
                announce,
                reply_to: reply_to.cloned(),
                to,
            };
            out.signals.push((partition, signal));
            probes += 1;
        }
        probes
    }

    fn by_partition(&self, users: impl IntoIterator<Item = UserId>) -> BTreeMap<Partition, Vec<UserId>> {
        let mut groups: BTreeMap<Partition, Vec<UserId>> = BTreeMap::new();
        for user in users {
            let partition = ActorKey::Mailbox(user.clone()).partition(self.partitions);
            groups.entry(partition).or_default().push(user);
        }
        groups
    }

    /// `from` is online and asks after users of this partition.
    pub(super) fn probed(
        &self,
        from: UserId,
        announce: bool,
        reply_to: Option<(GatewayId, SessionId)>,
        to: Vec<UserId>,
        out: &mut Outbox,
    ) {
        let mut online = Vec::new();
        for user in to {
            if announce {
                self.to_sessions(&user, || DeliveryBody::Online(vec![from.clone()]), out);
            }
            if self.soft.sessions.is_online(&user) {
                online.push(user);
            }
        }
        match reply_to {
            Some((gateway, session)) => {
                let body = DeliveryBody::Contacts { session, online };
                out.deliver(gateway, from, body);
            }
            None if online.is_empty() => {}
            None => {
                let partition = ActorKey::Mailbox(from.clone()).partition(self.partitions);
                let signal = Signal::AreOnline {
                    to: from,
                    users: online,
                };
                out.signals.push((partition, signal));
            }
        }
    }

    /// `from` went offline; users of this partition are told.
    pub(super) fn went_offline(&self, from: &UserId, last_seen: Timestamp, to: &[UserId], out: &mut Outbox) {
        for user in to {
            let body = || DeliveryBody::Offline {
                user: from.clone(),
                last_seen,
            };
            self.to_sessions(user, body, out);
        }
    }

    /// Announces the users of whom no session is left, or one has come back, since contacts were last told.
    pub(super) async fn settle(&mut self, mut users: Vec<UserId>, out: &mut Outbox) -> Result<(), Fault> {
        users.sort_unstable();
        users.dedup();
        let now = self.soft.now();
        let sessions = &self.soft.sessions;
        let changed = |user: &UserId| sessions.is_leaving(user, now) || sessions.is_returning(user);
        let (changing, rest): (Vec<_>, Vec<_>) = users.into_iter().partition(changed);
        for user in rest {
            self.soft.sessions.forget_absent(&user);
        }
        let seams = &self.seams;
        let found = changing.into_iter().map(|user| async move {
            let row: Option<UserRow> = seams.get(Key::User(user.clone())).await?;
            let contacts = contacts(seams, &user).await?;
            Ok((user, row.unwrap_or_default(), contacts))
        });
        for (user, row, contacts) in super::concurrently(found.collect()).await? {
            self.announce(&user, row, contacts, out);
        }
        Ok(())
    }

    fn announce(&mut self, user: &UserId, row: UserRow, contacts: BTreeSet<UserId>, out: &mut Outbox) {
        let now = self.soft.now();
        let online = self.soft.sessions.is_returning(user);
        let last_seen = self.seams.bus.now();
        let row = UserRow {
            last_seen,
            online,
            ..row
        };
        self.write_user(user, &row, out);
        self.soft.sessions.set_online(user, online, now);
        if online {
            self.probe(user, true, None, contacts, out);
            return;
        }
        for (partition, to) in self.by_partition(contacts) {
            let signal = Signal::WentOffline {
                from: user.clone(),
                last_seen,
                to,
            };
            out.signals.push((partition, signal));
        }
    }

    /// Writes again the rows of users who have been online for long.
    pub(super) async fn refresh(&mut self, out: &mut Outbox) -> Result<(), Fault> {
        let now = self.soft.now();
        let mut stale = self.soft.sessions.stale(now.saturating_sub(REFRESH));
        stale.truncate(REFRESHED_A_SWEEP);
        let seams = &self.seams;
        let rows = stale.into_iter().map(|user| async move {
            let row: Option<UserRow> = seams.get(Key::User(user.clone())).await?;
            Ok((user, row.unwrap_or_default()))
        });
        for (user, row) in super::concurrently(rows.collect()).await? {
            let row = UserRow {
                last_seen: self.seams.bus.now(),
                online: true,
                ..row
            };
            self.write_user(&user, &row, out);
            self.soft.sessions.set_online(&user, true, now);
        }
        Ok(())
    }
}
