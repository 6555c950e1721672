//! Owns: every bound in the program, with its reason and what happens there. May know everything, and decides nothing.

use std::time::Duration;

// The socket. What both of its ends must agree on stands in the crate of the wire.

/// Without `limit`, a page has at most so many records.
pub const PAGE_RECORDS: usize = 100;
/// A log of the store this long is not folded back as it should be: it is looked for a reader who pins it, in bytes.
pub const LOG_BYTES_PINNED: u64 = 32 << 20;
/// How often it is looked, in milliseconds: somebody who is there twice in a row is named.
pub const LOG_LOOK_MS: u64 = 2_000;

/// A store that nobody wrote to for so long gives back the memory that its pages took, in ms.
pub const STORE_IDLE_MS: u64 = 5_000;
/// Fewer commits than this are not looked after.
pub const STORE_IDLE_COMMITS: u64 = 4;
/// Past this many connections the next is told `busy` and closed. Apps of one user are dozens; a thousand still fit into memory.
pub const CONNECTIONS_MAX: usize = 1_024;
/// The same for the socket that gives no data: a few status bars and one monitor. Those who may only look must not use up what apps
/// need.
pub const STATUS_CONNECTIONS_MAX: usize = 64;
/// What the buffers of all connections hold together, in bytes, beyond what idle ones keep. Past it no call is taken and no line
/// read until it is less again.
pub const BUFFERS_BYTES_MAX: usize = 16 << 20;
/// Past [`BUFFERS_BYTES_MAX`], a connection that has held a large share for so long is closed, so that the others go on.
pub const HOLDS_LONG_MS_MAX: u64 = 2_000;
/// Past this many subscriptions on a connection another is refused with `too_large`.
pub const SUBSCRIPTIONS_MAX: usize = 64;
/// Past this many bytes that wait for the socket, no further call of the connection is taken.
pub const REPLIES_WAITING_BYTES_MAX: usize = 64 << 10;
/// A socket that takes nothing for so long while something waits for it is closed: nobody reads there.
pub const TAKES_NOTHING_MS_MAX: u64 = 30_000;
/// A longer `timeout_ms` of `wait` is cut to this: whoever wants longer asks again, and the connection shows that it lives.
pub const WAIT_MS_MAX: u64 = 3_600_000;
/// Of a `changed` page, data in bytes, at most (one record always fits): little enough that a thousand subscribers that do not
/// read fit into memory.
pub const CHANGES_PER_PAGE_BYTES_MAX: usize = 64 << 10;
/// With so many bytes waiting for the socket, subscriptions are not fed: what they have not told stays in the store.
pub const SUBSCRIPTION_AHEAD_BYTES_MAX: usize = 64 << 10;
/// Changes in one `changed`, at most: a page is read at once, and no other call of the connection is answered meanwhile.
pub const CHANGES_PER_PAGE_MAX: usize = 500;
/// Latest news kept of one topic; the oldest goes. A listener that sleeps through more things than that asks `status` and `history`.
pub const NEWS_PER_TOPIC_MAX: usize = 1_024;
/// An app's name in bytes, at most; a longer one is refused.
pub const APP_NAME_BYTES_MAX: usize = 64;
/// Writes in one `transact`, at most; more is refused. A transaction holds the writer, and everybody else waits for it.
pub const WRITES_PER_TRANSACTION_MAX: usize = 1_000;
/// Alternatives of the identity of a collection, at most; more is an error of the configuration. Each costs an index.
pub const IDENTITY_ALTERNATIVES_MAX: usize = 8;
/// Collections named in one subscription or question, at most; more is refused.
pub const COLLECTIONS_PER_QUESTION_MAX: usize = 256;
/// Single records named in one subscription or question, at most; more is refused. A subscription keeps them.
pub const IDS_PER_QUESTION_MAX: usize = 256;
/// A page of apps ends with the one that passes so many copies and grants: it is one line.
pub const APP_PAGE_ROWS_MAX: usize = 1_000;
/// Records that an app may have taken in a session since its last commit; more is refused until it commits. A commit is one transaction, some
/// 0.2 s of the writer at most.
pub const SESSION_TAKES_MAX: usize = 5_000;
/// An app has one session at a time. One whose connection has asked nothing of it for so long is cancelled when the app begins another: it
/// hangs, and must not keep the app from its data for ever.
pub const SESSION_SILENT_MAX: Duration = Duration::from_secs(10 * 60);
/// Those whom a session invites, and those who take part in it, are waited for so long at most, each time; more is refused. Meanwhile the
/// others stand still.
pub const JOIN_MS_MAX: u64 = 60_000;
/// When mingled ends, connections have so long to take what is written for them.
pub const CLOSING_MS_MAX: u64 = 3_000;
/// After `accept` failed (no descriptors left) we wait so long, or the loop would spin.
pub const ACCEPT_PAUSE_MS: u64 = 100;

// Mingling.

/// Past this many lines on any side, a text is not merged line by line: the policy `text` falls back as on overlap (the replica's
/// value stands, recorded). Comparing texts with nothing in common costs the square of their length, and the length is a stranger's;
/// a meeting runs inside a write transaction.
pub const TEXT_MERGE_LINES_MAX: usize = 2_000;

/// Rows of a page that one transaction applies, at most; [`BATCH_TIME_MAX`] mostly ends it.
pub const BATCH_ROWS_MAX: usize = 500;

/// A document or a list that comes in one answer takes the place of what is here in one transaction, if it has no more rows than this: so
/// readers see the one before or this one. Larger ones are applied in batches like any listing. It is one transaction that other writers wait
/// for: some 0.2 s where every row of it is new.
pub const SWAP_ROWS_MAX: usize = 2_000;

/// A transaction that applies rows ends with the first row after this time, whatever is left of its batch, on any machine. An interactive
/// write and a stop that come meanwhile end it sooner, see below: they wait for the row and the commit. Shorter ones cost more:
/// with random ids the records of a batch share few pages, and each commit writes all that it touched.
pub const BATCH_TIME_MAX: Duration = Duration::from_millis(50);

/// The same, while apps write: it ends sooner, because its commit is waited for too, and that takes as long as the batch is large. But
/// not with every row, so that a sync goes on under apps that never rest.
pub const BATCH_TIME_WAITED_FOR: Duration = Duration::from_millis(2);

/// Apps that wrote nothing for so long are not taken for writing.
pub const APPS_QUIET_AFTER: Duration = Duration::from_secs(1);

/// Pages of one listing. A listing that goes on past this is taken for one that never ends: the run fails, nothing is deleted.
pub const PAGES_MAX: usize = 100_000;

/// Records asked for by id in one go; more are asked for in turns, so that a stop never waits for all of them.
pub const ASK_MAX: usize = 64;

/// Errands planned and committed as sent in one transaction. Larger: fewer commits; smaller: less in doubt after a crash.
pub const ERRANDS_MAX: usize = 64;

/// Links looked at by one plan, whether they are behind or not, so that the transaction stays short.
pub const PLAN_LINKS_MAX: usize = 2_000;

/// How often one record is sent in one run before it is left for the next: it keeps moving at the remote.
pub const ERRAND_TRIES_MAX: u32 = 4;

/// Rounds over everything behind in one run; then the run fails and the backoff decides.
pub const ROUNDS_MAX: u32 = 5;

/// Answers that say nothing (5xx, broken off) before a run gives up and backs off.
pub const DOUBTS_MAX: u32 = 3;

/// Deletes that one run may infer or take from tombstones before the rest is guarded: the larger of this and
/// [`DELETES_SHARE`] of the live links.
pub const DELETES_MIN: u64 = 10;

/// See [`DELETES_MIN`]: one in this many.
pub const DELETES_SHARE: u64 = 5;

/// So many deletes may be taken without a word, of so many records.
#[must_use]
pub fn deletes_max(of: u64) -> u64 {
    DELETES_MIN.max(of / DELETES_SHARE)
}

/// A remote that lists what changed and does not tell what was deleted is listed whole again after so long: what it does not show
/// then is asked for, and was deleted where it is not there.
pub const WHOLE_LISTING_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// A remote that tells what changed and what was deleted is listed whole again after so long all the same: it may have forgotten to tell, or
/// have been restored from a backup in silence, and nothing else would ever show that. Dearer than to believe it, so it is seldom.
pub const COMPARED_AFTER: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A row that cannot be read, under a revision that is unique per change, is asked for by itself after so long again: a new daemon may read
/// it. Sooner where it changed, or where a person wants it; at every run a thousand of them would be a thousand requests.
pub const UNREADABLE_ASKED_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

// What a remote may cost us.

/// Connecting (name, route, handshake) may take this long; then the remote counts as offline. Nothing was sent.
pub const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);

/// A connection that brings nothing for this long is given up; whether the request was done is not known.
pub const SILENCE_MAX: Duration = Duration::from_secs(30);

/// A connection that nobody used for this long is not used again: many servers close theirs after five seconds, and a change sent
/// into a closing one is a change in doubt.
pub const CONNECTION_IDLE_MAX: Duration = Duration::from_secs(3);

/// An answer must bring [`SLOW_BYTES_MIN`] in each stretch of this length, or it is given up: a byte now and then is not silence,
/// but would hold a run for days.
pub const SLOW_STRETCH: Duration = Duration::from_secs(60);

/// See [`SLOW_STRETCH`].
pub const SLOW_BYTES_MIN: u64 = 1024;

/// Changes that go out in one request, as text, where a remote takes several: what stands before services often refuses more.
pub const BATCH_BYTES_MAX: usize = 512 << 10;

/// An answer larger than this, after decompression, is not read to its end: a small compressed text can hide one that does not fit
/// in memory. Where it is a page, fewer rows are asked for.
pub const BODY_BYTES_MAX: usize = 8 << 20;

/// An answer that grows past this waits until no other one is as large: one large text at a time is in memory.
pub const BODY_BYTES_SMALL: usize = 256 << 10;

/// A large answer that takes longer than this while another waits for its place is given up as too large: in smaller pages it needs
/// no place, and whoever is slow must not hold others up.
pub const LARGE_TIME_MAX: Duration = Duration::from_secs(30);

/// What the values of one answer may take in memory, in bytes: seven characters of JSON can become six hundred bytes. Of a page: one
/// row as values, and all before it packed. More is as an answer that is too large.
pub const ANSWER_VALUES_BYTES_MAX: usize = 12 << 20;

/// What the rows of all pages that are not applied yet may take together, packed. Past it, the next one is read once another is applied.
pub const PAGES_VALUES_BYTES_MAX: usize = 24 << 20;

/// What the values of one record may take in memory while it is met, in bytes: some hundred thousand values. More is `too_large`.
pub const RECORD_VALUES_BYTES_MAX: usize = 8 << 20;

/// So many lists and objects of a record may lie in each other, the record itself counted. An app that writes a deeper one is told
/// `invalid`, and a deeper row of a remote is a rejection. JSON is read 127 deep (`json::parse`): what is left is for what a record
/// is wrapped in, in the ledger, on a page, in a batch; a record that could be written and then not be read again would hold its
/// sync up for ever.
pub const RECORD_DEPTH_MAX: usize = 100;

/// Of an answer that refuses, this much is read; what is longer counts as having no body.
pub const REFUSAL_BYTES_MAX: usize = 1024 * 1024;

// Answers that are kept for who asks the same again. Without one, the service answers in full.

/// An answer larger than this is not kept: what changed seldom is short.
pub const KEPT_BYTES_MAX: usize = 64 * 1024;
/// Headers of an answer longer than this together are not kept, nor is the answer.
pub const KEPT_HEAD_BYTES_MAX: usize = 8 * 1024;
/// So many are kept of a listing: the last that were asked.
pub const KEPT_ANSWERS_MAX: usize = 32;
/// And so much of it.
pub const KEPT_SYNC_BYTES_MAX: usize = 512 * 1024;
/// So many times in a row those of a sync are written though none of them still held when it was asked again: some services make a new
/// validator for each answer.
pub const KEPT_IN_VAIN_MAX: u32 = 3;
/// After that, each so many times: it may be another service by now.
pub const KEPT_IN_VAIN_EVERY: u32 = 16;
/// So many are kept of all syncs; each has one before any has a second.
pub const KEPT_ALL_ANSWERS_MAX: usize = 256;
/// And so much of all: what the store grows by.
pub const KEPT_ALL_BYTES_MAX: usize = 8 * 1024 * 1024;

/// So many redirects of one request are followed, all within the same scheme, host and port. More are nonsense.
pub const REDIRECTS_MAX: usize = 5;

/// A server that asks for more patience than this gets this much: the figure may be garbage, and a wait must not pass for a death.
pub const PATIENCE_MAX: Duration = Duration::from_secs(60 * 60);

// The budget of an account.

/// Of a limit's requests, one in so many is kept for what a person asks for: background work stops there until there are more again.
pub const BUDGET_RESERVE_SHARE: u64 = 10;

/// Requests of one account under way at once, from the whole machine: as many as the runs with one remote may send. One place is never
/// taken by background work. Beyond that they wait for one to come back, those of people first.
pub const REQUESTS_PER_ACCOUNT_MAX: usize = 16;

/// A wait for the budget that is no longer than this is waited for in place; a longer one ends the run, which comes back then.
pub const BUDGET_WAIT_MAX: Duration = Duration::from_secs(5);

/// Nothing is left, and the service does not say until when: it is asked again after so long.
pub const RESET_UNKNOWN: Duration = Duration::from_secs(60);

/// Limits of one account that are remembered, at most: of one answer the first ones, of several the last that were told.
pub const ALLOWANCES_MAX: usize = 8;

/// Syncs of one account whose use is counted by name; what more ask is counted together.
pub const USED_ROWS_MAX: usize = 256;

/// A count of who used what lasts so long at least, however short the windows are.
pub const USED_SPAN_MIN: Duration = Duration::from_secs(60);

/// Where no limit tells when a count begins anew, it does after so long.
pub const USED_SPAN_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Accounts whose budget is remembered, at most; the one that was not asked for longest goes, and is not known then.
pub const ACCOUNTS_MAX: usize = 256;

/// What is learned of budgets is written down so often, at most: a restart may forget what was asked since.
pub const BUDGET_WRITTEN_EVERY: Duration = Duration::from_secs(1);

/// A service's clock and ours may differ by so much; more is told in the log. Nothing else follows: its clock counts for its own stamps
/// and waits alone.
pub const CLOCKS_APART_MAX: Duration = Duration::from_secs(5 * 60);

/// The remote's own words, where it refuses, are cut here: they stand in rejections and lists.
pub const WORDS_CHARS_MAX: usize = 300;

/// What the texts of the single events of a calendar may come to together, with the time zones that each of them needs; with more it is too
/// large: a document that is made to harm has as many of both.
pub const CALENDAR_TEXTS_BYTES_MAX: usize = 64 << 20;
/// Time zones of a calendar that is a document, at most: each is looked for in the text of each event, and the world has some six hundred. With
/// more it is no good.
pub const CALENDAR_ZONES_MAX: usize = 1_000;

/// Nodes of a feed that are read, at most, and attributes: some 20 MiB while they are read. One with more is too large.
pub const FEED_NODES_MAX: u32 = 200_000;
/// Nodes of one answer of a DAV server that are read, at most, and attributes: some 15,000 members of a collection, and 35 MiB at worst
/// while they are read. An answer with more is no use: of a page fewer rows are asked for, a listing ends the run.
pub const DAV_NODES_MAX: u32 = 300_000;
/// Members that one request to a DAV server asks for by name: what they hold comes in one answer.
pub const DAV_PAGE_ROWS: usize = 100;
/// So many questions of a page for members of a DAV server are halved, one after the other, before one is answered; past it, none of them is at
/// fault. A page of a hundred is halved seven times.
pub const DAV_HALVES_MAX: usize = 10;
/// Once an answer that tells what changed in a collection of a DAV server was so long with what members hold, the next of the same listing tells of
/// names alone: what is shown is held until its page is applied.
pub const DAV_SHOWN_BYTES_MAX: usize = 4 << 20;
/// So long a run takes a collection of a DAV server for being where another found it; once in that time it is asked what it is. A collection
/// that is not there any more is looked for anew after the run that fails over it.
pub const DAV_PLACE_KNOWN: Duration = Duration::from_secs(24 * 60 * 60);
/// Collections whose place is kept in memory, at most; past it all are found anew.
pub const DAV_PLACES_KNOWN_MAX: usize = 1_000;
/// Answers to one question for what changed, each of which says that there is more; then the server goes in circles.
pub const DAV_ROUNDS_MAX: usize = 256;
/// Places where an account may have collections that are looked at, at most.
pub const DAV_HOMES_MAX: usize = 8;
/// Collections of an account that are told to a person, at most.
pub const DAV_TOLD_MAX: usize = 20;
/// Components that lie in each other in one card or calendar item, and its lines, at most; an item with more is not readable.
pub const DAV_NESTED_MAX: usize = 8;
/// See [`DAV_NESTED_MAX`].
pub const DAV_LINES_MAX: usize = 10_000;
/// Components of one card or calendar item, at most: exceptions, alerts and time zones; an item with more is not readable.
pub const DAV_COMPONENTS_MAX: usize = 1_000;

/// A program that prints a secret may take this long; then it is killed, and a person is asked to look.
pub const SECRET_COMMAND_TIME_MAX: Duration = Duration::from_secs(30);

/// A file larger than this is no secret.
pub const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// Rows of one page that a program or an app tells, at most; more make the next page.
pub const TOLD_ROWS_MAX: usize = 500;
/// The same, in bytes of text: it ends with the row that passes this. One page is applied while the next one is told.
pub const TOLD_PAGE_BYTES_MAX: u64 = 1 << 20;
/// The same, in time: whoever talks slowly is heard as well, by whoever reads and by the `stall` of the sync.
pub const TOLD_PAGE_TIME_MAX: Duration = Duration::from_secs(1);
/// A line of a program that is longer is nonsense: it ends the run.
pub const TOLD_LINE_BYTES_MAX: usize = 1 << 20;
/// An id that a program or an app gives a record, in bytes, at most; a longer one is nonsense.
pub const TOLD_ID_BYTES_MAX: usize = 256;
/// A checkpoint, as JSON, in bytes, at most: it is a place, and no data. It fits into a pipe that nobody reads yet.
pub const CHECKPOINT_BYTES_MAX: usize = 16 << 10;
/// Batches of one work that are not answered yet, at most: one more ends the work. Each is a request, and held until it is used.
pub const WORK_BATCHES_MAX: usize = 4;
/// Calls to work that an app has not been told yet, at most; a run that would add one fails, and is tried again.
pub const WORK_CALLS_MAX: usize = 64;
/// Remotes that an app names in one offer, at most; an offer without names is for all of its own.
pub const OFFERED_REMOTES_MAX: usize = 1_000;
/// An app that was started to do work may take so long to offer it; then it is ended, and the run fails.
pub const OFFERS_TIME_MAX: Duration = Duration::from_secs(30);
/// The exit code by which a program asks to be tried again later (`EX_TEMPFAIL` of `sysexits.h`).
pub const EXIT_TRY_AGAIN: i32 = 75;
/// Of what a program says on its standard error, so many of the last bytes are kept for the reason of a failure.
pub const LAST_WORDS_BYTES_MAX: usize = 4 << 10;
/// They are waited for so long after its end.
pub const LAST_WORDS_TIME_MAX: Duration = Duration::from_secs(1);
/// A program that was asked to end (`SIGTERM`) is killed after so long.
pub const PROGRAM_ENDS_TIME_MAX: Duration = Duration::from_secs(5);

// The schedule.

/// The priority of a sync where the configuration does not say: the middle, with room on both sides.
pub const PRIORITY: u32 = 1_000;
/// Runs at once, in all: each has a task, a connection and pages in memory. Who is due beyond that waits with the hold `slots`, those
/// that were asked for first.
pub const RUNS_MAX: usize = 16;
/// Runs at once with one remote, where the configuration does not say: as many connections as a browser would open, less than what
/// servers take for an attack. Beyond that, the hold `slots`.
pub const RUNS_PER_REMOTE_MAX: usize = 4;
/// So late a cron's bell may ring before the timer takes its place: it looks twice a second, and in whole seconds.
pub const CRON_BELL_LATE_MAX: Duration = Duration::from_secs(2);
/// The longest sleep at a stretch: a suspend or a clock that was set is noticed so long after it, at the latest; and so is a file of ours,
/// the store or a socket, that something cleaned away.
pub const SLEEP_MAX: Duration = Duration::from_secs(30);
/// The wall clock and the time that passed may differ so much in one sleep before that counts as a jump, and everything is looked at.
pub const CLOCK_DRIFT_MAX: Duration = Duration::from_secs(2);
/// A wait that began further ahead of now than this, or than it is long, began before the clock was set back, and is over: more than
/// any clock is put right by in one step without having been wrong.
pub const CLOCK_CORRECTION_MAX: Duration = Duration::from_secs(60);
/// A run by its interval that was due while the daemon was not there comes so long after the start at the latest, and at a moment of this
/// host's own before: hosts that start together (the power is back) are no crowd, and nobody who opens a machine waits for long.
pub const CATCH_UP_MAX: Duration = Duration::from_secs(900);
/// Cron expressions that ring in one tick (half a second) at most; the others ring in the next. Each makes three notices inside
/// tokio-cron-scheduler, whose channels hold [`CRON_CHANNEL`] and lose what comes on top.
pub const CRONS_PER_TICK_MAX: usize = 64;
/// See [`CRONS_PER_TICK_MAX`].
pub const CRON_CHANNEL: usize = 256;
/// Bells that nobody has heard yet, at most. One more of a cron is not kept: whoever hears the others looks at everything.
pub const BELLS_MAX: usize = 1_024;

/// The shortest interval of a sync, whoever asks for it: shorter ones are a subscription in disguise, and a remote would answer with its rate
/// limit. A configuration with one is refused; a demand for less is taken for this.
pub const EVERY_MIN: Duration = Duration::from_secs(1);
/// A read that wants what is fresh waits so long for it, in ms, where it does not say how long; then it gets what is here.
pub const FRESH_MS: u64 = 10_000;
/// Of the syncs that hold a read back so many are told, as PROTOCOL.md says; the others are counted.
pub const STALE_TOLD_MAX: usize = 20;
/// Reads of a collection shorten an interval that adapts once in this time, however many they are.
pub const READS_TOLD_EVERY: Duration = Duration::from_secs(30);
/// With less than this free on the store's disk, in bytes, little room is left: a sync with `storage_not_low` waits.
pub const STORAGE_LOW_BYTES: u64 = 512 << 20;
/// And it is enough again from here on.
pub const STORAGE_ENOUGH_BYTES: u64 = 640 << 20;
/// A battery that is drawn from is low with so much left, where nobody says by what measure it is.
pub const BATTERY_LOW_PERCENT: u32 = 15;
/// A condition that is lost within this time after it came back wavers: each time it has to last longer before it counts again.
pub const CONDITION_WAVERS_WITHIN: Duration = Duration::from_secs(60);
/// What came back has to last so long where it wavered once; twice that for each time more.
pub const CONDITION_LASTS_MIN: Duration = Duration::from_secs(2);
/// And never has to last longer than this.
pub const CONDITION_LASTS_MAX: Duration = Duration::from_secs(5 * 60);
/// So long what was known of a condition is believed when nobody tells it any more: services of the system are started anew.
pub const CONDITION_SILENCE_MAX: Duration = Duration::from_secs(10);
/// How long the system bus and its services may take to answer, in ms; then what they would say is not known.
pub const BUS_MS_MAX: u64 = 5_000;
/// What wants a person is gathered so long before it is shown on the desktop: what comes up together is one notification.
pub const SHOWN_GATHERS: Duration = Duration::from_secs(5);
/// Where nothing changes, what is to be shown on the desktop is looked at so often: a matter may have waited for its day to be over.
pub const SHOWN_LOOKS_EVERY: Duration = Duration::from_secs(3600);
/// A matter that was over is shown again no earlier than this after the last time.
pub const SHOWN_AGAIN_AFTER: Duration = Duration::from_secs(24 * 3600);
/// So many matters are remembered as shown; while they stand, no more are shown.
pub const SHOWN_MATTERS_MAX: usize = 1_000;
/// So many matters are named in one notification; the rest are counted.
pub const NOTE_LINES_MAX: usize = 5;
/// Title and body of a notification are cut after so many characters each.
pub const NOTE_CHARS_MAX: usize = 400;
/// At the start, conditions are waited for so long, in ms: a run that is due then shall not begin only to be stopped.
pub const CONDITIONS_MS_MAX: u64 = 500;

/// Spans of one window of a sync, at most; more is an error of the configuration. Each is looked at in each look at its sync.
pub const WINDOW_SPANS_MAX: usize = 16;

/// Letters to the loop that wait. Who writes another waits until the loop has taken one: the loop itself never waits.
pub const LETTERS_MAX: usize = 1_024;

/// Threads for work that blocks (closing the store, looking names up). More work waits for one of them.
pub const BLOCKING_THREADS_MAX: usize = 16;

/// How long a person's check of a remote may take; then it is said not to answer.
pub const CHECK_MS_MAX: u64 = 30_000;

/// The requests that a plan tells hold so many bytes together; the others are counted.
pub const PLANNED_REQUEST_BYTES_MAX: usize = 256 << 10;
/// While one plan is made, another waits so long, and is then told to come again after as long.
pub const PLAN_RETRY: Duration = Duration::from_secs(1);

/// How often what nobody needs any more is thrown away (old operation ids, tombstones, ledger rows).
pub const PURGE_EVERY_MS: u64 = 3_600_000;

/// A run that hears nothing and applies nothing for this long is stopped with `timeout`, where its sync does not say otherwise. HTTP's
/// own silence limit is shorter; this is the net under it.
pub const STALL: Duration = Duration::from_secs(180);

/// How often a secret that was refused is looked at again (design: every 10 minutes).
pub const LOGIN_LOOK_MS: u64 = 600_000;

// Logins that run out (OAuth 2).

/// A login by a person may take so long, at the browser or at another machine; then it is over, and is begun anew.
pub const LOGIN_TIME_MAX: Duration = Duration::from_secs(900);
/// A login that nobody has asked the end of within this time after it was begun is over: who began it is gone, or was killed.
pub const LOGIN_UNASKED_MAX: Duration = Duration::from_secs(10);
/// Connections to the listener of a login at once: browsers open some ahead. More wait until one ends.
pub const LOGIN_CONNECTIONS_MAX: usize = 16;
/// A connection to the listener of a login says what it wants within this time, or is closed.
pub const LOGIN_CONNECTION_TIME_MAX: Duration = Duration::from_secs(5);
/// The head of a request to the listener of a login, at most: an address with a code and little more. A longer one is closed.
pub const LOGIN_HEAD_BYTES_MAX: usize = 16 * 1024;
/// Connections that a login cannot take, one after the other; then no browser comes back, and it is over. Before that each has a pause of
/// [`ACCEPT_PAUSE_MS`]: half a minute in all, in which others may give descriptors back.
pub const LOGIN_ACCEPTS_FAILED_MAX: usize = 300;
/// A token that a server gives is this long at most: it stands in a header of each request. A longer one is refused.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// An answer with tokens is this long at most. A longer one is refused.
pub const GRANT_BYTES_MAX: usize = 256 * 1024;
/// A token that is said to live longer is taken to live so long: what a service says is not to overflow a date.
pub const TOKEN_LIFE_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// When mingled ends, a renewal that is under way has so long to come to its end: as long as an answer may take, and far less than a unit has. Then
/// it is cut off, and a person may have to log in.
pub const RENEWAL_END_MAX: Duration = Duration::from_secs(30);
/// A logout waits so long for a renewal that is under way: what it brings is to be ended too. Then the renewal is given up, and the logout says so.
pub const RENEWAL_WAIT_MAX: Duration = Duration::from_secs(5);
/// After a renewal that came to nothing the next is asked for so much later, unless a person asks; till then everybody is told the same.
pub const RENEWAL_PAUSE: Duration = Duration::from_secs(5);
/// A request goes with so many tokens at most: the first may be renewed by others, and the second run out before it is looked at.
/// Then the refusal stands.
pub const TOKENS_TRIED_MAX: usize = 3;
/// A token is renewed so long before it runs out, at most: clocks differ, and a request takes its time.
pub const TOKEN_MARGIN_MAX: Duration = Duration::from_secs(60);
/// Of a token that lives shortly, this part of its life is the margin.
pub const TOKEN_MARGIN_PART: u32 = 4;
/// How often a service is asked whether a person has agreed at another machine, where it does not say how often (RFC 8628, 3.2).
pub const POLL_PAUSE: Duration = Duration::from_secs(5);
/// So much longer it is after it asked for patience, or did not answer (RFC 8628, 3.5).
pub const POLL_PAUSE_MORE: Duration = Duration::from_secs(5);
/// The longest pause between two such questions: who has agreed waits for it.
pub const POLL_PAUSE_MAX: Duration = Duration::from_secs(60);
