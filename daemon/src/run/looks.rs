//! Owns: looking now and then whether files that we made are still there, and whether what was due has run. Must never know: what is done
//! where that is not so.

use tokio::sync::watch;

use crate::{house::House, ipc::server::Lookout, store::Store};

/// Looks at each beat, at the store's files, at those of the sockets, and at the syncs.
pub(super) async fn after(mut beat: watch::Receiver<()>, store: Store, sockets: Vec<Lookout>, house: House) {
    while beat.changed().await.is_ok() {
        store.look_for_files();
        sockets.iter().for_each(Lookout::look);
        house.watch_syncs();
    }
}
