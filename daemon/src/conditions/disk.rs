//! Owns: whether room is left on the store's disk. No system tells when it changes, so it is looked at now and then. Must never know:
//! what is written there; a write that found no room is the store's to tell.

use std::{
    path::{Path, PathBuf},
    pin::Pin,
};

use mingle_core::limits::{STORAGE_ENOUGH_BYTES, STORAGE_LOW_BYTES};

use super::{Means, Source, Teller, World};

/// The disk of one file.
pub(super) struct Disk {
    directory: PathBuf,
}

impl Disk {
    pub(super) fn of(file: PathBuf) -> Self {
        let directory = file.parent().map(Path::to_path_buf).unwrap_or(file);
        Self { directory }
    }
}

impl Source for Disk {
    fn follow(&self, teller: Teller, mut means: Means) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            let mut low = None;
            loop {
                low = fs2::available_space(&self.directory).ok().map(|bytes| is_low(bytes, low));
                teller.tell(World { storage_low: low, ..World::default() });
                if means.beat.changed().await.is_err() {
                    return;
                }
            }
        })
    }
}

/// Whether so few bytes are little. What was little is enough again only with some more, or a run that needs room would begin and end
/// at each record that comes and goes.
fn is_low(bytes: u64, before: Option<bool>) -> bool {
    bytes < if before == Some(true) { STORAGE_ENOUGH_BYTES } else { STORAGE_LOW_BYTES }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_little_is_enough_only_with_some_more() {
        let (low, enough) = (STORAGE_LOW_BYTES, STORAGE_ENOUGH_BYTES);
        for (bytes, before, expected) in [
            (0, None, true),
            (low - 1, None, true),
            (low, None, false),
            (low, Some(false), false),
            (low - 1, Some(false), true),
            (low, Some(true), true),
            (enough - 1, Some(true), true),
            (enough, Some(true), false),
        ] {
            assert_eq!(is_low(bytes, before), expected, "{bytes} {before:?}");
        }
    }
}
