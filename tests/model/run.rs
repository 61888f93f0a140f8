//! Whether every run comes to an end.

use std::collections::HashSet;

use stateright::Model as _;

use crate::{protocol::Protocol, world::ModelWorld};

/// Follows every run, depth first, and panics at one that comes back to where it was. So there is no run without end,
/// and "in the end" means: where nothing more can happen. (The checker takes a circle for a join, and would let a run
/// in circles pass as one that gets there in the end.)
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
            assert!(!on_path.contains(&next), "a run in a circle: it comes back to {next:#?}");
            begin = Some(next).filter(|next| !done.contains(next));
        } else if let Some((world, _)) = path.pop() {
            on_path.remove(&world);
            done.insert(world);
        }
    }
}
