//! The upstream faults that this test injects.

use rand::{Rng as _, rngs::StdRng, seq::IndexedRandom as _};
use sandbox::{Fault, FaultKind};
use serde_json::json;

use crate::people;

/// Maximum time, in milliseconds, by which a call is delayed before it is carried out. It is shorter than
/// UPSTREAM_TIMEOUT.
pub(crate) const LONGEST_DELAY: u64 = 1_500;

/// A random fault for either upstream.
pub(crate) fn any(rng: &mut StdRng) -> Fault {
    let status = *[500, 502, 503].choose(rng).unwrap();
    let fault: Fault = match rng.random_range(0..100) {
        0..20 => Fault::status(status),
        20..35 => Fault::status_after(status),
        // Delay many calls, so that some are in flight whenever a worker is killed or frozen.
        35..60 => return delay(rng),
        60..66 => FaultKind::Hang.into(),
        66..74 => FaultKind::HangAfter.into(),
        74..82 => FaultKind::Cut.into(),
        82..92 => FaultKind::CutAfter.into(),
        // This fault pauses all sending for a while.
        92..95 => return rate_limited(rng.random_range(1..=3)),
        _ => return refusal().to(&somebody(rng)),
    };
    let fault = fault.times(rng.random_range(1..=3));
    if rng.random_bool(0.6) { fault.to(&somebody(rng)) } else { fault }
}

/// A refused API key, which stops all sending until a probe succeeds.
pub(crate) fn key_refused(rng: &mut StdRng) -> Fault {
    Fault::status(401).seconds(rng.random_range(1..=2))
}

/// The error page of a firewall or proxy in front of an upstream.
const HTML: &str = "<html><head><title>Forbidden</title></head><body>Request blocked</body></html>";
const NOT_AUTHORIZED: &str = "Domain mg.example.com is not allowed to send: Sandbox subdomains are for test purposes only. \
                              Please add your own domain or add the address to authorized recipients in Account Settings.";

/// A rejection by a firewall, which may affect only one address.
pub(crate) fn firewall(rng: &mut StdRng) -> Fault {
    Fault::answer(*[403, 406, 400].choose(rng).unwrap(), HTML)
}

/// A rejection by a gateway, which affects everybody.
pub(crate) fn gateway(rng: &mut StdRng) -> Fault {
    Fault::answer(*[403, 410, 421].choose(rng).unwrap(), HTML)
}

/// Mailgun's refusal to send from a sandbox domain to a recipient that is not authorized.
pub(crate) fn not_authorized() -> Fault {
    Fault::answer(403, json!({ "message": NOT_AUTHORIZED }).to_string())
}

/// One of the errors that Supabase returns if a `before_user_created` hook fails.
pub(crate) fn hook(rng: &mut StdRng) -> Fault {
    let raises = "Error running hook URI: pg-functions://postgres/public/before_user_created";
    let answers = [
        (500, "unexpected_failure", raises),
        (422, "hook_timeout", "Failed to reach hook within maximum time of 5.000000 seconds"),
        (429, "unknown", "try again after 600 seconds"),
    ];
    let (status, code, message) = *answers.choose(rng).unwrap();
    Fault::answer(status, json!({ "code": code, "message": message }).to_string())
}

fn delay(rng: &mut StdRng) -> Fault {
    let millis = rng.random_range(20..=LONGEST_DELAY);
    Fault::from(FaultKind::Delay { millis }).times(rng.random_range(1..=20))
}

/// A person who makes requests often, so that the fault applies soon.
fn somebody(rng: &mut StdRng) -> String {
    people::address(rng.random_range(0..people::FREQUENT))
}

fn rate_limited(seconds: u64) -> Fault {
    let message = format!("Domain is not allowed to send: request limit exceeded, try again after {seconds} seconds");
    Fault::answer(429, json!({ "message": message }).to_string()).header("Retry-After", &seconds.to_string())
}

/// A refusal of an address, with a body that is valid for both upstreams.
fn refusal() -> Fault {
    let body = json!({ "code": "validation_failed", "message": "to parameter is not a valid address" });
    Fault::answer(400, body.to_string())
}
