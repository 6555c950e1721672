//! Owns: what the requests of one run come to: how many they are, and the bytes of their bodies. Must never know: what is asked, or for what.

use std::sync::atomic::{AtomicU64, Ordering};

use mingle_core::run::Traffic;

/// Counts what is asked for somebody, while it is asked.
#[derive(Debug, Default)]
pub struct Meter {
    requests: AtomicU64,
    not_modified: AtomicU64,
    bytes_up: AtomicU64,
    bytes_down: AtomicU64,
}

impl Meter {
    /// A request leaves, with a body of so many bytes.
    pub fn sent(&self, body: usize) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.bytes_up.fetch_add(body as u64, Ordering::Relaxed);
    }

    /// It did not leave after all.
    pub fn not_sent(&self, body: usize) {
        self.requests.fetch_sub(1, Ordering::Relaxed);
        self.bytes_up.fetch_sub(body as u64, Ordering::Relaxed);
    }

    /// So many bytes of a body came, unpacked.
    pub fn received(&self, bytes: u64) {
        self.bytes_down.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A request was answered with "nothing has changed".
    pub fn not_modified(&self) {
        self.not_modified.fetch_add(1, Ordering::Relaxed);
    }

    /// What it came to so far.
    #[must_use]
    pub fn so_far(&self) -> Traffic {
        Traffic {
            requests: self.requests.load(Ordering::Relaxed),
            not_modified: self.not_modified.load(Ordering::Relaxed),
            bytes_up: self.bytes_up.load(Ordering::Relaxed),
            bytes_down: self.bytes_down.load(Ordering::Relaxed),
        }
    }
}
