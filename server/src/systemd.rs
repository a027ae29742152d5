//! Tells systemd that the program serves, or ends, where a unit of `Type=notify` has started it, as
//! those of etcd's packages are. Anywhere else nobody is told.

use sd_notify::NotifyState;

/// It serves: units that wait for it may start.
pub fn serving() {
    tell(NotifyState::Ready);
}

/// It ends by itself, so that it is not thought to hang.
pub fn stopping() {
    tell(NotifyState::Stopping);
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "systemd cannot be told");
    }
}
