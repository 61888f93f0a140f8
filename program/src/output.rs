//! Detects whether anybody still reads a command's output.

use std::{io::stdout, os::fd::AsFd as _};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Whether the pipe or terminal that stdout writes to has been closed. A program that prints only occasionally would
/// otherwise not notice this until it prints its next line. False if stdout is a file.
#[must_use]
pub fn is_output_closed() -> bool {
    let stdout = stdout();
    // No event is requested: the system reports a closed pipe or terminal anyway (poll(2), POLLERR and POLLHUP).
    let mut watched = [PollFd::new(stdout.as_fd(), PollFlags::empty())];
    let answer = poll(&mut watched, PollTimeout::ZERO);
    let ended = PollFlags::POLLERR | PollFlags::POLLHUP | PollFlags::POLLNVAL;
    answer.is_ok() && watched[0].revents().is_some_and(|events| events.intersects(ended))
}
