//! Owns: the bounds of a folder, each with its reason and what happens there. Must never know: anything else.

use std::time::Duration;

/// A larger file is not read, and named: no record is so large, and a folder may hold anything.
pub const FILE_BYTES_MAX: u64 = 8 << 20;

/// The longest name of a file that systems take, in bytes; a record with a longer one is passed over, and named.
pub const NAME_BYTES_MAX: usize = 255;

/// So many files may be refused by the daemon, each for itself, before a meeting is given up: each costs a session.
pub const REFUSED_MAX: usize = 1_000;

/// A file that is not there is looked for again after so long, before that counts as a delete: whoever saves it may be between two steps.
pub const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// So often a meeting is held anew because files were edited while it went on; then it waits until it is told that they were.
pub const AGAIN_MAX: usize = 5;

/// Of so many records that were passed over it is asked before a meeting whether they still are there; the rest are named until then.
pub const PASSED_OVER_ASKED_MAX: usize = 100;

/// Files that go one after the other count together for so long: a tool that removes them in a loop is as likely to be wrong as one that
/// removes them at once.
pub const DELETES_WINDOW: Duration = Duration::from_secs(60 * 60);
