//! What operators can do: cancel jobs, retry ended jobs, and pause mail. Each action calls one SQL function, which also
//! records in `operator_actions` who acted and why. Operators who use psql call the same functions.

pub mod actions;
pub mod cancel;
pub mod pauses;
pub mod retries;
