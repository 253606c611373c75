//! Frames on their way to a socket: encoded one behind the other, written together, straight to the connection.
//!
//! The WebSocket layer would keep the memory of the largest batch it ever wrote as long as the socket is open; here a
//! buffer belongs to a session only while it holds something, and goes back to its thread's few when all is written.

use std::cell::RefCell;
use std::io;

use tokio::io::{AsyncWrite, AsyncWriteExt};

/// Buffers that a thread keeps for whoever writes next.
const SPARE: usize = 4;
/// A larger buffer is not kept.
const SPARE_BYTES: usize = 64 * 1024;
/// The first byte of a text frame that is a whole message.
const TEXT: u8 = 0x81;
/// Bytes of the header of a frame of 126 to 65,535 bytes, which is what most are.
const HEADER: usize = 4;

thread_local! {
    static SPARES: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Frames that are ready.
#[derive(Debug, Default)]
pub(super) struct Frames {
    bytes: Vec<u8>,
    /// How much of it is written.
    written: usize,
    count: u64,
}

impl Frames {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// How many bytes wait.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// How many frames wait.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Adds a text frame, whose payload `encode` appends.
    pub(super) fn push(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        if self.bytes.capacity() == 0 {
            self.bytes = SPARES.with_borrow_mut(Vec::pop).unwrap_or_default();
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[TEXT, 0, 0, 0]);
        encode(&mut self.bytes);
        finish(&mut self.bytes, start);
        self.count += 1;
    }

    /// Writes all of it. Cancelled, it goes on where it was when called again.
    pub(super) async fn write_to<W: AsyncWrite + Unpin>(&mut self, stream: &mut W) -> io::Result<()> {
        while self.written < self.bytes.len() {
            match stream.write(&self.bytes[self.written..]).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => self.written += count,
            }
        }
        stream.flush().await?;
        self.clear();
        Ok(())
    }

    fn clear(&mut self) {
        self.written = 0;
        self.count = 0;
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        if bytes.capacity() <= SPARE_BYTES {
            SPARES.with_borrow_mut(|spares| {
                if spares.len() < SPARE {
                    spares.push(bytes);
                }
            });
        }
    }
}

/// Fills in the header of the frame that begins at `start`, making room or taking it back where its length has another
/// form than most.
fn finish(bytes: &mut Vec<u8>, start: usize) {
    let payload = start + HEADER;
    let len = bytes.len() - payload;
    if let Ok(short) = u8::try_from(len)
        && short < 126
    {
        bytes.copy_within(payload.., start + 2);
        bytes.truncate(start + 2 + len);
        bytes[start + 1] = short;
    } else if let Ok(middle) = u16::try_from(len) {
        bytes[start + 1] = 126;
        bytes[start + 2..payload].copy_from_slice(&middle.to_be_bytes());
    } else {
        bytes.resize(bytes.len() + 6, 0);
        bytes.copy_within(payload..payload + len, payload + 6);
        bytes[start + 1] = 127;
        bytes[start + 2..start + 10].copy_from_slice(&(len as u64).to_be_bytes());
    }
}

#[cfg(test)]
mod tests;
