//! Fuzzes `api::properties::json_body`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    api::properties::json_body(input);
});
