//! Fuzzes `api::properties::dotenv`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    api::properties::dotenv(input);
});
