//! Fuzzes `confab_fuzz::wire`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| confab_fuzz::wire(bytes));
