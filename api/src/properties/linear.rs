//! Parsing takes linear time: a long input cannot keep a processor busy.

use std::{
    hint::black_box,
    net::{IpAddr, Ipv4Addr},
    num::NonZeroUsize,
    time::Duration,
};

use callers::{ClientIpFinder, ClientIpSource, FORWARDED_FOR};
use nix::time::{ClockId, clock_gettime};
use outbox::Email;
use poem::http::{HeaderMap, HeaderValue, header};
use portals::{AllowedOrigins, NextPrefixes, Origin};

use crate::{
    callback::{next::CallbackNext, source},
    http::strict_json,
};

/// Length of the long input divided by the length of the short input.
const GROWTH: usize = 8;
/// Maximum ratio of the parsing times. Quadratic parsing would have a ratio of 64.
const MAX_RATIO: u32 = 24;
/// Maximum number of rounds. Only the shortest time of all rounds counts, so a slow round does not fail the test.
const ROUNDS: usize = 60;
const RUNS_PER_ROUND: usize = 8;

fn assert_linear<T>(name: &str, bytes: usize, make: impl Fn(usize) -> T, run: impl Fn(&T)) {
    let inputs = [make(bytes), make(GROWTH * bytes)];
    let mut best = [Duration::MAX; 2];
    for _ in 0..ROUNDS {
        for (best, input) in best.iter_mut().zip(&inputs) {
            let started = thread_cpu_time();
            for _ in 0..RUNS_PER_ROUND {
                run(black_box(input));
            }
            *best = (thread_cpu_time() - started).min(*best);
        }
        if best[1] <= best[0] * MAX_RATIO {
            return;
        }
    }
    panic!("{name}: parsing takes {best:?} for an input and for one that is {GROWTH} times as long");
}

/// Returns the CPU time of this thread, which does not depend on other load on the machine.
fn thread_cpu_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap().into()
}

/// Keeps the compiler from optimising away the work for an unused result.
fn consume<T>(result: T) {
    black_box(result);
}

/// Returns `before`, then `unit` repeated, then `after`, about `bytes` bytes in total.
fn repeated(before: &str, unit: &str, after: &str, bytes: usize) -> String {
    let room = bytes.saturating_sub(before.len() + after.len());
    format!("{before}{}{after}", unit.repeat(room / unit.len()))
}

#[test]
fn email_addresses_are_parsed_in_linear_time() {
    let parse = |text: &String| consume(Email::parse(text).map(|email| email.mailbox()));
    // An input of the first length is short enough to be normalised; an input of the second length is far too long.
    for bytes in [120, 20_000] {
        let latin = ["a", "a.", "@", "a@", "+", ".", " ", "xn--", "xn--a.", "xn--mller-kva."];
        let others = ["\u{fdfa}", "\u{301}", "\u{316}\u{301}", "\u{1100}\u{1161}", "ü", "ü.", "。", "\u{200b}", "א"];
        for unit in latin.into_iter().chain(others) {
            assert_linear(unit, bytes, |bytes| repeated("a", unit, "@gmail.com", bytes), parse);
            assert_linear(unit, bytes, |bytes| repeated("a@", unit, "", bytes), parse);
        }
    }
}

#[test]
fn destinations_are_parsed_in_linear_time() {
    let origin = Origin::parse("https://portal.example.com").unwrap();
    let prefixes: NextPrefixes = "/app,/docs/public".parse().unwrap();
    let parse = |text: &String| {
        consume(CallbackNext::parse(text, Some(&origin), &NextPrefixes::default()).map(|next| next.percent_encoded()));
        consume(CallbackNext::parse(text, Some(&origin), &prefixes));
    };
    for bytes in [128, 20_000] {
        let plain = ["a", "/a", "/..", "/a/..", "{", "%", "//", "\\", "é", ":", "@", ";", "+", "..."];
        let encoded = ["/%2e", "/%2e%2e", "%25", "%2525", "%20", "/a%20", "%C3%A9", "%EF%B8%8F", "/a%3F", "%EF%B7%BA"];
        for unit in plain.into_iter().chain(encoded) {
            for before in ["/app", "/app?", "/app#", "https://portal.example.com/", "https://", "a"] {
                assert_linear(unit, bytes, |bytes| repeated(before, unit, "", bytes), parse);
            }
        }
        let deep = |bytes| repeated("", "/a", &repeated("", "/..", "", bytes / 2), bytes);
        assert_linear("dot segments that undo a deep path", bytes, deep, parse);
    }
}

#[test]
fn origins_are_parsed_in_linear_time() {
    let allowed: AllowedOrigins = "https://portal.example.com,https://*.preview.example.com".parse().unwrap();
    let parse = |text: &String| consume(allowed.parse_allowed(text));
    let resolve =
        |headers: &HeaderMap| consume(source::resolve(|origin| allowed.find_portal(origin.clone()), None, headers));
    let hosts = ["a", "a.", "a-", "xn--a.", "xn--a-ecp.", "%C3%A9", "%C3%A9.", "%CC%81", "1.", "0x", "@", "[", ":"];
    for unit in hosts.into_iter().chain(["/", "/..", "?", "#", "%", "/a/.."]) {
        for after in ["", ".preview.example.com", "/"] {
            for bytes in [60, 5_000] {
                assert_linear(unit, bytes, |bytes| repeated("https://", unit, after, bytes), parse);
                let referer = |bytes| {
                    let value = HeaderValue::from_str(&repeated("https://", unit, after, bytes)).unwrap();
                    HeaderMap::from_iter([(header::REFERER, value)])
                };
                assert_linear(unit, bytes, referer, resolve);
            }
        }
    }
}

#[test]
fn bodies_are_parsed_in_linear_time() {
    let parse = |text: &String| consume(strict_json::parse(text.as_bytes()));
    for (before, unit, after) in [
        ("[0", ",0", "]"),
        ("[", "[", "]"),
        ("[{}", ",{\"a\":1}", "]"),
        ("{\"a\":\"", "\\u0061", "\"}"),
        ("\u{feff}", "\u{feff}", "{}"),
        ("", " ", "{}"),
        ("", "9", ""),
    ] {
        assert_linear(unit, 2_000, |bytes| repeated(before, unit, after, bytes), parse);
    }
}

#[test]
fn forwarded_addresses_are_parsed_in_linear_time() {
    let finder = |source| ClientIpFinder::new("10.0.0.0/8,fd00::/8".parse().unwrap(), source);
    let finders = [
        finder(ClientIpSource::ForwardedFor),
        finder(ClientIpSource::ForwardedForHops(NonZeroUsize::new(16).unwrap())),
        finder(ClientIpSource::Header(FORWARDED_FOR)),
    ];
    let peer = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    let find = |headers: &HeaderMap| finders.iter().for_each(|finder| consume(finder.find(peer, headers)));
    for entry in ["10.0.0.2", "[fd00::2]:80", "fd00::2%eth0", "", " ", "[", "%", ":", "1", "\u{ff}"] {
        for (separator, lines) in [(",", 1), ("", 1), (",", 16), (",", 128)] {
            let headers = |bytes| {
                let value = repeated("", &format!("{entry}{separator} "), "10.0.0.3", bytes / lines);
                let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
                (0..lines).map(|_| (FORWARDED_FOR, value.clone())).collect()
            };
            assert_linear(entry, 4_000, headers, find);
        }
    }
}
