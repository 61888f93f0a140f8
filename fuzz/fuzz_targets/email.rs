//! Fuzzes `api::properties::email`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    api::properties::email(input);
});
