//! Fuzzes `api::properties::client_ip`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    api::properties::client_ip(input);
});
