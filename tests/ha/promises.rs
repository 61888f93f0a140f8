//! The promises that must hold in each run.

use std::time::Duration;

use sandbox::Program;
use tests::{
    TestSystem,
    record::{Broken, Record, promises},
};
use tokio::time::timeout;

use crate::{
    balancer::OldSessions,
    disruption::Disruption,
    figures::{Figures, is_refused},
    load::Asked,
    run::Run,
    spans::{Span, streaks},
    variant::Variant,
};

/// Maximum time, in seconds, for which a program may report that it is ready although it is not.
const MAX_UNNOTICED: f64 = 3.0;
/// Maximum time, in seconds, for which requests may still be refused after new connections work again.
const MAX_BACK_AFTER: f64 = 2.0;

/// Returns the promises that were broken in the runs of a variant.
pub(crate) async fn broken(system: &TestSystem, record: &Record) -> Vec<Broken> {
    let mut broken = promises::broken(record);
    let dead = record.newest().filter(|job| record.is_dead(job));
    broken.extend(
        dead.map(|job| {
            Broken::of(job, format!("the newest mail's link does not work: {:?}", record.opened.get(&job.id)))
        }),
    );
    let copies = record.jobs.iter().filter(|job| record.mails_of(job).len() > 1);
    broken.extend(copies.map(|job| Broken::of(job, "a mail was sent twice although no response was lost")));
    let unsent = record.jobs.iter().filter(|job| !matches!(job.state.as_str(), "sent" | "superseded"));
    broken.extend(unsent.map(|job| Broken::of(job, "a mail was not sent although no upstream failed")));
    for program in system.apis.iter().chain(&system.workers) {
        if has_ended(program).await {
            broken.push(Broken::of_all(format!("a program exited:\n{}", program.log().join("\n"))));
        }
    }
    broken
}

async fn has_ended(program: &Program) -> bool {
    timeout(Duration::ZERO, program.wait()).await.is_ok()
}

/// Returns the promises that were broken in one run.
pub(crate) fn broken_by(run: &Run, figures: &Figures, variant: &Variant) -> Vec<Broken> {
    let mut broken = vec![];
    let mut check = |holds: bool, violation: String| {
        if !holds {
            broken.push(Broken::of_all(format!("{}, {}: {violation}", figures.way, figures.disruption)));
        }
    };
    let moves = run.disruption.moves_the_primary();
    check(
        run.has_failed_over == moves,
        format!("the primary moved to another node: {}; expected: {moves}", run.has_failed_over),
    );
    check(
        !run.outages.is_empty() && (figures.refused > 0 || !moves),
        "the disruption caused no outage, or no request was refused".to_owned(),
    );
    check(
        figures.back_after <= MAX_BACK_AFTER,
        format!("requests were still refused {:.1} s after new connections worked again", figures.back_after),
    );
    for (api, ready) in run.readiness.apis.iter().enumerate() {
        let wrong = longest_overlap(ready, &refusing(&run.asked, api));
        check(
            wrong <= MAX_UNNOTICED,
            format!("for {wrong:.1} s, api {api} reported that it was ready although it refused requests"),
        );
    }
    for (worker, ready) in run.readiness.workers.iter().enumerate() {
        let wrong = longest_overlap(ready, &run.outages);
        check(
            wrong <= MAX_UNNOTICED,
            format!("for {wrong:.1} s, worker {worker} reported that it was ready without a writable primary"),
        );
    }
    let left = run.sessions_on_standbys;
    check(left == 0, format!("{left} of the programs' sessions are still on standbys"));
    let kept = run.sessions_kept;
    match (variant.old_sessions, run.disruption) {
        (OldSessions::ShutDown, _) => check(kept == 0, format!("the balancer kept {kept} read-only sessions")),
        (OldSessions::Keep, Disruption::Switchover) => {
            check(kept > 0, "the balancer kept no read-only sessions".to_owned())
        }
        (OldSessions::Keep, _) => {}
    }
    broken
}

/// Returns the periods in which an api refused all requests.
fn refusing(asked: &[Asked], api: usize) -> Vec<Span> {
    let mut asked: Vec<&Asked> = asked.iter().filter(|it| it.api == api).collect();
    asked.sort_by(|one, other| one.request.answered.total_cmp(&other.request.answered));
    streaks(asked.into_iter().map(|it| (Span { from: it.request.answered, to: it.request.answered }, is_refused(it))))
}

fn longest_overlap(some: &[Span], others: &[Span]) -> f64 {
    let overlaps = some.iter().flat_map(|one| others.iter().map(|other| one.overlap(other)));
    overlaps.fold(0.0, f64::max)
}
