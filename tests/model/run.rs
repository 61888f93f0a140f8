//! Checks that every run terminates.

use std::collections::HashSet;

use stateright::Model as _;

use crate::{protocol::Protocol, world::ModelWorld};

/// Follows every run depth first, and panics if a run returns to one of its earlier states. If it does not panic, every
/// run ends in a state in which no action is possible. (The checker treats a cycle like two runs that join, so it would
/// accept an infinite run as a run that ends.)
pub(crate) fn assert_every_run_ends(protocol: &Protocol) {
    let mut path: Vec<(ModelWorld, Vec<ModelWorld>)> = Vec::new();
    let mut on_path = HashSet::new();
    let mut done = HashSet::new();
    let mut begin = protocol.init_states().pop();
    loop {
        if let Some(world) = begin.take() {
            let next = protocol.next_states(&world);
            on_path.insert(world.clone());
            path.push((world, next));
        }
        let Some((_, next)) = path.last_mut() else { return };
        if let Some(next) = next.pop() {
            assert!(!on_path.contains(&next), "a run returns to an earlier state: {next:#?}");
            begin = Some(next).filter(|next| !done.contains(next));
        } else if let Some((world, _)) = path.pop() {
            on_path.remove(&world);
            done.insert(world);
        }
    }
}
