//! Fuzzes `confab_fuzz::client_frame`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| confab_fuzz::client_frame(bytes));
