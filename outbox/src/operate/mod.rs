//! What operators do: cancel jobs, retry ended ones, and pause mail. Each action is one call of an SQL function, which also records
//! in `operator_actions` who acted and why. People who use psql call the same functions.

pub mod actions;
pub mod cancel;
pub mod pauses;
pub mod retries;
