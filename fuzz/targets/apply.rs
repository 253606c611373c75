//! Fuzzes `confab_fuzz::apply`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| confab_fuzz::apply(bytes));
