//! Tracks the open connections of one listener, and chooses which connections to close to make room for new ones.
//!
//! Load balancers and browsers keep idle connections for minutes, and a caller with many connections could block all
//! other callers. Above four fifths of the limit, each new connection therefore closes the connection that has been
//! idle longest. If no connection is idle, connections close after their next response. No request in flight is cut off
//! to make room.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::CancellationToken;

/// All open connections of a listener.
#[derive(Debug)]
pub(super) struct OpenConnections {
    /// Maximum number of connections that may stay open: four fifths of the listener's limit.
    soft_limit: usize,
    /// Called with the number of open connections when it changes.
    on_change: fn(usize),
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    open: HashMap<u64, Entry>,
    /// The idle connections that may stay open, in the order in which they became idle. The values are keys of `open`.
    idle: BTreeMap<u64, u64>,
    /// Number of open connections that have been asked to close.
    leaving: usize,
    counter: u64,
}

#[derive(Debug)]
struct Entry {
    closing: CancellationToken,
    /// The connection's key in `idle`, if the connection is idle.
    idle_since: Option<u64>,
    is_leaving: bool,
}

/// The entry for one open connection. Drop the entry when the connection is closed.
#[derive(Debug)]
pub(super) struct OpenConnection {
    connections: Arc<OpenConnections>,
    key: u64,
    closing: CancellationToken,
}

impl OpenConnections {
    /// Creates an empty set of connections. `max` is the listener's limit.
    pub(super) fn new(max: usize, on_change: fn(usize)) -> Arc<Self> {
        Arc::new(Self { soft_limit: max * 4 / 5, on_change, state: Mutex::default() })
    }

    /// Adds a connection, and asks idle connections to close if too many are open. `closing` is cancelled when this
    /// connection is asked to close.
    pub(super) fn add(self: &Arc<Self>, closing: CancellationToken) -> OpenConnection {
        let mut state = self.state();
        let key = state.next();
        state.open.insert(key, Entry { closing: closing.clone(), idle_since: None, is_leaving: false });
        while state.staying() > self.soft_limit && state.close_longest_idle() {}
        (self.on_change)(state.open.len());
        OpenConnection { connections: self.clone(), key, closing }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenConnection {
    /// Cancelled when the connection is asked to close. An idle connection then closes immediately, and a busy one
    /// after the request in flight.
    pub(super) fn closing(&self) -> &CancellationToken {
        &self.closing
    }

    /// Records that the connection is waiting for another request.
    pub(super) fn note_idle(&self) {
        let mut state = self.connections.state();
        let now = state.next();
        if let Some(entry) = state.open.get_mut(&self.key)
            && !entry.is_leaving
            && entry.idle_since.is_none()
        {
            entry.idle_since = Some(now);
            state.idle.insert(now, self.key);
        }
    }

    /// Records that a request has begun to arrive.
    pub(super) fn note_busy(&self) {
        let mut state = self.connections.state();
        if let Some(since) = state.open.get_mut(&self.key).and_then(|entry| entry.idle_since.take()) {
            state.idle.remove(&since);
        }
    }

    /// Returns whether the connection must close after its current response. If too many connections are open, asks the
    /// one that has been idle longest to close, or this one if none is idle.
    pub(super) fn closes_after_response(&self) -> bool {
        let mut state = self.connections.state();
        if state.staying() > self.connections.soft_limit && !state.close_longest_idle() {
            state.close(self.key);
        }
        self.closing.is_cancelled()
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        let mut state = self.connections.state();
        if let Some(entry) = state.open.remove(&self.key) {
            state.leaving -= usize::from(entry.is_leaving);
            if let Some(since) = entry.idle_since {
                state.idle.remove(&since);
            }
        }
        (self.connections.on_change)(state.open.len());
    }
}

impl State {
    fn next(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    fn staying(&self) -> usize {
        self.open.len() - self.leaving
    }

    /// Asks the connection that has been idle longest to close. Returns whether there was an idle connection.
    fn close_longest_idle(&mut self) -> bool {
        let longest = self.idle.pop_first();
        if let Some((_, key)) = longest {
            self.close(key);
        }
        longest.is_some()
    }

    fn close(&mut self, key: u64) {
        if let Some(entry) = self.open.get_mut(&key)
            && !entry.is_leaving
        {
            entry.is_leaving = true;
            entry.idle_since = None;
            entry.closing.cancel();
            self.leaving += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(max: usize) -> Arc<OpenConnections> {
        OpenConnections::new(max, |_| ())
    }

    fn open(connections: &Arc<OpenConnections>, count: usize) -> Vec<OpenConnection> {
        (0..count).map(|_| connections.add(CancellationToken::new())).collect()
    }

    fn closing(connections: &[OpenConnection]) -> Vec<usize> {
        (0..connections.len()).filter(|&index| connections[index].closing.is_cancelled()).collect()
    }

    #[test]
    fn up_to_four_fifths_of_the_limit_all_connections_stay_open() {
        let connections = connections(10);
        let open = open(&connections, 8);
        open.iter().for_each(OpenConnection::note_idle);
        assert!(!open.iter().any(OpenConnection::closes_after_response));
    }

    #[test]
    fn each_further_connection_closes_the_one_that_has_been_idle_longest() {
        let connections = connections(10);
        let first = open(&connections, 8);
        for index in [3, 0, 5, 1] {
            first[index].note_idle();
        }
        // Connection 0 then serves another request, and a request begins to arrive on connection 5.
        first[0].note_busy();
        first[0].note_idle();
        first[5].note_busy();
        let mut later = vec![];
        for closed in [vec![3], vec![1, 3], vec![0, 1, 3], vec![0, 1, 3]] {
            later.extend(open(&connections, 1));
            assert_eq!(closing(&first), closed);
        }
    }

    #[test]
    fn a_closed_connection_makes_room_for_a_new_one() {
        let connections = connections(10);
        let mut first = open(&connections, 8);
        first.iter().for_each(OpenConnection::note_idle);
        drop(first.remove(0));
        let _ninth = open(&connections, 1);
        assert_eq!(closing(&first), Vec::<usize>::new());
        let _tenth = open(&connections, 1);
        assert_eq!(closing(&first), [0]);
        drop(first.remove(0));
        let state = connections.state();
        assert_eq!((state.staying(), state.leaving), (8, 0));
    }

    #[test]
    fn without_idle_connections_just_enough_busy_ones_close_after_their_responses() {
        let connections = connections(10);
        let open = open(&connections, 10);
        assert!(open[4].closes_after_response());
        assert!(open[2].closes_after_response());
        assert!(!open[0].closes_after_response());
        assert!(open[4].closes_after_response(), "the connection is still asked to close");
        assert_eq!(closing(&open), [2, 4]);
    }

    #[test]
    fn an_idle_connection_is_closed_instead_of_a_busy_one() {
        let connections = connections(10);
        let open = open(&connections, 9);
        open[7].note_idle();
        assert!(!open[1].closes_after_response());
        assert_eq!(closing(&open), [7]);
    }
}
