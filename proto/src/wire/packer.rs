//! Many encoded values in few pieces of memory.

use bytes::{Bytes, BytesMut};

use super::{SCRATCH, Wire, give_back};

/// Puts bytes one behind the other into shared pieces of memory, each freed with the last of what it holds: for values that
/// are made together and go together. One that is kept for longer keeps its whole piece.
#[derive(Debug)]
pub struct Packer {
    piece: usize,
    room: BytesMut,
}

impl Packer {
    /// With pieces of so many bytes. What would take a quarter of one or more has memory of its own, so that no more than
    /// that is left over at the end of a piece.
    #[must_use]
    pub fn new(piece: usize) -> Self {
        Self {
            piece,
            room: BytesMut::new(),
        }
    }

    /// Keeps bytes.
    pub fn pack(&mut self, bytes: &[u8]) -> Bytes {
        if bytes.len() >= self.piece / 4 {
            return Bytes::copy_from_slice(bytes);
        }
        if self.room.capacity() < bytes.len() {
            self.room = BytesMut::with_capacity(self.piece);
        }
        self.room.extend_from_slice(bytes);
        self.room.split().freeze()
    }

    /// A value's bytes: what [`Wire::encode`] gives.
    pub fn encode(&mut self, value: &impl Wire) -> Bytes {
        let mut scratch = SCRATCH.take();
        value.encode_to(&mut scratch);
        let bytes = self.pack(&scratch);
        give_back(scratch);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_as_they_went_in_whatever_their_size() {
        let mut packer = Packer::new(64);
        let sizes = [0, 1, 15, 16, 17, 15, 15, 15, 15, 64, 65, 1000, 3, 0, 15];
        let values: Vec<Vec<u8>> = (0..).zip(sizes).map(|(byte, size)| vec![byte; size]).collect();
        let packed: Vec<_> = values.iter().map(|value| packer.pack(value)).collect();
        assert_eq!(packed, values);
    }

    #[test]
    fn small_values_that_are_made_together_stand_together() {
        let mut packer = Packer::new(64);
        let (one, two) = (packer.pack(b"one"), packer.pack(b"two"));
        assert_eq!(one.as_ptr().wrapping_add(3), two.as_ptr());
    }

    #[test]
    fn a_value_is_encoded_as_by_itself() {
        let value = confab_chat::Timestamp(1_700_000_000_000);
        assert_eq!(Packer::new(64).encode(&value), value.encode());
    }
}
