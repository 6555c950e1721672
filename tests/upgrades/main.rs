//! Owns: what outlives a release: stores of every schema, and sessions of apps of every protocol, brought to today's daemon. Must never
//! know: how the daemon brings them over.
//!
//! `stores/NAME.sql` is a store as a daemon of its time left it, written out as SQL, and `stores/NAME.json` the service that it synced
//! with, and what the daemon of that time answered. Such a pair is never edited. A new one is made by the daemon that it shall be of:
//!
//! ```sh
//! MINGLE_GOLDEN=2 MINGLE_GOLDEN_BY=/path/to/mingled cargo test -p mingle-tests --test upgrades golden
//! ```

mod golden;
mod killed;
mod sessions;
mod skew;
mod story;
