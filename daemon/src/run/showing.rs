//! Owns: whether anything can be shown on a desktop: on this system, in this session. Must never know: what is shown, and how.

use tokio::sync::watch;

use crate::{house::House, store::Store};

/// Shows what wants a person until the daemon ends. `bus`: where the session bus answers; without one, nothing is shown.
pub(super) async fn keep(bus: Option<String>, house: House, store: Store, beat: watch::Receiver<()>) {
    #[cfg(target_os = "linux")]
    if let Some(bus) = bus {
        crate::desktop::keep(house, store, bus, beat).await;
    }
    #[cfg(not(target_os = "linux"))]
    drop((bus, house, store, beat));
}
