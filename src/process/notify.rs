//! What systemd is told (sd_notify(3)). Without systemd, nothing happens.

use sd_notify::NotifyState;

/// The notifications. A failure to send one is of no consequence to those that are served.
#[derive(Debug, Default)]
pub(super) struct Notifier;

impl Notifier {
    /// A generation serves; what is shown by `systemctl status`.
    pub(super) fn ready(&self, status: &str) {
        _ = sd_notify::notify(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// A reload begins.
    pub(super) fn reloading(&self) {
        if let Ok(time) = NotifyState::monotonic_usec_now() {
            _ = sd_notify::notify(&[NotifyState::Reloading, time]);
        }
    }

    /// The workers drain, and then all ends.
    pub(super) fn stopping(&self) {
        _ = sd_notify::notify(&[NotifyState::Stopping]);
    }
}
