//! A program's CPU and memory usage, from /proc.

use std::time::Duration;

use sandbox::Program;

/// A line of `/proc/PID/status` in MB: `VmRSS` (current) or `VmHWM` (peak).
pub(crate) fn megabytes(program: &Program, line: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.pid())).unwrap();
    let line = status.lines().find(|known| known.starts_with(line)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1_024.0
}

/// CPU time that the program has used, in seconds.
pub(crate) fn cpu_seconds(program: &Program) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", program.pid())).unwrap();
    // The program's name (field 2) may contain any character, so parsing starts after it. Field 3 is the state. Fields
    // 14 and 15 are utime and stime, in ticks of 10 ms.
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks: f64 = fields[11..=12].iter().map(|ticks| ticks.parse::<f64>().unwrap()).sum();
    ticks / 100.0
}

/// Returns the percentage of one core that each program uses, measured over this duration.
pub(crate) async fn cpu_percent(programs: &[&Program], over: Duration) -> Vec<f64> {
    let before: Vec<f64> = programs.iter().map(|program| cpu_seconds(program)).collect();
    tokio::time::sleep(over).await;
    let after = programs.iter().map(|program| cpu_seconds(program));
    after.zip(before).map(|(after, before)| (after - before) / over.as_secs_f64() * 100.0).collect()
}
