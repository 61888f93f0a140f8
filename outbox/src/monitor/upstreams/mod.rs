//! The state of the upstream services, which all workers share. Each service has one row, with its breaker and slow
//! mode (`stop`), the schedule of its probes (`probe`), the recipients for whom the service failed (`suspicion`), and
//! its pause (`pause`).

mod pause;
mod probe;
mod stop;
mod suspicion;

pub use pause::{end_pauses, pause};
pub use probe::{ProbeOrder, stopped_for, take_probe};
pub use stop::{
    Stop, StopKind, StopReason, StoppedBy, UpstreamState, is_stopped, resume, stop, stops, upstream_states,
};
pub use suspicion::{Suspicion, record_success, suspect, take_check};
