//! Owns: one run: sessions one after the other until one is through. Must never know: what the app keeps, how a call travels.

use std::time::{Duration, Instant};

use mingle_proto::{
    Error, Name, Raw,
    call::{
        Accepted, PulledRecord, Push, PushDelete, PushPatch, PushPut, Refused, SessionBegin, SessionClosed, SessionJoin,
        SessionMode,
    },
};

use super::{Change, DriveError, Driver, Keeper, Record, Renamed, Report, Step, Stored};
use crate::{
    CallError, Options, again,
    blocking::{Client, now, reopen, rest},
    session::{Pulling, Pushing, Session},
};

/// The daemon takes so many records in one call.
const RECORDS_MAX: usize = 1_000;
/// What a record takes in a request beside its id and its data: the braces, the names.
const RECORD_BYTES: usize = 128;

/// Why a session was not gone through.
enum Stop<E> {
    /// It did not begin.
    Begin(CallError),
    /// A call of it.
    Call(CallError),
    /// One record is not taken.
    Record { collection: String, id: String, why: CallError },
    /// The app's copy.
    Keeper(E),
}

impl<E> From<CallError> for Stop<E> {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

/// Why something did not go out.
enum Not {
    /// The call.
    Call(CallError),
    /// One record is not taken.
    Record { collection: String, id: String, why: CallError },
}

impl From<CallError> for Not {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

impl<E> From<Not> for Stop<E> {
    fn from(not: Not) -> Self {
        match not {
            Not::Call(error) => Self::Call(error),
            Not::Record { collection, id, why } => Self::Record { collection, id, why },
        }
    }
}

impl<E> Stop<E> {
    /// After how long it is worth another session; None: it stays so.
    fn pause(&self) -> Option<Duration> {
        let (begins, error) = match self {
            Self::Begin(error) => (true, error),
            Self::Call(error) => (false, error),
            Self::Record { .. } | Self::Keeper(_) => return None,
        };
        match error {
            CallError::Lost { .. } => Some(again::PAUSE),
            CallError::Refused(refusal) => match refusal.name() {
                Name::Busy => Some(refusal.data.retry_after_ms.map_or(again::PAUSE, Duration::from_millis)),
                // The one before is not quite gone, or another process of this app has one.
                Name::WrongState | Name::OutcomeUnknown => Some(again::PAUSE),
                // It was ended meanwhile: it was silent for too long, or the store is another one. Or what was shown is known no more.
                Name::NotFound | Name::Stale if !begins => Some(again::PAUSE),
                _ => None,
            },
            CallError::Late { .. } | CallError::Garbled(_) => None,
        }
    }

    fn told(self) -> DriveError<E> {
        match self {
            Self::Begin(error) if is(&error, Name::WrongState) => DriveError::Elsewhere(error),
            Self::Call(error) if is(&error, Name::Guarded) => DriveError::Guarded(error),
            Self::Begin(error) | Self::Call(error) => DriveError::Call(error),
            Self::Record { collection, id, why } => DriveError::Record { collection, id, why },
            Self::Keeper(error) => DriveError::Keeper(error),
        }
    }
}

fn is(error: &CallError, name: Name) -> bool {
    matches!(error, CallError::Refused(refusal) if refusal.name() == name)
}

impl Driver {
    /// Brings the app's copy and the truth in step: one session, and another where the daemon went away in the middle of it.
    ///
    /// # Errors
    /// [`DriveError`]. Whatever it is, the next run goes on from what was kept.
    pub fn run<K: Keeper>(&self, keeper: &mut K) -> Result<Report, DriveError<K::Error>> {
        // A session ends with its connection, so a new one is of no use to it.
        let options = Options { reconnect_within: None, ..self.options.clone() };
        let patience = self.options.reconnect_within.unwrap_or_default();
        let mut run = Run {
            driver: self,
            mode: self.mode,
            report: Report::default(),
            renamed: Vec::new(),
            invitation: self.invitation.clone(),
            got_on: false,
        };
        let mut until: Option<Instant> = None;
        loop {
            let left = until.map_or(patience, |until| until.saturating_duration_since(now()));
            let mut client = reopen(&options, left)?;
            let Err(stop) = run.session(&mut client, keeper) else { return Ok(run.report) };
            drop(client);
            let Some(pause) = stop.pause() else { return Err(stop.told()) };
            if std::mem::take(&mut run.got_on) {
                until = None;
            }
            if now() + pause > *until.get_or_insert_with(|| now() + patience) {
                return Err(stop.told());
            }
            rest(pause);
        }
    }
}

/// A run under way.
struct Run<'a> {
    driver: &'a Driver,
    /// What is asked for: a mode of its own is over once what was pushed has met the truth.
    mode: Option<SessionMode>,
    report: Report,
    /// What is agreed with the next commit.
    renamed: Vec<Renamed>,
    /// The session to take part in, until it was tried.
    invitation: Option<String>,
    /// Something came to stay since the last loss.
    got_on: bool,
}

impl Run<'_> {
    fn session<K: Keeper>(&mut self, client: &mut Client, keeper: &mut K) -> Result<(), Stop<K::Error>> {
        let bytes_max = client.hello().map_or(0, |hello| usize::try_from(hello.limits.request_bytes).unwrap_or(usize::MAX)) / 2;
        let anchor = keeper.anchor().map_err(Stop::Keeper)?;
        self.driver.says_filters(client).map_err(Stop::Begin)?;
        let mut session = self.begin(client, anchor).map_err(Stop::Begin)?;
        self.report.sessions += 1;
        self.report.mode = Some(session.mode());
        if let Err(stop) = self.push(&mut session, keeper, bytes_max) {
            return Err(given_up(session, stop));
        }
        let (mut session, mingled) = match session.mingle(self.driver.accept_deletes) {
            Ok(mingled) => mingled,
            Err(not) => return Err(given_up(not.session, Stop::Call(not.error))),
        };
        (self.mode, self.got_on) = (None, true);
        self.report.changed += mingled.changed;
        self.report.conflicts += mingled.conflicts;
        self.report.deleted += mingled.deleted;
        if let Err(stop) = self.pull(&mut session, keeper, bytes_max) {
            return Err(given_up(session, stop));
        }
        let closed = session.finish()?;
        self.kept(keeper, &closed)
    }

    /// A session of its own; or one beside that of the invitation, which is for once.
    fn begin<'c>(&mut self, client: &'c mut Client, anchor: Option<String>) -> Result<Session<'c, Pushing>, CallError> {
        let collections = self.driver.collections.clone();
        if let Some(session) = self.invitation.take() {
            let collections = Some(collections.clone());
            let join = SessionJoin { session, collections, mode: self.mode, anchor: anchor.clone(), ..SessionJoin::default() };
            match client.call(join) {
                Ok(joined) => return client.beside(joined),
                // It is over: then alone.
                Err(error) if is(&error, Name::Deadline) || is(&error, Name::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        client.session(SessionBegin { collections, mode: self.mode, anchor, join_ms: self.driver.join_ms })
    }

    /// What the mode asks for goes out, in calls that the daemon takes.
    fn push<K: Keeper>(
        &mut self,
        session: &mut Session<'_, Pushing>,
        keeper: &mut K,
        bytes_max: usize,
    ) -> Result<(), Stop<K::Error>> {
        keeper.reached(Step::Begun, &self.report).map_err(Stop::Keeper)?;
        let mode = session.mode();
        let mut out = Out { session, changes: Vec::new(), bytes: 0, bytes_max, pushed: 0, unknown: Vec::new() };
        if !matches!(mode, SessionMode::Fast | SessionMode::PullTruth) {
            for collection in &self.driver.collections {
                for record in keeper.records(collection).map_err(Stop::Keeper)? {
                    out.add(put(record.map_err(Stop::Keeper)?))?;
                }
            }
        }
        if mode != SessionMode::PullTruth {
            let whole = mode != SessionMode::Fast;
            for change in keeper.changes().map_err(Stop::Keeper)? {
                match change.map_err(Stop::Keeper)? {
                    Change::Lost { collection, id, again } => out.lost(&collection, &id, again)?,
                    _ if whole => {}
                    Change::Put(record) => out.add(put(record))?,
                    Change::Patch { collection, id, patch } => out.add(Push::Patch(PushPatch { collection, id, patch }))?,
                    Change::Delete { collection, id } => out.add(Push::Delete(PushDelete { collection, id }))?,
                }
            }
        }
        out.flush()?;
        for (collection, id) in std::mem::take(&mut out.unknown) {
            if let Some(data) = keeper.record(&collection, &id).map_err(Stop::Keeper)? {
                out.add(put(Record { collection, id, data }))?;
            }
        }
        out.flush()?;
        self.report.pushed += out.pushed;
        keeper.reached(Step::Pushed, &self.report).map_err(Stop::Keeper)
    }

    /// What the app lacks, page by page, each of them agreed before the next.
    fn pull<K: Keeper>(
        &mut self,
        session: &mut Session<'_, Pulling>,
        keeper: &mut K,
        bytes_max: usize,
    ) -> Result<(), Stop<K::Error>> {
        keeper.reached(Step::Mingled, &self.report).map_err(Stop::Keeper)?;
        keeper.pushed().map_err(Stop::Keeper)?;
        if session.mode() == SessionMode::PullTruth {
            for collection in &self.driver.collections {
                keeper.empty(collection).map_err(Stop::Keeper)?;
            }
        }
        let mut cursor = None;
        loop {
            let page = session.pull(cursor.take(), self.driver.page_records)?;
            self.take(session, keeper, page.records, bytes_max)?;
            cursor = page.cursor;
            if cursor.is_none() {
                return Ok(());
            }
            let closed = session.commit()?;
            self.kept(keeper, &closed)?;
        }
    }

    fn take<K: Keeper>(
        &mut self,
        session: &mut Session<'_, Pulling>,
        keeper: &mut K,
        records: Vec<PulledRecord>,
        bytes_max: usize,
    ) -> Result<(), Stop<K::Error>> {
        let (mut accepted, mut refused) = (Vec::new(), Vec::new());
        self.renamed.clear();
        for record in records {
            let stored = keeper.apply(&record).map_err(Stop::Keeper)?;
            let PulledRecord { collection, id, seq, .. } = record;
            match stored {
                Stored::AsShown => accepted.push(Accepted { collection, id, seq, data: None, new_id: None }),
                Stored::As { data, id: new_id } => {
                    if let Some(own) = new_id.clone().filter(|own| *own != id) {
                        self.renamed.push(Renamed { collection: collection.clone(), shown: id.clone(), own });
                    }
                    let one = Accepted { collection, id, seq, data, new_id };
                    let bytes = accepted_bytes(&one);
                    if bytes > bytes_max * 2 {
                        return Err(Stop::Record { collection: one.collection, id: one.id, why: too_large(bytes) });
                    }
                    accepted.push(one);
                }
                Stored::Refused => refused.push(Refused { collection, id, seq }),
                Stored::Later => self.report.later += 1,
            }
        }
        keeper.save().map_err(Stop::Keeper)?;
        keeper.reached(Step::Stored, &self.report).map_err(Stop::Keeper)?;
        let (count, unwanted) = (accepted.len() as u64, refused.len() as u64);
        in_calls(accepted, bytes_max, accepted_bytes, |records| session.accept_all(records).map(drop))?;
        in_calls(refused, bytes_max, |_| RECORD_BYTES, |records| session.refuse_all(records).map(drop))?;
        self.report.stored += count;
        self.report.refused += unwanted;
        keeper.reached(Step::Taken, &self.report).map_err(Stop::Keeper)
    }

    fn kept<K: Keeper>(&mut self, keeper: &mut K, closed: &SessionClosed) -> Result<(), Stop<K::Error>> {
        keeper.reached(Step::Committed, &self.report).map_err(Stop::Keeper)?;
        keeper.keep(&closed.anchor, &self.renamed).map_err(Stop::Keeper)?;
        self.got_on = true;
        keeper.reached(Step::Kept, &self.report).map_err(Stop::Keeper)
    }
}

/// A session that nobody goes on with is no hindrance to the next.
fn given_up<S, E>(session: Session<'_, S>, stop: Stop<E>) -> Stop<E> {
    if !matches!(&stop, Stop::Call(error) if error.is_lost()) {
        // Where this fails, it ends with its connection.
        let _ = session.cancel();
    }
    stop
}

fn put(Record { collection, id, data }: Record) -> Push {
    Push::Put(PushPut { collection, id, data })
}

/// What goes out, gathered into calls.
struct Out<'s, 'c> {
    session: &'s mut Session<'c, Pushing>,
    changes: Vec<Push>,
    bytes: usize,
    bytes_max: usize,
    pushed: u64,
    /// Patches of what the daemon does not know.
    unknown: Vec<(String, String)>,
}

impl Out<'_, '_> {
    fn add(&mut self, push: Push) -> Result<(), Not> {
        let bytes = bytes(&push);
        if bytes > self.bytes_max * 2 {
            // The daemon would end the connection.
            let (Push::Put(PushPut { collection, id, .. })
            | Push::Patch(PushPatch { collection, id, .. })
            | Push::Delete(PushDelete { collection, id })) = push;
            return Err(Not::Record { collection, id, why: too_large(bytes) });
        }
        if self.changes.len() >= RECORDS_MAX || (self.bytes + bytes > self.bytes_max && !self.changes.is_empty()) {
            self.flush()?;
        }
        self.bytes += bytes;
        self.changes.push(push);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Not> {
        self.bytes = 0;
        let changes = std::mem::take(&mut self.changes);
        if changes.is_empty() {
            return Ok(());
        }
        let count = changes.len() as u64;
        match self.session.push(changes.clone()) {
            Ok(_) => self.pushed += count,
            // One of them stands in the way of all.
            Err(error) if [Name::NotFound, Name::Invalid, Name::TooLarge].iter().any(|name| is(&error, *name)) => {
                for change in changes {
                    self.alone(change)?;
                }
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn alone(&mut self, change: Push) -> Result<(), Not> {
        match (self.session.push(vec![change.clone()]), change) {
            (Ok(_), _) => self.pushed += 1,
            // It was told before, and has met the truth; or it never came so far.
            (Err(error), Push::Delete(_)) if is(&error, Name::NotFound) => {}
            (Err(error), Push::Patch(PushPatch { collection, id, .. })) if is(&error, Name::NotFound) => {
                self.unknown.push((collection, id));
            }
            (
                Err(why),
                Push::Put(PushPut { collection, id, .. })
                | Push::Patch(PushPatch { collection, id, .. })
                | Push::Delete(PushDelete { collection, id }),
            ) if is(&why, Name::Invalid) || is(&why, Name::TooLarge) => {
                return Err(Not::Record { collection, id, why });
            }
            (Err(error), _) => return Err(error.into()),
        }
        Ok(())
    }

    fn lost(&mut self, collection: &str, id: &str, again: bool) -> Result<(), Not> {
        // Of a record only what was said last counts.
        self.flush()?;
        match self.session.lost(collection, id, again) {
            Ok(_) => self.pushed += 1,
            // Then it is shown anyway.
            Err(error) if is(&error, Name::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

fn too_large(bytes: usize) -> CallError {
    CallError::Refused(Error::new(Name::TooLarge, format!("{bytes} bytes are more than a request may have")))
}

fn bytes(push: &Push) -> usize {
    RECORD_BYTES
        + match push {
            Push::Put(put) => put.id.len() + put.data.get().len(),
            Push::Patch(patch) => patch.id.len() + patch.patch.get().len(),
            Push::Delete(delete) => delete.id.len(),
        }
}

fn accepted_bytes(record: &Accepted) -> usize {
    let form = record.data.as_ref().map_or(0, |form: &Raw| form.get().len());
    RECORD_BYTES + record.id.len() + form + record.new_id.as_ref().map_or(0, String::len)
}

/// Tells of records in calls that the daemon takes.
fn in_calls<T>(
    records: Vec<T>,
    bytes_max: usize,
    bytes: impl Fn(&T) -> usize,
    mut call: impl FnMut(Vec<T>) -> Result<(), CallError>,
) -> Result<(), CallError> {
    let mut rest = records.into_iter().peekable();
    while rest.peek().is_some() {
        let (mut some, mut sum) = (Vec::new(), 0);
        while let Some(one) = rest.next_if(|one| some.is_empty() || (some.len() < RECORDS_MAX && sum + bytes(one) <= bytes_max)) {
            sum += bytes(&one);
            some.push(one);
        }
        call(some)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(name: Name) -> CallError {
        CallError::Refused(Error::new(name, "m"))
    }

    #[test]
    fn another_session_is_begun_where_that_may_help() {
        #[track_caller]
        fn check(stop: &Stop<String>, expect: bool) {
            assert_eq!(stop.pause().is_some(), expect);
        }
        let lost = || CallError::Lost { why: "it was closed".into(), op: None };
        check(&Stop::Begin(lost()), true);
        check(&Stop::Call(lost()), true);
        for (name, begins, goes_on) in [
            (Name::WrongState, true, true),
            (Name::Busy, true, true),
            (Name::OutcomeUnknown, true, true),
            (Name::NotFound, false, true),
            (Name::Stale, false, true),
            (Name::Denied, false, false),
            (Name::Invalid, false, false),
            (Name::Guarded, false, false),
            (Name::ReadOnly, false, false),
        ] {
            check(&Stop::Begin(refused(name)), begins);
            check(&Stop::Call(refused(name)), goes_on);
        }
        check(&Stop::Keeper("its own".into()), false);
        check(&Stop::Record { collection: "c".into(), id: "i".into(), why: refused(Name::TooLarge) }, false);
    }

    #[test]
    fn records_go_in_calls_of_a_size() {
        #[track_caller]
        fn check(records: &[usize], calls: &[usize]) {
            let mut made = Vec::new();
            let told = in_calls(
                records.to_vec(),
                10,
                |bytes| *bytes,
                |some| {
                    made.push(some.len());
                    Ok(())
                },
            );
            told.expect("told");
            assert_eq!(made, calls, "{records:?}");
        }
        check(&[], &[]);
        check(&[1, 2, 3], &[3]);
        check(&[4, 5, 6, 20, 1], &[2, 1, 1, 1]);
        check(&[0; 1_500], &[1_000, 500]);
    }
}
