//! Time grows with the input and no faster: nobody can keep a processor busy with one long text.

use std::{
    hint::black_box,
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use nix::time::{ClockId, clock_gettime};
use outbox::Email;
use poem::http::{HeaderMap, HeaderValue, header};

use crate::{
    callback::{
        allowed_origins::AllowedOrigins,
        next::{CallbackNext, NextPrefixes},
        origin::Origin,
        source,
    },
    ip_limit::client_ip::TrustedProxies,
};

/// How much longer the long input is.
const GROWTH: usize = 8;
/// How many times as long it may take. A square would take 64 times as long.
const MOST: u32 = 24;
/// Each round may only find a shorter time, so a cold cache costs a round, not the test.
const ROUNDS: usize = 60;
const RUNS_A_ROUND: usize = 8;

fn assert_linear<T>(name: &str, bytes: usize, make: impl Fn(usize) -> T, run: impl Fn(&T)) {
    let inputs = [make(bytes), make(GROWTH * bytes)];
    let mut best = [Duration::MAX; 2];
    for _ in 0..ROUNDS {
        for (best, input) in best.iter_mut().zip(&inputs) {
            let begun = time_worked();
            for _ in 0..RUNS_A_ROUND {
                run(black_box(input));
            }
            *best = (time_worked() - begun).min(*best);
        }
        if best[1] <= best[0] * MOST {
            return;
        }
    }
    panic!("{name}: {GROWTH} times the input takes {best:?}");
}

/// The processor's time of this thread alone: what else runs on the machine does not count.
fn time_worked() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap().into()
}

/// Uses a result up, so that the work for it is done.
fn consume<T>(result: T) {
    black_box(result);
}

/// The unit over and over, between two texts.
fn filled(before: &str, unit: &str, after: &str, bytes: usize) -> String {
    let room = bytes.saturating_sub(before.len() + after.len());
    format!("{before}{}{after}", unit.repeat(room / unit.len()))
}

#[test]
fn addresses_are_read_in_linear_time() {
    let parse = |text: &String| consume(Email::parse(text).map(|email| email.mailbox()));
    // Up to the bound on what is normalised, and far beyond it.
    for bytes in [120, 20_000] {
        for unit in ["a", "a.", "@", "a@", "+", ".", "\u{fdfa}", "\u{301}", "\u{316}\u{301}", "\u{1100}\u{1161}", " "] {
            assert_linear(unit, bytes, |bytes| filled("a", unit, "@gmail.com", bytes), parse);
            assert_linear(unit, bytes, |bytes| filled("a@", unit, "", bytes), parse);
        }
    }
}

#[test]
fn places_are_read_in_linear_time() {
    let origin = Origin::parse("https://portal.example.com").unwrap();
    let prefixes: NextPrefixes = "/app,/docs/public".parse().unwrap();
    let parse = |text: &String| {
        consume(CallbackNext::parse(text, Some(&origin), &NextPrefixes::default()).map(|place| place.encoded()));
        consume(CallbackNext::parse(text, Some(&origin), &prefixes));
    };
    for bytes in [128, 20_000] {
        for unit in ["a", "/a", "/..", "/a/..", "/%2e", "/%2e%2e", "%25", "%C3%A9", "{", "%", "//", "\\", "é", ":", "@"]
        {
            for before in ["/app", "/app?", "/app#", "https://portal.example.com/", "https://", "a"] {
                assert_linear(unit, bytes, |bytes| filled(before, unit, "", bytes), parse);
            }
        }
        let deep = |bytes| filled("", "/a", &filled("", "/..", "", bytes / 2), bytes);
        assert_linear("in and out again", bytes, deep, parse);
    }
}

#[test]
fn origins_are_read_in_linear_time() {
    let allowed: AllowedOrigins = "https://portal.example.com,https://*.preview.example.com".parse().unwrap();
    let find = |text: &String| consume(allowed.find(text));
    let refer = |headers: &HeaderMap| consume(source::resolve(&allowed, None, headers));
    let hosts = ["a", "a.", "a-", "xn--a.", "xn--a-ecp.", "%C3%A9", "%C3%A9.", "%CC%81", "1.", "0x", "@", "[", ":"];
    for unit in hosts.into_iter().chain(["/", "/..", "?", "#", "%", "/a/.."]) {
        for after in ["", ".preview.example.com", "/"] {
            for bytes in [60, 5_000] {
                assert_linear(unit, bytes, |bytes| filled("https://", unit, after, bytes), find);
                let referer = |bytes| {
                    let value = HeaderValue::from_str(&filled("https://", unit, after, bytes)).unwrap();
                    HeaderMap::from_iter([(header::REFERER, value)])
                };
                assert_linear(unit, bytes, referer, refer);
            }
        }
    }
}

#[test]
fn forwarded_addresses_are_read_in_linear_time() {
    let trusted: TrustedProxies = "10.0.0.0/8,fd00::/8".parse().unwrap();
    let peer = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    let find = |headers: &HeaderMap| consume(trusted.client_ip(peer, headers));
    for entry in ["10.0.0.2", "[fd00::2]:80", "fd00::2%eth0", "", " ", "[", "%", ":", "1", "\u{ff}"] {
        for (separator, lines) in [(",", 1), ("", 1), (",", 16), (",", 128)] {
            let headers = |bytes| {
                let value = filled("", &format!("{entry}{separator} "), "10.0.0.3", bytes / lines);
                let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
                (0..lines).map(|_| (header::HeaderName::from_static("x-forwarded-for"), value.clone())).collect()
            };
            assert_linear(entry, 4_000, headers, find);
        }
    }
}
