//! Writes the files in `target/ha`, and selects the runs.

use std::{env, fs, path::PathBuf};

use sandbox::Program;
use tests::TestSystem;

use crate::{balancer::Balancer, cluster::Cluster, disruption::Disruption, run::Run, variant::Variant};

/// Returns whether a run is selected: its name, such as `shutdown-kill`, must contain the value of `HA_ONLY`. If
/// `HA_ONLY` is empty or unset, all runs are selected.
pub(crate) fn is_wanted(variant: &Variant, disruption: Disruption) -> bool {
    let only = env::var("HA_ONLY").unwrap_or_default();
    format!("{}-{}", variant.name, disruption.name()).contains(&only)
}

/// Writes a file to `target/ha`.
pub(crate) fn write(name: &str, text: &str) {
    let target = env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from);
    let file = target.join("ha").join(name);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, text).unwrap();
}

/// Writes the logs of the programs, Patroni and HAProxy, and the failed probes of each run.
pub(crate) fn write_logs(variant: &Variant, runs: &[Run], system: &TestSystem, cluster: &Cluster, balancer: &Balancer) {
    let write = |program: &str, log: &str| write(&format!("{}/{program}.log", variant.name), log);
    let numbered = |programs: &[Program], name: &str| {
        for (number, program) in programs.iter().enumerate() {
            write(&format!("{name}-{number}"), &program.log().join("\n"));
        }
    };
    numbered(&system.apis, "api");
    numbered(&system.workers, "worker");
    cluster.nodes.iter().for_each(|node| write(&node.name, &node.log()));
    write("haproxy", &balancer.log());
    runs.iter().for_each(|run| write(&format!("probes-{}", run.disruption.name()), &run.failed_probes));
}
