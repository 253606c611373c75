//! Which events a device has acknowledged: in any order, one by one.

/// Ranges kept beyond the cursor. A device that leaves more gaps than this has the highest forgotten, and so gets
/// those events again at its next connection: no harm, only work.
const RANGES: usize = 64;

/// The acknowledgements of one connection.
#[derive(Debug, Default)]
pub(super) struct Acks {
    /// Everything up to and including this one is acknowledged.
    cursor: u64,
    /// Beyond it: disjoint, not touching, ascending, both ends included.
    beyond: Vec<(u64, u64)>,
}

impl Acks {
    /// Begins at a device's cursor.
    pub(super) fn starting_at(cursor: u64) -> Self {
        Self {
            cursor,
            beyond: Vec::new(),
        }
    }

    /// Takes an acknowledgement; gives the cursor where it moves.
    pub(super) fn ack(&mut self, id: u64) -> Option<u64> {
        if id <= self.cursor {
            return None;
        }
        if id == self.cursor + 1 {
            self.cursor = id;
            if self.beyond.first().is_some_and(|(from, _)| *from == id + 1) {
                self.cursor = self.beyond.remove(0).1;
            }
            return Some(self.cursor);
        }
        self.insert(id);
        None
    }

    fn insert(&mut self, id: u64) {
        let place = self.beyond.partition_point(|(_, to)| *to < id);
        if self.beyond.get(place).is_some_and(|(from, _)| *from <= id) {
            return;
        }
        let joins_below = place > 0 && self.beyond[place - 1].1 + 1 == id;
        let joins_above = self.beyond.get(place).is_some_and(|(from, _)| *from == id + 1);
        match (joins_below, joins_above) {
            (true, true) => self.beyond[place - 1].1 = self.beyond.remove(place).1,
            (true, false) => self.beyond[place - 1].1 = id,
            (false, true) => self.beyond[place].0 = id,
            (false, false) => {
                self.beyond.insert(place, (id, id));
                self.beyond.truncate(RANGES);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Acks, RANGES};

    /// What a set of all acknowledged ids says.
    fn naive(acked: &BTreeSet<u64>, start: u64) -> u64 {
        (start + 1..).find(|id| !acked.contains(id)).unwrap_or(start) - 1
    }

    #[test]
    fn any_order_moves_the_cursor_as_a_set_would() {
        // Every permutation of eight acknowledgements, by Heap's algorithm.
        let mut ids = [11, 12, 13, 14, 15, 16, 17, 18];
        let mut swaps = [0; 8];
        let mut place = 0;
        check(&ids);
        while place < ids.len() {
            if swaps[place] < place {
                ids.swap(if place % 2 == 0 { 0 } else { swaps[place] }, place);
                check(&ids);
                swaps[place] += 1;
                place = 0;
            } else {
                swaps[place] = 0;
                place += 1;
            }
        }
    }

    fn check(ids: &[u64]) {
        let (mut acks, mut acked, mut cursor) = (Acks::starting_at(10), BTreeSet::new(), 10);
        for id in ids.iter().flat_map(|id| [*id, *id]) {
            acked.insert(id);
            let moved = acks.ack(id);
            let expected = naive(&acked, 10);
            assert_eq!(
                moved,
                (expected > cursor).then_some(expected),
                "ack {id} of {ids:?}"
            );
            cursor = expected;
        }
    }

    #[test]
    fn gaps_are_bounded() {
        let mut acks = Acks::default();
        for id in (2..1000).step_by(2) {
            assert_eq!(acks.ack(id), None);
        }
        assert_eq!(acks.beyond.len(), RANGES);
        assert_eq!(acks.ack(1), Some(2));
    }
}
