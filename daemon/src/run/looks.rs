//! Owns: looking now and then whether files that we made are still there. Must never know: what is done where one is not.

use tokio::sync::watch;

use crate::{ipc::server::Lookout, store::Store};

/// Looks at each beat, at the store's files and at those of the sockets: one task for all of them, so that each beat wakes the process once.
pub(super) async fn after_files(mut beat: watch::Receiver<()>, store: Store, sockets: Vec<Lookout>) {
    while beat.changed().await.is_ok() {
        store.look_for_files();
        sockets.iter().for_each(Lookout::look);
    }
}
