//! Waits for the signals that ask a program to stop. Each program decides what the first and the second signal mean.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Receives SIGTERM and SIGINT. Once this value has been created, neither signal ends the process, even after the value
/// is dropped.
#[derive(Debug)]
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Starts listening for both signals. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The system cannot install a signal handler.
    pub fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) {
        let name = tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        };
        tracing::debug!(signal = name, "received a signal");
    }
}

/// Receives SIGHUP, which asks a program to read its files again. After this value has been created, SIGHUP no longer
/// ends the process.
#[derive(Debug)]
pub struct ReloadSignal(Signal);

impl ReloadSignal {
    /// Starts listening for the signal. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The system cannot install a signal handler.
    pub fn new() -> io::Result<Self> {
        signal(SignalKind::hangup()).map(Self)
    }

    /// Waits for the next signal. Several signals that arrive before the call count as one.
    pub async fn next(&mut self) {
        self.0.recv().await;
    }
}

#[cfg(test)]
mod tests {
    use nix::sys::signal::{Signal, raise};

    use super::*;

    #[tokio::test]
    async fn sigterm_and_sigint_are_received() {
        let mut signals = StopSignals::new().unwrap();
        for signal in [Signal::SIGTERM, Signal::SIGINT] {
            raise(signal).unwrap();
            signals.next().await;
        }
    }

    #[tokio::test]
    async fn sighup_is_received_and_does_not_end_the_process() {
        let mut reload = ReloadSignal::new().unwrap();
        raise(Signal::SIGHUP).unwrap();
        reload.next().await;
    }
}
