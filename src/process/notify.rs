//! Notifications to systemd (sd_notify(3)); without systemd, there are none.

use std::ffi::OsString;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use sd_notify::NotifyState;

/// The interval of pings, in whole milliseconds; never 0.
pub(super) fn beat_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// Sends the notifications. A failure to send one is ignored: it does not affect clients.
///
/// The functions of sd-notify that send could wait for a service manager that does not read.
#[derive(Debug)]
pub(super) struct Notifier {
    /// The path of the socket; `None`: the service manager gave none.
    socket: Option<OsString>,
    /// How long systemd waits for a watchdog ping before it ends the service.
    watchdog: Option<Duration>,
}

impl Notifier {
    /// For the service manager that has started this process.
    pub(super) fn new() -> Notifier {
        let socket = std::env::var_os("NOTIFY_SOCKET");
        let watchdog = socket.as_ref().and_then(|_| sd_notify::watchdog_enabled());
        Notifier { socket, watchdog: watchdog.filter(|time| !time.is_zero()) }
    }

    /// How long a process may send no ping.
    pub(super) fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// It serves. `systemctl status` shows `status`.
    pub(super) fn ready(&self, status: &str) {
        self.send(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// A reload begins.
    pub(super) fn reloading(&self) {
        if let Ok(time) = NotifyState::monotonic_usec_now() {
            self.send(&[NotifyState::Reloading, time]);
        }
    }

    /// It stops as soon as responses in progress are finished.
    pub(super) fn stopping(&self) {
        let status = NotifyState::Status("stopping: finishing the responses in progress");
        self.send(&[NotifyState::Stopping, status]);
    }

    /// A watchdog ping.
    pub(super) fn alive(&self) {
        self.send(&[NotifyState::Watchdog]);
    }

    fn send(&self, states: &[NotifyState<'_>]) {
        _ = self.try_send(states);
    }

    fn try_send(&self, states: &[NotifyState<'_>]) -> io::Result<()> {
        let Some(path) = &self.socket else { return Ok(()) };
        let text: String = states.iter().map(|state| format!("{state}\n")).collect();
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        socket.connect(path)?;
        socket.send(text.as_bytes()).map(drop)
    }
}
