//! Who is online, and who is told. Contacts are those who share a dialog that has a message, or a group of at most 50
//! members; they are found anew each time, from rows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use confab_bus::Bus;
use confab_chat::limits::CONTACT_GROUP_MEMBERS;
use confab_chat::row::{HeadRow, MembershipRow, RosterRow};
use confab_chat::{ActorKey, ChatKey, ChatKind, GatewayId, Partition, SessionId, Timestamp, UserId};
use confab_proto::message::{DeliveryBody, Profile, Signal};
use confab_proto::row::UserRow;
use confab_proto::wire::Wire;
use confab_store::{Key, Range, Store, Take, Write};

use super::sessions::{Millis, millis};
use super::signals::Outbox;
use super::{Owner, bounds};
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

/// A user whom contacts believe to be online and who is not, or the reverse.
struct Change {
    user: UserId,
    online: bool,
    row: UserRow,
    /// Whom to tell.
    contacts: BTreeSet<UserId>,
}

impl<B: Bus, S: Store> Owner<B, S> {
    /// Writes users' rows, before anybody is told.
    pub(super) async fn write_users(&mut self, rows: BTreeMap<UserId, UserRow>) -> Result<(), Fault> {
        let rows = rows.into_iter().map(|(user, row)| Write {
            key: Key::User(user),
            timestamp: self.soft.clock.next(),
            value: row.encode(),
            expires: None,
        });
        let rows = rows.collect();
        self.seams.write(rows).await
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
        // What is asked bounds what is answered.
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

    /// Users by the partition of their mailbox, in lists that one message carries.
    fn by_partition(&self, users: impl IntoIterator<Item = UserId>) -> Vec<(Partition, Vec<UserId>)> {
        let mut groups: BTreeMap<Partition, Vec<UserId>> = BTreeMap::new();
        for user in users {
            let partition = ActorKey::Mailbox(user.clone()).partition(self.partitions);
            groups.entry(partition).or_default().push(user);
        }
        let cut = |(partition, users)| {
            let runs = bounds::runs(users, bounds::user_bytes);
            runs.into_iter().map(move |run| (partition, run))
        };
        groups.into_iter().flat_map(cut).collect()
    }

    /// `from` is online and asks after users of this partition.
    pub(super) fn probed(
        &mut self,
        from: UserId,
        announce: bool,
        reply_to: Option<(GatewayId, SessionId)>,
        to: Vec<UserId>,
        out: &mut Outbox,
    ) {
        let mut online = Vec::new();
        for user in &to {
            if announce {
                self.to_sessions(user, || DeliveryBody::Online(vec![from.clone()]), out);
            }
            if self.soft.sessions.is_online(user) {
                online.push(user.clone());
            }
        }
        if let Some(to) = self.not_yet_attached(to) {
            self.soft.keep_early(Signal::Probe {
                from: from.clone(),
                announce,
                reply_to: None,
                to,
            });
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

    /// A user of this partition is told who is online.
    pub(super) fn are_online(&mut self, to: UserId, users: Vec<UserId>, out: &mut Outbox) {
        self.to_sessions(&to, || DeliveryBody::Online(users.clone()), out);
        if self.not_yet_attached(vec![to.clone()]).is_some() {
            self.soft.keep_early(Signal::AreOnline { to, users });
        }
    }

    /// `from` went offline; users of this partition are told.
    pub(super) fn went_offline(
        &mut self,
        from: UserId,
        last_seen: Timestamp,
        to: Vec<UserId>,
        out: &mut Outbox,
    ) {
        for user in &to {
            let body = || DeliveryBody::Offline {
                user: from.clone(),
                last_seen,
            };
            self.to_sessions(user, body, out);
        }
        if let Some(to) = self.not_yet_attached(to) {
            self.soft.keep_early(Signal::WentOffline { from, last_seen, to });
        }
    }

    /// Those of whom no session is known, but may be one that is not attached again yet.
    fn not_yet_attached(&self, mut users: Vec<UserId>) -> Option<Vec<UserId>> {
        self.soft.gathers()?;
        users.retain(|user| self.soft.sessions.gateways(user).is_empty());
        (!users.is_empty()).then_some(users)
    }

    /// The owner before this loop has told contacts that these are online.
    pub(super) fn handed_over(&mut self, online: Vec<UserId>) {
        let until = self
            .soft
            .now()
            .saturating_add(millis(self.config.heartbeat_silence));
        for user in online {
            self.soft.sessions.expect(user, Some(until));
        }
    }

    /// Tells the next owner whom contacts believe to be online: of those who have gone with their gateway it hears
    /// nothing else. Nobody is offline because a partition moves.
    pub(super) async fn hand_over(&self) {
        let online = self.soft.sessions.believed_online();
        for online in bounds::runs(online, bounds::user_bytes) {
            let signal = Signal::HandOver { online };
            self.seams.bus.signal(self.partition, signal).await;
        }
    }

    /// Announces the users of whom no session is left, or one has come back, since contacts were last told. What they
    /// were last told is in the user's row, by whichever owner: what they know already is not said again.
    pub(super) async fn settle(&mut self, mut users: Vec<UserId>, out: &mut Outbox) -> Result<(), Fault> {
        users.sort_unstable();
        users.dedup();
        let now = self.soft.now();
        let mut changing = Vec::new();
        for user in users {
            let sessions = &mut self.soft.sessions;
            if sessions.is_leaving(&user, now) || sessions.is_returning(&user) {
                changing.push(user);
            } else {
                sessions.forget_absent(&user);
            }
        }
        let changes = changing.into_iter().map(|user| {
            let unwritten = out.users.get(&user).cloned();
            self.change_of(user, unwritten)
        });
        let changes = changes.collect();
        for change in super::concurrently(changes).await? {
            self.announce(change, out);
        }
        Ok(())
    }

    /// What there is to say of a user who is leaving or returning.
    async fn change_of(&self, user: UserId, unwritten: Option<UserRow>) -> Result<Change, Fault> {
        let online = self.soft.sessions.is_returning(&user);
        let row = match unwritten {
            Some(row) => row,
            None => {
                let row = self.seams.get(Key::User(user.clone())).await?;
                row.unwrap_or_default()
            }
        };
        // Where this loop has said `online` itself it takes that back, whatever others have said.
        let is_news = row.online != online || self.soft.sessions.is_online(&user);
        let contacts = match is_news {
            true => contacts(&self.seams, &user).await?,
            false => BTreeSet::new(),
        };
        Ok(Change {
            user,
            online,
            row,
            contacts,
        })
    }

    fn announce(&mut self, change: Change, out: &mut Outbox) {
        let Change {
            user,
            online,
            row,
            contacts,
        } = change;
        self.soft.sessions.set_online(&user, online, self.soft.now());
        let mut last_seen = row.last_seen;
        if row.online != online || (online && row.worker != self.config.name) {
            last_seen = self.seams.bus.now();
            let row = UserRow {
                last_seen,
                online,
                worker: Arc::clone(&self.config.name),
                ..row
            };
            out.users.insert(user.clone(), row);
        }
        if online {
            self.probe(&user, true, None, contacts, out);
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

    /// Writes again the rows of users who have been online for long. A row that says otherwise is another owner's, who
    /// has told contacts so.
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
            if !row.online {
                self.soft.sessions.doubt(&user);
                out.unsettled.push(user);
                continue;
            }
            self.soft.sessions.set_online(&user, true, now);
            let row = UserRow {
                last_seen: self.seams.bus.now(),
                worker: Arc::clone(&self.config.name),
                ..row
            };
            out.users.insert(user, row);
        }
        Ok(())
    }
}
