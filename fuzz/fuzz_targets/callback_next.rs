//! Fuzzes `api::properties::callback_next`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    api::properties::callback_next(input);
});
