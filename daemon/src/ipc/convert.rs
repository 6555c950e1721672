//! Owns: the bridge between wire words and core words: nowhere else do the two meet. Must never know: who asked, and whether they may.

mod app;
mod budget;
mod data;
mod fresh;
mod news;
mod operate;
mod past;
mod pending;
mod plan;
mod session;
mod stored;
mod waits;
mod worker;

use std::{fmt, time::Duration};

use mingle_core::{
    ask::{Grant, Grants, Refusal},
    time::Timestamp,
};
use mingle_proto::{Error, Name, Time, call};

pub(super) use self::{
    app::{app_known, app_registered, register},
    budget::budget,
    data::{
        delete, history_limit, list_query, patch, put, record_id, records, since, transact, which_conflicts, which_rejections,
        write_op, written,
    },
    fresh::{freshness, max_age, wants},
    news::{event, topic},
    operate::{
        authorized, conflict, explained, halted, how, if_exists, keep, logged_in, logged_out, login_begun, mode, pinged,
        rebuilding, redefined, rejection, reloaded, remote, remote_checked, resolution, resolved, run, run_waited, shutting_down,
        status, sync_definition, sync_state, waited,
    },
    past::{merge, parsed, replayed, undo, undo_preview, undone, why},
    pending::{left, pending, which_pending},
    plan::plan,
    session::{
        accepts, lost, pushed_into, pushes, refuses, session_begin, session_begun, session_closed, session_join, session_joined,
        session_mingled, session_pulled, session_pushed, session_state, session_taken,
    },
    stored::{ChangedOut, ChangesOut, ListOut, RecordOut, Stored},
    waits::{next_run, syncs_waited, until},
    worker::{batch, said, work},
};

/// RFC 3339 in UTC, with milliseconds. What lies outside of the years that can be written is written as the nearest that can.
pub(super) fn time(at: Timestamp) -> Time {
    let moment = jiff::Timestamp::from_millisecond(at.unix_ms());
    let nearest = if at.unix_ms() < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    format!("{:.3}", moment.unwrap_or(nearest))
}

/// Whole milliseconds.
pub(super) fn ms(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

/// Parameters that cannot be meant.
pub(super) fn invalid(what: impl Into<String>, hint: impl Into<String>) -> Error {
    Error::new(Name::Invalid, what).hint(hint)
}

/// Why the daemon says no, in the words of the wire. The only place where a name is chosen for a refusal.
pub(super) fn refusal(refusal: Refusal) -> Error {
    match refusal {
        Refusal::NotFound(what, hint) => with(Name::NotFound, what, hint),
        Refusal::Denied(what) => {
            Error::new(Name::Denied, what).hint("see [app.NAME] grants in the configuration, and `mingle config path`")
        }
        Refusal::Stale(what, seq) => {
            let error = Error::new(Name::Stale, what).hint("read it again and decide anew");
            match seq {
                Some(seq) => error.seq(seq),
                None => error,
            }
        }
        Refusal::OpReused(what) => Error::new(Name::OpReused, what).hint("make a new op for each new write"),
        Refusal::Invalid(what, hint) => with(Name::Invalid, what, hint),
        Refusal::TooLarge(what) => Error::new(Name::TooLarge, what).hint("ask in smaller pieces"),
        Refusal::Stopped(what, hint) => with(Name::Stopped, what, hint),
        Refusal::Busy(after) => {
            Error::new(Name::Busy, "too much is queued").hint("ask again a little later").retry_after_ms(ms(after))
        }
        Refusal::WrongState(what, hint) => with(Name::WrongState, what, hint),
        Refusal::Guarded(what) => {
            Error::new(Name::Guarded, what).hint("ask a person, then call again with accept_deletes: true, or cancel")
        }
        Refusal::Unsupported(what) => Error::new(Name::Unsupported, what),
        Refusal::ReadOnly(what) => {
            Error::new(Name::ReadOnly, what).hint("`mingle config path` says which file; `mingle reload` takes the change")
        }
        Refusal::Shut(what, hint) => Error::new(Name::ReadOnly, what).hint(hint),
        Refusal::Unreadable(what) => {
            Error::new(Name::Internal, what).hint("ask again; where it stays so, look at the disk, and at `mingle status`")
        }
        Refusal::DiskFull(what) => Error::new(Name::DiskFull, what).hint("free some space; reads go on meanwhile"),
        Refusal::Deadline(what) => {
            Error::new(Name::Deadline, what).hint("ask for less: a smaller page, or a property with an index")
        }
        Refusal::Unknown(what) => {
            Error::new(Name::OutcomeUnknown, what).hint("repeat it with the same op: it happens at most once")
        }
        Refusal::Internal(words) => {
            tracing::error!(%words, "a call failed by a fault of ours");
            Error::new(Name::Internal, "a fault of the daemon").hint("`mingle logs` shows more; please report it")
        }
    }
}

fn with(name: Name, what: String, hint: Option<String>) -> Error {
    match hint {
        Some(hint) => Error::new(name, what).hint(hint),
        None => Error::new(name, what),
    }
}

/// What `hello` says of an app's grants: `*` stands for every collection that is not listed.
pub(super) fn grants(grants: &Grants) -> std::collections::BTreeMap<String, call::Grant> {
    match grants {
        Grants::All(all) => [("*".to_owned(), grant(*all))].into(),
        Grants::Only(list) => list.iter().map(|(name, one)| (name.clone(), grant(*one))).collect(),
    }
}

fn grant(grant: Grant) -> call::Grant {
    match grant {
        Grant::None => call::Grant::None,
        Grant::Read => call::Grant::Read,
        Grant::Write => call::Grant::Write,
    }
}

/// A word of the core that the wire writes the same way; one that it does not know is a fault of ours and shows as such.
fn word<T: std::str::FromStr<Err = String>>(word: &str, unknown: T) -> T {
    word.parse().unwrap_or_else(|why: String| {
        tracing::error!(%why, "a word that the wire does not know");
        unknown
    })
}

/// JSON text that the store keeps, as the wire carries it. Used where values are few; records go as [`Stored`], unread.
fn raw(text: &str) -> Option<mingle_proto::Raw> {
    let raw = serde_json::value::RawValue::from_string(text.to_owned());
    raw.inspect_err(|error| tracing::error!(%error, "stored text is not JSON")).ok()
}

/// A list for a sentence.
pub(super) fn listed(items: impl IntoIterator<Item = impl fmt::Display>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_in_utc_with_milliseconds() {
        let check = |ms: i64, expect: &str| assert_eq!(time(Timestamp::from_unix_ms(ms)), expect);
        check(0, "1970-01-01T00:00:00.000Z");
        check(1_767_323_045_678, "2026-01-02T03:04:05.678Z");
        check(1_767_323_045_600, "2026-01-02T03:04:05.600Z");
        check(-1, "1969-12-31T23:59:59.999Z");
        assert!(time(Timestamp::from_unix_ms(i64::MAX)).starts_with("9999-12-"));
        assert!(time(Timestamp::from_unix_ms(i64::MIN)).starts_with("-009999-01-"));
    }

    #[test]
    fn every_refusal_has_its_name() {
        let what = || "it".to_owned();
        let check = |from: Refusal, name: Name, retryable: bool| {
            let error = refusal(from.clone());
            assert_eq!((error.name(), error.code, error.data.retryable), (name, -32000, retryable), "{from:?}");
        };
        check(Refusal::NotFound(what(), None), Name::NotFound, false);
        check(Refusal::Denied(what()), Name::Denied, false);
        check(Refusal::Stale(what(), None), Name::Stale, false);
        check(Refusal::OpReused(what()), Name::OpReused, false);
        check(Refusal::Invalid(what(), None), Name::Invalid, false);
        check(Refusal::TooLarge(what()), Name::TooLarge, false);
        check(Refusal::Stopped(what(), None), Name::Stopped, false);
        check(Refusal::Busy(Duration::from_millis(7)), Name::Busy, true);
        check(Refusal::WrongState(what(), None), Name::WrongState, false);
        check(Refusal::Guarded(what()), Name::Guarded, false);
        check(Refusal::Unsupported(what()), Name::Unsupported, false);
        check(Refusal::ReadOnly(what()), Name::ReadOnly, false);
        check(Refusal::Shut(what(), what()), Name::ReadOnly, false);
        check(Refusal::Unreadable(what()), Name::Internal, false);
        check(Refusal::DiskFull(what()), Name::DiskFull, true);
        check(Refusal::Deadline(what()), Name::Deadline, true);
        check(Refusal::Unknown(what()), Name::OutcomeUnknown, true);
        check(Refusal::Internal(what()), Name::Internal, false);
        assert_eq!(refusal(Refusal::Stale(what(), Some(4))).data.seq, Some(4));
        assert_eq!(refusal(Refusal::Busy(Duration::from_millis(7))).data.retry_after_ms, Some(7));
        assert_eq!(refusal(Refusal::NotFound(what(), Some("look".into()))).data.hint.as_deref(), Some("look"));
        let inside = refusal(Refusal::Internal("select * from m_record in /home/me".into()));
        assert!(!serde_json::to_string(&inside).unwrap().contains("m_record"), "our own words stay in the log");
    }
}
