//! The randomness of the operating system, replaced: hash maps and the order in which `select!` looks at its branches draw
//! from it, in our code and in that of others.
//!
//! The invariant: in a process that runs one simulation, all of it follows from the seed.

use std::sync::atomic::{AtomicU64, Ordering};

static STATE: AtomicU64 = AtomicU64::new(0);

/// Begins the numbers of a seed.
pub fn seed(seed: u64) {
    STATE.store(seed ^ 0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
}

/// The next number: SplitMix64.
fn next() -> u64 {
    let mut z = STATE
        .fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed)
        .wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Stands in for the C library's function of this name in every program that links this crate.
///
/// # Safety
/// `buffer` must be valid for writes of `length` bytes.
#[expect(unsafe_code, reason = "the standard library asks the system by this symbol")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(buffer: *mut u8, length: usize, _flags: u32) -> isize {
    for at in 0..length {
        let [byte, ..] = next().to_le_bytes();
        // SAFETY: the caller vouches for `length` bytes.
        unsafe { buffer.add(at).write(byte) };
    }
    isize::try_from(length).unwrap_or(isize::MAX)
}
