//! Whether anybody still reads what a command prints.

use std::{io::stdout, os::fd::AsFd as _};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Whether the reader of stdout is gone: a closed pipe or terminal. A program that prints only now and then would otherwise
/// notice this only with its next line. False for a file.
#[must_use]
pub fn is_output_closed() -> bool {
    let stdout = stdout();
    // No event is requested: the system reports a closed pipe or terminal anyway (poll(2), POLLERR and POLLHUP).
    let mut watched = [PollFd::new(stdout.as_fd(), PollFlags::empty())];
    let answer = poll(&mut watched, PollTimeout::ZERO);
    let ended = PollFlags::POLLERR | PollFlags::POLLHUP | PollFlags::POLLNVAL;
    answer.is_ok() && watched[0].revents().is_some_and(|events| events.intersects(ended))
}
