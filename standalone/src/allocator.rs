//! The allocator. A message is allocated on one thread and freed on another, which the C library's allocator pays for with
//! a lock: with mimalloc the `message_cost` tool shows a fifth less CPU a message.

use libmimalloc_sys::{mi_option_set, mi_option_t};
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// `mi_option_purge_delay` of mimalloc.h, which the bindings leave out.
const PURGE_DELAY: mi_option_t = 15;

/// Gives pages back to the system as soon as they are free: what a handshake used is not kept for as many idle
/// connections as there are. (The default of ten milliseconds keeps 1 KB more a connection, for 3 µs less a message.)
pub(crate) fn give_back_at_once() {
    #[expect(unsafe_code, reason = "the bindings have no safe form")]
    // SAFETY: options may be set at any time, but not by two threads at once; this is called first thing, by the only one.
    unsafe {
        mi_option_set(PURGE_DELAY, 0);
    }
}
