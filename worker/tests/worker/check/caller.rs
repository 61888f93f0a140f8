//! Tests of `--peer` and `--from-header`, which show whose limit a request counts against. The command finds the caller
//! with the same code as the api.

use sandbox::Program;
use serde_json::Value;

use crate::test_worker::spawn;

const CLIENT: &str = "proxies.client";

/// The address of a proxy. In most tests, `TRUSTED_PROXIES` contains it.
const PROXY: &str = "10.0.0.7";

/// The settings of an api behind a proxy.
const BEHIND_PROXIES: &[(&str, &str)] = &[("TRUSTED_PROXIES", "10.0.0.0/8, fd00::/8")];

fn command(settings: &[(&str, &str)], peer: &str, headers: &[&str], more: &[&str]) -> Program {
    let settings: Vec<_> = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let mut arguments = vec!["check", "--peer", peer];
    arguments.extend(headers.iter().flat_map(|header| ["--from-header", header]));
    arguments.extend(more);
    spawn(&settings, &arguments)
}

/// Returns the lines that the command prints. The command needs none of the worker's settings, and must exit with 0.
async fn ask(settings: &[(&str, &str)], peer: &str, headers: &[&str]) -> Vec<String> {
    let command = command(settings, peer, headers, &[]);
    assert_eq!(command.wait().await.code(), Some(0), "{:?}", command.log());
    command.log()
}

/// Fails unless the first line has this result and contains these words.
fn expect(lines: &[String], result: &str, words: &[&str]) {
    assert!(lines[0].starts_with(&format!("{result:<4}  {CLIENT} ")), "{result}: {lines:#?}");
    for word in words {
        assert!(lines[0].contains(word), "{word}: {lines:#?}");
    }
}

#[tokio::test]
async fn the_first_entry_from_the_right_that_is_not_a_proxy_is_the_caller() {
    for (headers, words) in [
        (
            &["X-Forwarded-For: 198.51.100.3, 10.0.0.5"][..],
            "the limit for 198.51.100.3: entry 2 from the right of X-Forwarded-For is the first that is not in \
             TRUSTED_PROXIES",
        ),
        (&["x-forwarded-for: 6.6.6.6", "X-FORWARDED-FOR: 198.51.100.3:5555"], "198.51.100.3: entry 1"),
        (
            &["X-Forwarded-For: 6.6.6.6, [2001:db8:1:2:3:4:5:6]:80, fd00::5"],
            "the limit for 2001:db8:1:2::/64, the network of 2001:db8:1:2:3:4:5:6: entry 2",
        ),
        (&["X-Forwarded-For: ::ffff:198.51.100.3"], "the limit for 198.51.100.3:"),
    ] {
        let lines = ask(BEHIND_PROXIES, PROXY, headers).await;
        expect(&lines, "ok", &[words]);
        assert_eq!(lines.len(), 1, "{lines:#?}");
    }
}

#[tokio::test]
async fn a_peer_that_is_not_trusted_is_the_caller() {
    let header = ["X-Forwarded-For: 198.51.100.3"];
    let own =
        "limit for 10.0.0.7: TRUSTED_PROXIES is not set, so the peer's address is used and its headers are ignored";
    let action = "If 10.0.0.7 is your proxy, all callers behind it share this limit: add it to TRUSTED_PROXIES";
    expect(&ask(&[], PROXY, &header).await, "warn", &[own, action]);
    expect(&ask(&[], PROXY, &[]).await, "warn", &[own, action]);
    let not_listed = [("TRUSTED_PROXIES", "10.1.0.0/16")];
    expect(&ask(&not_listed, PROXY, &header).await, "warn", &["the peer is not in TRUSTED_PROXIES", action]);
    let words = ["limit for 203.0.113.9", "add it to TRUSTED_PROXIES. If 203.0.113.9 is a caller, nothing is wrong"];
    expect(&ask(&not_listed, "203.0.113.9:4711", &header).await, "warn", &words);
    expect(&ask(&not_listed, "203.0.113.9", &[]).await, "ok", &["limit for 203.0.113.9"]);
}

#[tokio::test]
async fn a_header_that_is_missing_or_malformed_makes_all_callers_share_one_limit() {
    let shared = "All callers behind 10.0.0.7 share this limit.";
    for (headers, words) in [
        (
            &[][..],
            [
                "the request has no X-Forwarded-For, so the peer's address is used",
                "Configure the proxy to send X-Forwarded-For",
            ],
        ),
        (
            &["X-Real-IP: 198.51.100.3"],
            ["the request has no X-Forwarded-For", "you can set CLIENT_IP_HEADER=X-Real-IP instead"],
        ),
        (
            &["Forwarded: for=198.51.100.3"],
            ["the request has no X-Forwarded-For", "Configure the proxy to send X-Forwarded-For"],
        ),
        (
            &["X-Forwarded-For:"],
            [
                "entry 1 from the right of X-Forwarded-For is empty, so the peer's address is used",
                "Configure each proxy",
            ],
        ),
        (
            &["X-Forwarded-For: 198.51.100.3, unknown"],
            [
                "entry 1 from the right of X-Forwarded-For is `unknown`, which is not an IP address",
                "Configure each proxy",
            ],
        ),
    ] {
        expect(&ask(BEHIND_PROXIES, PROXY, headers).await, "warn", &[shared, words[0], words[1]]);
    }
    let lines = ask(BEHIND_PROXIES, PROXY, &["X-Forwarded-For: 198.51.100.3, x, 10.0.0.5"]).await;
    let words =
        ["limit for 10.0.0.5", "entry 2 from the right", "`x`", "so the address of the proxy that added it is used"];
    expect(&lines, "warn", &words);
}

#[tokio::test]
async fn an_address_that_probably_belongs_to_a_proxy_causes_a_warning() {
    let lines = ask(BEHIND_PROXIES, PROXY, &["X-Forwarded-For: 10.0.0.6, 10.0.0.5"]).await;
    expect(
        &lines,
        "warn",
        &["limit for 10.0.0.6", "all entries of X-Forwarded-For are in TRUSTED_PROXIES", "back end"],
    );
    let lines = ask(BEHIND_PROXIES, PROXY, &["X-Forwarded-For: 198.51.100.3, 192.168.0.9"]).await;
    expect(&lines, "warn", &["limit for 192.168.0.9", "is a private address", "add it to TRUSTED_PROXIES"]);
}

#[tokio::test]
async fn trusted_proxy_hops_selects_the_entry_at_that_position() {
    let hops = [BEHIND_PROXIES[0], ("TRUSTED_PROXY_HOPS", "2")];
    let lines = ask(&hops, PROXY, &["X-Forwarded-For: 6.6.6.6, 198.51.100.3, 203.0.113.99"]).await;
    expect(&lines, "ok", &["limit for 198.51.100.3: TRUSTED_PROXY_HOPS selects entry 2 from the right"]);
    let words = ["limit for 10.0.0.7", "has only 1 entry, fewer than TRUSTED_PROXY_HOPS", "Set TRUSTED_PROXY_HOPS"];
    expect(&ask(&hops, PROXY, &["X-Forwarded-For: 198.51.100.3"]).await, "warn", &words);
    let lines = ask(&hops, PROXY, &["X-Forwarded-For: x, 203.0.113.99"]).await;
    expect(
        &lines,
        "warn",
        &["limit for 10.0.0.7", "entry 2 from the right of X-Forwarded-For is `x`", "the peer's address is used"],
    );
    let lines = ask(&hops, PROXY, &["X-Forwarded-For: 198.51.100.3, 10.0.0.6, 10.0.0.5"]).await;
    expect(&lines, "warn", &["limit for 10.0.0.6", "back end", "raise TRUSTED_PROXY_HOPS"]);
}

#[tokio::test]
async fn client_ip_header_is_used_and_other_headers_are_listed() {
    let fly = [BEHIND_PROXIES[0], ("CLIENT_IP_HEADER", "Fly-Client-IP")];
    let address = "Fly-Client-IP: 198.51.100.3";
    let lines = ask(&fly, PROXY, &[address, "X-Forwarded-For: 6.6.6.6", "Cookie: session=sesame"]).await;
    expect(&lines, "ok", &["limit for 198.51.100.3: Fly-Client-IP contains this address"]);
    assert!(lines[1].starts_with("ok    proxies.headers "), "{lines:#?}");
    assert!(lines[1].ends_with("The api reads only Fly-Client-IP, and ignores Cookie, X-Forwarded-For."), "{lines:#?}");
    assert!(!lines.concat().contains("sesame"), "{lines:#?}");
    for (headers, words) in [
        (&["X-Forwarded-For: 198.51.100.3"][..], "the request has no Fly-Client-IP"),
        (&[address, address], "Fly-Client-IP occurs more than once"),
        (&["Fly-Client-IP: 198.51.100.3, 198.51.100.4"], "`198.51.100.3, 198.51.100.4`, which is not an IP address"),
    ] {
        let lines = ask(&fly, PROXY, headers).await;
        expect(&lines, "warn", &["limit for 10.0.0.7", words, "All callers behind 10.0.0.7 share this limit"]);
    }
    let lines = ask(&fly, PROXY, &["Fly-Client-IP: 10.0.0.5"]).await;
    expect(&lines, "warn", &["limit for 10.0.0.5", "back end", "set CLIENT_IP_HEADER"]);
}

#[tokio::test]
async fn hostile_text_in_a_header_is_printed_in_ascii() {
    let hostile = format!("X-Forwarded-For: \u{202e}evil\u{9b}2J\tx{}", "a".repeat(10_000));
    for more in [&[][..], &["--json"]] {
        let command = command(BEHIND_PROXIES, PROXY, &[&hostile], more);
        assert_eq!(command.wait().await.code(), Some(0));
        let printed = command.log().join("\n");
        assert!(printed.contains("evil") && printed.len() < 1_000, "{printed}");
        assert!(printed.chars().all(|c| c == '\n' || c == '…' || c == ' ' || c.is_ascii_graphic()), "{printed:?}");
    }
}

#[tokio::test]
async fn a_proxy_finding_has_the_same_json_fields_as_other_findings() {
    let command = command(BEHIND_PROXIES, PROXY, &["X-Forwarded-For: 198.51.100.3"], &["--json"]);
    assert_eq!(command.wait().await.code(), Some(0));
    let findings: Value = serde_json::from_str(&command.log().join("\n")).unwrap();
    let found = &findings[0];
    assert_eq!((&found["probe"], &found["result"], &found["action"]), (&CLIENT.into(), &"ok".into(), &Value::Null));
    assert!(found["message"].as_str().unwrap().contains("198.51.100.3"), "{findings}");
}

#[tokio::test]
async fn the_check_exits_with_2_for_wrong_settings_peers_and_headers() {
    let lines = async |settings: &[(&str, &str)], peer: &str, headers: &[&str], more: &[&str]| {
        let command = command(settings, peer, headers, more);
        assert_eq!(command.wait().await.code(), Some(2), "{:?}", command.log());
        command.log()
    };
    let settings = [("TRUSTED_PROXIES", "0.0.0.0/0"), ("CLIENT_IP_HEADER", "Forwarded")];
    let told = lines(&settings, "no\u{202e}where", &["X-Forwarded-For: a", "sesame", "X-A: ses\name"], &[]).await;
    let starts = [
        "TRUSTED_PROXIES: `0.0.0.0/0` contains every address",
        "CLIENT_IP_HEADER: `Forwarded` is not supported",
        "--peer: `no\\u{202e}where` is not an IP address",
        "--from-header: header 2 has no colon after its name",
        "--from-header: header 3 contains a control character",
    ];
    assert_eq!(told.len(), starts.len(), "{told:#?}");
    assert!(told.iter().zip(starts).all(|(line, start)| line.starts_with(start)), "{told:#?}");
    assert!(!told.concat().contains("sesame") && !told.concat().contains("ses\n"), "{told:#?}");

    let told = lines(&[("TRUSTED_PROXY_HOPS", "2")], PROXY, &[], &[]).await;
    assert!(told[0].starts_with("TRUSTED_PROXY_HOPS: needs TRUSTED_PROXIES"), "{told:#?}");
    let told = lines(&[], PROXY, &[], &["--as", "ann@example.com"]).await.concat();
    assert!(told.contains("--peer") && told.contains("cannot be used with"), "{told}");
    let alone = spawn(&[], &["check", "--from-header", "X-Forwarded-For: 198.51.100.3"]);
    assert_eq!(alone.wait().await.code(), Some(2));
    assert!(alone.log().concat().contains("--peer"), "{:?}", alone.log());
}
