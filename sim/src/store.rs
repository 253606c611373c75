//! The store in memory: three replicas, each of which may miss a write. A write is acknowledged when two have it, a read
//! asks two, and mends nothing.
//!
//! Rows stand each by itself; the parts of a state in one batch stand together on a replica, and so do the marks of one
//! user, kind and bucket, in the order in which they were written.

mod ranges;
mod tables;

use std::sync::Arc;
use std::time::Duration;

use confab_chat::ActorKey;
use confab_chat::limits::BUCKET_MESSAGES;
use confab_store::{Key, Range, Record, Store, StoreError, Take, Write, Writes};
use parking_lot::Mutex;

use crate::clock;
use crate::faults::{Fault, Faults};
use crate::host::Host;
use crate::trace;
use crate::wire::Wire;
use ranges::Wanted;
pub use tables::Cell;
use tables::Replica;

/// How many replicas there are.
const REPLICAS: usize = 3;
/// How long a write that stands later takes, in milliseconds.
const LATER: (u64, u64) = (5, 5_000);
/// How long one that stands minutes later takes.
const MINUTES: (u64, u64) = (60_000, 240_000);
/// How long a slow read takes.
const SLOW: (u64, u64) = (20, 2_500);

/// What all processes share.
#[derive(Debug)]
pub struct Tables {
    wire: Arc<Wire>,
    faults: Arc<Faults>,
    replicas: Mutex<[Replica; REPLICAS]>,
}

impl Tables {
    /// Empty tables.
    #[must_use]
    pub fn new(wire: Arc<Wire>, faults: Arc<Faults>) -> Arc<Self> {
        Arc::new(Self {
            wire,
            faults,
            replicas: Mutex::default(),
        })
    }

    /// The end of a process.
    #[must_use]
    pub fn end(self: &Arc<Self>, host: &Host) -> SimStore {
        SimStore {
            tables: Arc::clone(self),
            host: host.clone(),
        }
    }

    /// Every row as all replicas together have it.
    #[must_use]
    pub fn rows(&self) -> Vec<(Key, Cell)> {
        let replicas = self.replicas.lock();
        let mut all = Replica::default();
        for replica in replicas.iter() {
            all.merge(replica);
        }
        all.into_rows()
    }

    /// Every row as each two of the replicas have it.
    #[must_use]
    pub fn quorums(&self) -> Vec<Vec<(Key, Cell)>> {
        let replicas = self.replicas.lock();
        let without = |skipped: usize| {
            let mut pair = Replica::default();
            let kept = replicas.iter().enumerate().filter(|(nth, _)| *nth != skipped);
            kept.for_each(|(_, replica)| pair.merge(replica));
            pair.into_rows()
        };
        (0..REPLICAS).map(without).collect()
    }

    fn put(&self, replica: usize, rows: &[Write]) {
        let mut replicas = self.replicas.lock();
        for row in rows {
            replicas[replica].put(row);
        }
    }

    fn put_later(self: &Arc<Self>, after: Duration, replica: usize, rows: Vec<Write>) {
        let tables = Arc::clone(self);
        self.wire.after(after, move || tables.put(replica, &rows));
    }

    /// What two replicas say, each looked at in its turn.
    async fn quorum(&self, wanted: &Wanted) -> Vec<Record> {
        let skipped = usize::try_from(self.faults.between(0, REPLICAS as u64 - 1)).unwrap_or(0);
        let mut merged = Replica::default();
        for nth in (0..REPLICAS).filter(|nth| *nth != skipped) {
            if self.faults.chance(20) {
                self.faults.dawdle().await;
            }
            let now = clock::now(0);
            let replicas = self.replicas.lock();
            for (key, cell) in replicas[nth].rows(&wanted.run()) {
                if wanted.holds(key) && !cell.is_expired(now) {
                    merged.take(key, cell);
                }
            }
        }
        merged.into_records()
    }
}

/// The store of one process.
#[derive(Clone, Debug)]
pub struct SimStore {
    tables: Arc<Tables>,
    host: Host,
}

/// What becomes of rows that stand or do not stand together.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// They stand on two replicas, or on all.
    Stand,
    /// They stand on one replica.
    OnOne(usize),
    /// They never stand.
    Never,
    /// They stand after a while, so many milliseconds.
    Later((u64, u64)),
}

impl SimStore {
    /// What goes wrong with a write, if anything does: once a call, so that a large one fails no more often than a small one.
    fn fault(&self) -> Option<Fate> {
        let faults = &self.tables.faults;
        if let Some(replica) = self.host.only_replica() {
            faults.count(Fault::OneReplica);
            return Some(Fate::OnOne(replica % REPLICAS));
        }
        let fates = [
            (Fault::WriteNever, Fate::Never),
            (Fault::OneReplica, Fate::OnOne(self.any_replica())),
            (Fault::WriteLater, Fate::Later(LATER)),
            (Fault::WriteMinutes, Fate::Later(MINUTES)),
            (Fault::WriteNow, Fate::Stand),
        ];
        let struck = fates.into_iter().find(|(fault, _)| faults.strikes(*fault));
        struck.map(|(_, fate)| fate)
    }

    fn any_replica(&self) -> usize {
        let nth = self.tables.faults.between(0, REPLICAS as u64 - 1);
        usize::try_from(nth).unwrap_or(0)
    }

    /// Rows that stand or do not stand together meet their fate.
    async fn write_group(&self, rows: Vec<Write>, fate: Fate) {
        let (tables, faults) = (&self.tables, &self.tables.faults);
        match fate {
            Fate::Never => {}
            Fate::OnOne(replica) => tables.put(replica, &rows),
            Fate::Later((low, high)) => {
                for replica in 0..REPLICAS {
                    tables.put_later(faults.while_of(low, high), replica, rows.clone());
                }
            }
            Fate::Stand => {
                let missing = faults.strikes(Fault::ReplicaMisses).then(|| self.any_replica());
                for replica in (0..REPLICAS).filter(|replica| Some(*replica) != missing) {
                    if faults.chance(10) {
                        faults.dawdle().await;
                        self.host.runs().await;
                    }
                    tables.put(replica, &rows);
                }
            }
        }
    }

    async fn write_groups(&self, groups: Vec<Vec<Write>>) -> Result<(), StoreError> {
        self.host.runs().await;
        let faults = &self.tables.faults;
        faults.dawdle().await;
        trace::tell(Some(&self.host), format_args!("writes {groups:?}"));
        let fault = self.fault();
        let hit_all = groups.len() == 1 || self.host.only_replica().is_some() || faults.chance(50);
        for group in groups {
            if faults.chance(15) {
                faults.dawdle().await;
            }
            self.host.runs().await;
            let fate = fault.filter(|_| hit_all || faults.chance(50));
            self.write_group(group, fate.unwrap_or(Fate::Stand)).await;
        }
        faults.dawdle().await;
        self.host.runs().await;
        match fault {
            Some(_) => Err(StoreError::Unavailable("timed out (simulated)".to_owned())),
            None => Ok(()),
        }
    }

    async fn read(&self, wanted: &Wanted) -> Result<Vec<Record>, StoreError> {
        let faults = &self.tables.faults;
        self.host.runs().await;
        faults.dawdle().await;
        if faults.strikes(Fault::ReadSlow) {
            tokio::time::sleep(faults.while_of(SLOW.0, SLOW.1)).await;
        }
        if faults.strikes(Fault::ReadFails) {
            return Err(StoreError::Unavailable("timed out (simulated)".to_owned()));
        }
        let records = self.tables.quorum(wanted).await;
        trace::tell(
            Some(&self.host),
            format_args!("reads {wanted:?}: {} rows", records.len()),
        );
        faults.dawdle().await;
        self.host.runs().await;
        Ok(records)
    }
}

/// Marks of one user, kind and bucket stand together; every other row by itself.
fn groups(rows: Vec<Write>) -> Vec<Vec<Write>> {
    let bucket = |row: &Write| match &row.key {
        Key::Mark(chat, user, kind, up_to) => {
            Some((chat.clone(), user.clone(), *kind, up_to / BUCKET_MESSAGES))
        }
        _ => None,
    };
    let mut groups: Vec<Vec<Write>> = Vec::new();
    for row in rows {
        let of = bucket(&row);
        let known = groups
            .iter_mut()
            .find(|group| of.is_some() && group.first().and_then(bucket) == of);
        match known {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    groups
}

impl Store for SimStore {
    async fn write(&self, rows: impl Writes) -> Result<(), StoreError> {
        self.write_groups(groups(rows.as_ref().to_vec())).await
    }

    async fn write_state(&self, _actor: ActorKey, parts: impl Writes) -> Result<(), StoreError> {
        self.write_groups(vec![parts.as_ref().to_vec()]).await
    }

    async fn get(&self, key: Key) -> Result<Option<Record>, StoreError> {
        let records = self.read(&Wanted::One(key.clone())).await?;
        Ok(records.into_iter().find(|record| record.key == key))
    }

    async fn scan(&self, range: Range, take: Take) -> Result<Vec<Record>, StoreError> {
        let wanted = Wanted::Run(range);
        let mut records = self.read(&wanted).await?;
        wanted.sort(&mut records);
        match take {
            Take::All => {}
            Take::First(most) => records.truncate(most),
            Take::Last(most) => {
                records.reverse();
                records.truncate(most);
            }
        }
        Ok(records)
    }
}
