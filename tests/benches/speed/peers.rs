//! Runs the unchanged benches of other job queues on this machine.
//!
//! `PEERS` is the path of a folder that contains the script `all.sh OUT [PEER…]`. For each measurement, the script
//! writes a line of JSON to the file `OUT`. The line has the fields `peer`, `mode` (enqueue, drain, pickup), and either
//! `jobs_per_s`, `us`, or both `p50_ms` and `p99_ms`. The fields `C` (callers), `history` (ended jobs) and `setting`
//! are optional. `PEER_NAMES` lists the job queues to measure (default: all).

use std::{path::Path, process::Stdio};

use serde_json::Value;
use tokio::process::Command;

use crate::figures::Figures;

/// Runs the benches if `PEERS` is set. Returns false if `PEERS` is not set.
pub(crate) async fn measure(figures: &mut Figures) -> bool {
    let Ok(folder) = std::env::var("PEERS") else { return false };
    let names = std::env::var("PEER_NAMES").unwrap_or_default();
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("peers.jsonl");
    println!("running {folder}/all.sh, which takes a few minutes …");
    let status = Command::new(Path::new(&folder).join("all.sh"))
        .arg(&out)
        .args(names.split_whitespace())
        .stdout(Stdio::null())
        .status()
        .await
        .unwrap();
    assert!(status.success(), "{folder}/all.sh failed");
    for line in std::fs::read_to_string(&out).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        println!("  {line}");
        let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        let callers = line["C"].as_u64().map(|c| format!(", {c} at a time")).unwrap_or_default();
        let history = line["history"].as_u64().map(|jobs| format!(", over {jobs} ended jobs")).unwrap_or_default();
        let default = if text("setting") == "default" { ", default settings" } else { "" };
        // Leave the version out of the name; the line printed above contains it.
        let peer = text("peer");
        let peer = peer.split(' ').next().unwrap_or_default();
        let name = format!("{peer} {}{callers}{default}{history}", text("mode"));
        if let Some(rate) = line["jobs_per_s"].as_f64() {
            figures.add("peers", name, rate, "/s");
        } else if let (Some(p50), Some(p99)) = (line["p50_ms"].as_f64(), line["p99_ms"].as_f64()) {
            figures.add("peers", format!("{name}, p50"), p50, "ms");
            figures.add("peers", format!("{name}, p99"), p99, "ms");
        } else if let Some(us) = line["us"].as_f64() {
            figures.add("peers", name, us / 1e3, "ms");
        }
    }
    true
}
