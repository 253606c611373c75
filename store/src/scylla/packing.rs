//! Which rows go to the database in one request.
//!
//! A request costs us and the database more than a row in it does, so rows share one: a batch that is not logged, in which a
//! partition's rows are in one mutation. Nobody waits longer for it: a call waits for all its rows anyway.
//!
//! Only partitions with the same replicas share a request: whoever is asked keeps all of them, as it would keep one alone. The
//! more nodes and shards a cluster has, the fewer share one, until there are many to write at once.
//!
//! **Tablets.** Where ScyllaDB keeps a table in tablets, the driver learns from the answers to single rows where each is; those to
//! batches do not say it. So now and then partitions go apart ([`Sharing`]), and one whose tablet is not known always does.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::cells::Cell;
use super::tables::Table;

/// Rows of several partitions in a request, and so at most as many partitions: from eleven on Cassandra warns in its log
/// (`unlogged_batch_across_partitions_warn_threshold`).
const ROWS: usize = 8;
/// And their bytes: from 5 KB on Cassandra warns, from 50 KB on it refuses (`batch_size_warn_threshold`,
/// `batch_size_fail_threshold`). ScyllaDB's bounds are 128 KB and 1 MB.
const BYTES: usize = 4 << 10;
/// Bytes of a request whose rows are all of one partition. That is one mutation, which is not held against those bounds. It is
/// refused by none of them even where it is two partitions that happen to have one token.
const PARTITION_BYTES: usize = 32 << 10;

/// In one of so many calls partitions go apart.
const APART: usize = 64;

/// A replica, as far as it is told apart here: a node's id, and the number of a shard of it.
pub(super) type Replica = (u128, u32);

/// Where a row lies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Who keeps it in our datacenter, in ascending order. None if that is not known.
    pub(super) replicas: Vec<Replica>,
    /// The partition, together with its token.
    pub(super) table: Table,
    pub(super) token: i64,
}

/// A row to insert.
#[derive(Clone, Debug)]
pub(super) struct Insert<'a> {
    pub(super) place: Place,
    pub(super) values: Vec<Cell<'a>>,
    /// About what it adds to a request.
    pub(super) bytes: usize,
}

/// What goes to the database at once.
#[derive(Debug)]
pub(super) struct Parcel<'a> {
    /// At least one.
    pub(super) inserts: Vec<Insert<'a>>,
    bytes: usize,
}

impl<'a> Parcel<'a> {
    fn of(insert: Insert<'a>) -> Self {
        Self {
            bytes: insert.bytes,
            inserts: vec![insert],
        }
    }

    fn take(&mut self, other: Self) {
        self.inserts.extend(other.inserts);
        self.bytes += other.bytes;
    }

    /// Whether both are of one partition, and one request. Marks always are: no reader may see one without those below it. They
    /// are small, and not more in a call than a batch of the log has entries.
    fn is_of_partition_of(&self, other: &Self) -> bool {
        let (mine, others) = (&self.inserts[0].place, &other.inserts[0].place);
        let small = self.bytes + other.bytes <= PARTITION_BYTES;
        (mine.table, mine.token) == (others.table, others.token) && (small || mine.table == Table::Marks)
    }

    /// Whether partitions may share a request.
    fn may_share_with(&self, other: &Self) -> bool {
        let (mine, others) = (&self.inserts[0].place, &other.inserts[0].place);
        !mine.replicas.is_empty()
            && mine.replicas == others.replicas
            && self.inserts.len() + other.inserts.len() <= ROWS
            && self.bytes + other.bytes <= BYTES
    }
}

/// Whether the partitions of a call share requests. In one that they do not share, those of a single row teach the driver.
#[derive(Debug, Default)]
pub(super) struct Sharing {
    calls: AtomicUsize,
}

impl Sharing {
    /// For the next call that has more than one row: a single one teaches anyway.
    pub(super) fn for_next_call(&self) -> bool {
        !self.calls.fetch_add(1, Ordering::Relaxed).is_multiple_of(APART)
    }
}

/// Puts rows together: those of a partition, and partitions if they are to share.
pub(super) fn pack(mut inserts: Vec<Insert<'_>>, share: bool) -> Vec<Parcel<'_>> {
    inserts.sort_by(|one, other| one.place.cmp(&other.place));
    let partitions = join_neighbours(inserts.into_iter().map(Parcel::of), Parcel::is_of_partition_of);
    match share {
        true => join_neighbours(partitions, Parcel::may_share_with),
        false => partitions,
    }
}

fn join_neighbours<'a>(
    parcels: impl IntoIterator<Item = Parcel<'a>>,
    fit: impl Fn(&Parcel<'a>, &Parcel<'a>) -> bool,
) -> Vec<Parcel<'a>> {
    let mut joined: Vec<Parcel<'a>> = Vec::new();
    for parcel in parcels {
        match joined.last_mut() {
            Some(last) if fit(last, &parcel) => last.take(parcel),
            _ => joined.push(parcel),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::{APART, BYTES, Insert, PARTITION_BYTES, Parcel, Place, ROWS, Replica, Sharing, pack};
    use crate::scylla::tables::Table;

    const HERE: Replica = (1, 0);
    const THERE: Replica = (2, 0);

    fn insert(replicas: &[Replica], token: i64, bytes: usize) -> Insert<'static> {
        let place = Place {
            replicas: replicas.to_vec(),
            table: Table::Inbox,
            token,
        };
        Insert {
            place,
            values: Vec::new(),
            bytes,
        }
    }

    /// The tokens of each parcel.
    fn packed(inserts: Vec<Insert<'static>>) -> Vec<Vec<i64>> {
        pack(inserts, true).iter().map(tokens).collect()
    }

    fn tokens(parcel: &Parcel<'_>) -> Vec<i64> {
        parcel.inserts.iter().map(|insert| insert.place.token).collect()
    }

    #[test]
    fn rows_share_a_request_if_they_have_the_same_replicas() {
        let (here, both) = ([HERE], [HERE, THERE]);
        let inserts = [insert(&here, 1, 9), insert(&both, 2, 9), insert(&here, 3, 9)];
        assert_eq!(packed(inserts.to_vec()), [vec![1, 3], vec![2]]);
        let other_shard = [insert(&[(1, 0)], 1, 9), insert(&[(1, 1)], 2, 9)];
        assert_eq!(packed(other_shard.to_vec()), [[1], [2]]);
        let unknown = [insert(&[], 1, 9), insert(&[], 2, 9)];
        assert_eq!(packed(unknown.to_vec()), [[1], [2]]);
    }

    #[test]
    fn partitions_may_go_apart() {
        let inserts = [
            insert(&[HERE], 1, 9),
            insert(&[HERE], 2, 9),
            insert(&[HERE], 1, 9),
        ];
        let sharing = Sharing::default();
        let shared = (0..2 * APART).filter(|_| sharing.for_next_call()).count();
        assert_eq!(shared, 2 * APART - 2);
        let apart = pack(inserts.to_vec(), false);
        assert_eq!(
            apart.iter().map(tokens).collect::<Vec<_>>(),
            [vec![1, 1], vec![2]]
        );
    }

    #[test]
    fn rows_of_several_partitions_are_few_and_small() {
        let most = i64::try_from(ROWS).unwrap();
        let many = (0..=most).map(|token| insert(&[HERE], token, 9));
        assert_eq!(packed(many.collect()), [Vec::from_iter(0..most), vec![most]]);
        let large = [insert(&[HERE], 1, BYTES - 9), insert(&[HERE], 2, 10)];
        assert_eq!(packed(large.to_vec()), [[1], [2]]);
    }

    #[test]
    fn rows_of_one_partition_may_be_many() {
        let many = vec![insert(&[], 1, 9); 10 * ROWS];
        assert_eq!(packed(many), [vec![1; 10 * ROWS]]);
        let large = [insert(&[HERE], 1, PARTITION_BYTES), insert(&[HERE], 1, 9)];
        assert_eq!(packed(large.to_vec()), [[1], [1]]);
        let beside_another = [
            insert(&[HERE], 2, 9),
            insert(&[HERE], 1, BYTES),
            insert(&[HERE], 1, 9),
        ];
        assert_eq!(packed(beside_another.to_vec()), [vec![1, 1], vec![2]]);
    }

    #[test]
    fn marks_of_one_partition_are_never_apart() {
        let mut marks = vec![insert(&[HERE], 2, PARTITION_BYTES); ROWS];
        marks.insert(3, insert(&[HERE], 1, 9));
        for mark in &mut marks {
            mark.place.table = Table::Marks;
        }
        assert_eq!(packed(marks), [vec![1], vec![2; ROWS]]);
    }
}
