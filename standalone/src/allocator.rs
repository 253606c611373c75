//! The allocator. A message is allocated on one thread and freed on another, which the C library's allocator pays for with
//! a lock: with mimalloc the `message_cost` tool shows a fifth less CPU a message.

use std::cell::Cell;
use std::ffi::c_long;
use std::time::{Duration, Instant};

use libmimalloc_sys::{mi_collect, mi_option_set, mi_option_t};
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// `mi_option_purge_delay` of mimalloc.h, which the bindings leave out.
const PURGE_DELAY: mi_option_t = 15;
/// How long memory that is free stays with the process: to take it from the system again costs more than to keep it. At full load
/// rows are saved every one or two seconds, and those that come next need as much memory as these gave back.
const KEPT_MS: c_long = 2000;
/// How often a thread looks for what it can give back.
const EVERY: Duration = Duration::from_millis(200);

thread_local! {
    static GAVE_BACK: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Has free memory kept for a moment. What a handshake used must not be kept for as many idle connections as there are:
/// see [`give_back`].
pub(crate) fn keep_for_a_moment() {
    #[expect(unsafe_code, reason = "the bindings have no safe form")]
    // SAFETY: options may be set at any time, but not by two threads at once; this is called first thing, by the only one.
    unsafe {
        mi_option_set(PURGE_DELAY, KEPT_MS);
    }
}

/// Gives back what this thread does not need. To be called by a thread that has nothing to do; mimalloc itself looks only
/// at what a thread allocates of, and so what others have freed meanwhile would stay.
pub(crate) fn give_back() {
    let now = Instant::now();
    let due = |last: Instant| now.duration_since(last) >= EVERY;
    if GAVE_BACK.get().is_none_or(due) {
        GAVE_BACK.set(Some(now));
        #[expect(unsafe_code, reason = "the bindings have no safe form")]
        // SAFETY: it may be called at any time, by any thread.
        unsafe {
            mi_collect(false);
        }
    }
}
