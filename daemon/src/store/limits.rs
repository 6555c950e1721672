//! Owns: the store's bounds, each with its reason and what happens there. Must never know: who runs into them.

use std::time::Duration;

pub use mingle_core::limits::WRITES_PER_TRANSACTION_MAX;

// The first three stand in the crate of the wire too, for its own readers; what is too long for the store is refused here.

/// A record's id is at most this long, in bytes. Longer: `invalid`.
pub const ID_BYTES_MAX: usize = 256;

/// An operation id is at most this long, in bytes. Longer: `invalid`.
pub const OP_BYTES_MAX: usize = 64;

/// Rows on one page of anything. More asked for: this many, and a cursor.
pub const PAGE_ROWS_MAX: usize = 1_000;

/// A record's JSON text is at most this long, in bytes: a request is 1 MiB. Longer: `too_large`.
pub const RECORD_BYTES_MAX: usize = 1 << 20;

/// Records that one delete may change or delete besides, because they refer to it: some 100 ms of the writer. More: `too_large`, or a
/// delete that waits for a person where a service says it.
pub const CHILDREN_MAX: usize = 5_000;

/// Records that are looked at to see whether one waits for itself. In a longer circle of new records each waits for the others, and says so.
pub const CIRCLE_MAX: usize = 1_000;

/// Runs whose results an interval that adapts goes by after a start: one that doubled each time would be of years by then.
pub const RESULTS_LEARNED: u32 = 16;

/// A moment or a ping of a sync that is gone is kept for so long, for it may come back; looked at when mingled starts. Its checkpoint stays.
pub const GONE_MOMENTS_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// Runs of a sync that are looked at, at most, to see how it stands after a start: the pause after so many failures in a row is its longest anyway.
pub const RUNS_LOOKED_AT: u32 = 64;

/// So many of a sync's last runs stay however old they are: more than anything looks back over, and enough for a person to see a pattern.
pub const RUNS_KEPT: u32 = 1_000;

/// Older runs stay as long as the ledger ([`LEDGER_KEPT`]), so that what one of them did can be undone, but no more than so many of a sync: some
/// 30 MB. The oldest go.
pub const RUNS_MAX: u32 = 100_000;

/// Interactive writes waiting for the writer thread: some 100 ms of its work. More: `busy`.
pub const INTERACTIVE_MAX: usize = 4_096;

/// Background jobs waiting for the writer thread: more than runs can be under way. More: `busy`.
pub const BACKGROUND_MAX: usize = 256;

/// Interactive writes that share one commit; past this a commit takes longer than it saves. The others make the next group.
pub const GROUP_MAX: usize = 512;

/// How long a writer that was told `busy` is asked to wait.
pub const BUSY_RETRY: Duration = Duration::from_millis(100);

/// The pages of the store's file and of its log, in bytes.
pub const PAGE_BYTES: u32 = 4096;

/// The log (WAL) is copied back into the store past this many pages (4 KiB each): longer logs write less, shorter ones stall less.
pub const CHECKPOINT_PAGES: u32 = 4_000;

/// So many times at most it is copied back beside those who write, as long as more came meanwhile. Then the hand copies the rest, and
/// writes wait for it.
pub const FOLDS_MAX: u32 = 5;

/// Of SQLite's steps: so often whoever waits for an upgrade hears that it goes on, some ten times a second.
pub const UPGRADE_STEPS: i32 = 1_000_000;

/// Pages copied in one piece where nobody else writes: some milliseconds.
pub const COPY_PAGES: i32 = 1_024;

/// A log that grew past this in a burst is cut back to it, in bytes.
pub const LOG_BYTES_KEPT: i64 = 64 << 20;

/// The writer's page cache, in KiB: the inner pages of the indexes of a million records, and what a batch touches. The system keeps the
/// rest, outside of what the daemon may hold: 16 MiB saved no processor time over 8 with 100,000 records.
pub const WRITER_CACHE_KIB: i64 = 6 << 10;

/// How long SQLite waits for a lock that another process holds (a reader of the published views that recovers the log).
pub const LOCK_WAIT: Duration = Duration::from_secs(5);

/// The same, when the daemon goes down: a stop takes two seconds at most.
pub const LOCK_WAIT_AT_END: Duration = Duration::from_millis(500);

/// A second disk error within this time makes the store read-only.
pub const DISK_ERRORS_WITHIN: Duration = Duration::from_secs(60);

/// A disk that was full is so until there is this much room again, in bytes: some large records, and the end in good order.
pub const ROOM_BYTES: u64 = 4 << 20;

/// An unclean start checks files up to this many bytes as a whole; larger ones show their damage when it is met.
pub const CHECKED_BYTES_MAX: i64 = 256 << 20;

/// The steps (of SQLite's machine) one read may take: some seconds. More: `deadline`.
pub const READ_STEPS_MAX: u64 = if cfg!(test) { 10_000_000 } else { 400_000_000 };

/// Of what a session of an app's copy may delete by its silence, so many records are looked at in one read: some 50 ms.
pub const UNSAID_RECORDS_MAX: usize = if cfg!(test) { 7 } else { 10_000 };

/// Of what changed since a sync last looked for records to create, so many seqs are looked at in one transaction: some 20 ms.
pub const PLAN_SEQS_MAX: u64 = if cfg!(test) { 20 } else { 20_000 };

/// The conditions one `list` may have, and the values of one `in`. More: `invalid`.
pub const CONDITIONS_MAX: usize = 100;

/// The filter of an app's copy, as it is kept: it is read at each slice of a session. More: `invalid`.
pub const FILTER_BYTES_MAX: usize = 16 << 10;

/// Operation ids and their answers are kept this long.
pub const OP_KEPT: Duration = Duration::from_secs(24 * 3600);

/// Tombstones are kept at least this long, where their collection does not say how long.
pub const TOMBSTONE_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// For an app that keeps a copy and may still have what was deleted, its tombstone is kept at most this long: the app may never come
/// again. If it does, it says everything that it has, and what was deleted here comes back.
pub const TOMBSTONE_KEPT_FOR_COPIES: Duration = Duration::from_secs(180 * 24 * 3600);

/// Apps that may keep a copy of one collection: each record is written down once for each of them. One more takes the place of the one that
/// has been away for longest, if that is longer than [`TOMBSTONE_KEPT_FOR_COPIES`]; else it is `too_large`.
pub const COPIES_MAX: i64 = 64;

/// Of copies that were forgotten one purge takes away so many links at most: some 20 ms.
pub const LINKS_FORGOTTEN_AT_ONCE: usize = if cfg!(test) { 2 } else { 2_000 };

/// The ledger is kept at least this long, where a collection does not say how long.
pub const LEDGER_KEPT: Duration = Duration::from_secs(90 * 24 * 3600);

/// Rows that one purge takes away at most, so that it is a short transaction; the next purge goes on.
pub const PURGED_AT_ONCE: usize = 2_000;

/// A token names at most this many records; of a longer transaction it names the range of seqs.
pub const TOKEN_RECORDS_MAX: usize = 64;

/// A page of records ends with the one that passes this, in bytes.
pub const PAGE_BYTES_MAX: usize = 1 << 20;

/// Of the newest records of a collection, so many are looked at for those that a sync has not met yet: status must be quick, and
/// past this its count of what is pending is a lower bound.
pub const PENDING_LOOK_MAX: usize = 20_000;

/// A page of `pending.list` looks at so many records at most, and may have fewer rows for it.
pub const PENDING_ROWS_MAX: usize = if cfg!(test) { 20 } else { 2_000 };

/// So many records are taken back by one `pending.rollback`: one short transaction.
pub const ROLLBACK_RECORDS_MAX: usize = 200;

/// So many things that break one rule are named by `mingle fsck`; the others are counted.
pub const FINDINGS_PER_RULE_MAX: u64 = 100;

/// So many earlier values, and so many that lost, are told of one property; the answer says where there are more.
pub const WHY_ROWS_MAX: usize = 20;

/// What `why` tells beside the record itself is at most this long, in bytes: the whole answer is one line.
pub const WHY_BYTES_MAX: usize = 512 << 10;

/// So many conflicts are put to another rule for its count, the newest first; the answer says where there are more.
pub const REPLAYED_MAX: u64 = if cfg!(test) { 20 } else { 10_000 };

/// And for so long: texts with nothing in common, merged line by line, may take a tenth of a second each, and a read holds the log back.
pub const REPLAYED_WITHIN: Duration = Duration::from_secs(2);

/// So long after it was asked, a page under another rule ends with what it has.
pub const REPLAYED_PAGE_WITHIN: Duration = Duration::from_secs(3);

/// So many records are looked at by one transaction of a reset that discards what is not sent: apps wait meanwhile.
pub const DISCARDED_AT_ONCE: usize = if cfg!(test) { 2 } else { 200 };

/// Resets that begin so long after a copy was made are on the same occasion: they share it.
pub const COPY_SHARED_FOR: Duration = Duration::from_secs(10 * 60);

/// So many copies of the store from before resets are kept, the newest.
pub const COPIES_BEFORE_RESETS: usize = 3;

/// So many records are looked at by one `undo`: one short transaction. The answer has a cursor where there may be more.
pub const UNDO_RECORDS_MAX: usize = 200;

/// A page of a preview ends with the record that passes this, in bytes.
pub const UNDO_BYTES_MAX: usize = 256 << 10;

/// What a plan tells of the changes here is at most about this long, in bytes; the others are counted.
pub const PLAN_BYTES_MAX: usize = 256 << 10;

/// A copy to play a run on leaves so many bytes of the disk free.
pub const REHEARSAL_ROOM: u64 = 64 << 20;
