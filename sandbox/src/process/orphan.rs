//! Makes a child die with its parent, even if the parent is killed with SIGKILL. This module contains the only `unsafe`
//! code of this crate, a function that runs between fork and exec.

use nix::sys::signal::Signal;
use std::process::Command;

/// Makes the kernel send `signal` to the child when the thread that forks it ends (prctl(2), PR_SET_PDEATHSIG). std
/// runs this function after it has switched uid and gid, because the switch would reset the setting.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "pre_exec runs between fork and exec; only system calls are made")]
pub(super) fn die_with_parent(command: &mut Command, signal: Signal) {
    use nix::{errno::Errno, sys::prctl, unistd::getppid};
    use std::os::unix::process::CommandExt;

    let parent = nix::unistd::getpid();
    // SAFETY: prctl and getppid are async-signal-safe, and nothing is allocated.
    unsafe {
        command.pre_exec(move || {
            prctl::set_pdeathsig(signal)?;
            // The parent may have died before prctl was called.
            if getppid() != parent {
                return Err(Errno::ESRCH.into());
            }
            Ok(())
        });
    }
}

/// Does nothing, because `PR_SET_PDEATHSIG` exists only on Linux. If the parent is killed with SIGKILL, the child
/// survives.
#[cfg(not(target_os = "linux"))]
pub(super) fn die_with_parent(_command: &mut Command, _signal: Signal) {}
