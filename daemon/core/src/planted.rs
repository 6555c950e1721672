//! Owns: the bugs that can be switched on to see whether the tests find them. Never in a release: without the feature `planted`
//! every question is answered no, and the compiler removes it.
//! Must never know: what a bug breaks.

/// What has to find a planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finder {
    /// A table or a law beside the code.
    Tables,
    /// The simulation, within 2,000 schedules.
    Simulation,
    /// The kill loop, with real processes, within 100 kills.
    Killing,
    /// Chaos with real processes, within six of four seconds.
    Chaos,
}

use Finder::{Chaos, Killing, Simulation, Tables};

/// Every bug that can be planted: its name, and what has to find it.
pub const ALL: &[(&str, Finder)] = &[
    // demand: whoever wants what is fresh is told that what is here is.
    ("whatever is here is fresh", Tables),
    // demand: whoever follows a collection with an age gets what the interval brings.
    ("a demand sets no pace", Tables),
    // demand: a sync that runs on demand polls though nobody asks.
    ("what runs on demand polls all the same", Tables),
    // mingle: with no base, what theirs lacks is taken from the truth.
    ("absence clears without a base", Tables),
    // mingle: a union does not look at the base, so what was removed comes back.
    ("union is plain", Tables),
    // mingle: a property under an open conflict clashes again at each meeting.
    ("manual not frozen", Tables),
    // meeting: a request of which one value is shown is taken for arrived, whatever the others are.
    ("one value shown is all of it", Tables),
    // meeting: a record that the service had when it was made, and has no more, was never there.
    ("delete of a doubled create unseen", Tables),
    // mingle: what a service does not have is taken for absent there.
    ("thin answer clears", Simulation),
    ("made before a listing is caught up with", Simulation),
    // meeting: what was sent is not looked at again, as if it had been kept in memory and the process had died.
    ("sent in memory only", Simulation),
    // meeting: what somebody else cleared is taken for our own clearing, and what was sent with it for arrived.
    ("cleared by another taken for arrived", Tables),
    // meeting: a create says what it cannot set, and what the new record shows instead is taken for somebody's edit.
    ("sent with a create that does not take it", Simulation),
    // meeting: what was sent goes as soon as the truth is what was agreed again.
    ("sent dropped when the truth returns", Simulation),
    // meeting: the base of an answer is the record as it is now, with what was edited while the request was under way.
    ("base taken from the whole truth", Simulation),
    // meeting: an answer settles the record as it is now, not as it was sent.
    ("settle with the present truth", Simulation),
    // meeting: the same stamp is taken for the same content.
    ("echo by coarse stamp", Simulation),
    // meeting: a row with a revision that the link has left is believed without asking.
    ("old revision believed", Simulation),
    // meeting: other content under the stamp that the link knows is believed without asking.
    ("same stamp believed", Tables),
    // meeting: a listing that shows the old state settles a request whose answer is outstanding.
    ("late listing settles a doubt", Tables),
    // run: a document that changed is applied in batches, so that readers see half of it.
    ("a document is put in place in pieces", Tables),
    // store: a document with no row at all is taken for the delete of what is here.
    ("an empty document is believed", Tables),
    // documents: of rows with one id the last counts, whatever the others say.
    ("a doubled id is no doubt", Tables),
    // dav: an answer that says that there is more is taken for all there is, and the rest for deleted.
    ("a cut listing is taken for whole", Tables),
    // dav: a change writes the whole text anew, as the library has it.
    ("a text is written anew", Tables),
    // dav: what the library made of a change goes out, whatever it is.
    ("an edited text is not read again", Tables),
    // dav: an exception of a recurring event is written without what the event gives it.
    ("an exception holds its difference alone", Tables),
    // dav: what the library keeps for itself of an alert or an exception is not taken along into a change.
    ("what the library keeps is let go", Tables),
    // keyring: of several items with one name, one is read, written over and taken out.
    ("the first of several items is meant", Tables),
    // meeting: a create that was looked for and not seen is forgotten, though it may still be on its way.
    ("late create forgotten", Simulation),
    // meeting: a create whose answer was lost is repeated under another key.
    ("key made anew at each repeat", Simulation),
    // meeting: "it is there already" is never said of what a doubled create of ours made.
    ("create that is there forgotten", Simulation),
    // work: a batch is taken though one before it was not, and with it a checkpoint that passes what is missing.
    ("batch behind a gap taken", Tables),
    // work: what was only compared is answered as being in the truth, and is never told again.
    ("compared is confirmed", Tables),
    // store: what was looked for and not seen is under way for ever, though the record is deleted here.
    ("looked for is under way", Simulation),
    // meeting: a property under an open conflict is sent with the next upload.
    ("open manual conflict uploaded", Simulation),
    // meeting: the answer's own form of the record is not read.
    ("answer body ignored", Simulation),
    // meeting: what a read after the answer shows is taken for the remote's own form of what was sent.
    ("read-back taken for the answer", Tables),
    // remotes: changes that go out together are settled by each other's answers.
    ("answers of a batch mixed up", Simulation),
    // run: the next listing starts at the watermark itself.
    ("overlap 0", Simulation),
    // run: the server's clock alone is the watermark.
    ("Date as watermark", Simulation),
    // run: the watermark is what a listing had seen when it ended.
    ("watermark of the listing's end", Tables),
    // run: a batch that was cut short saves the position after its page.
    ("stop saves the next page's cursor", Simulation),
    // run: a batch's position is committed before the batch.
    ("checkpoint before batch", Simulation),
    // run: another instance of the remote is taken for the one of the checkpoint.
    ("epoch ignored", Simulation),
    // run: what a whole listing does not show is deleted without asking for it.
    ("ghost without asking", Simulation),
    // run: rows are asked for by id before a listing has shown that we may see anything.
    ("404 as gone", Simulation),
    // run: a row that cannot be read is passed by.
    ("poison row skipped", Simulation),
    // run: ids that a record had at the remote are forgotten.
    ("former remote ids dropped", Simulation),
    // run: a new row is a new record, whatever creates are in doubt.
    ("unlinked row not offered to unknown creates", Simulation),
    // run: a refresh forgets which record is which.
    ("refresh drops remote ids", Simulation),
    // run: a rebuild takes what is here for what was agreed, so that what was not sent yet is written over.
    ("rebuild drops unsent edits", Simulation),
    // run: a rebuild believes a revision that it knows, so that what is wrong here stays.
    ("rebuild trusts revisions", Tables),
    // run: a rebuild that was cut off goes on as any other run.
    ("rebuild forgotten when cut off", Tables),
    // run: a reset begins, and the store as it was is in no file.
    ("reset without a copy", Tables),
    // run: a reset that was cut off goes on as the configuration says, whatever a person said.
    ("strategy forgotten when cut off", Tables),
    // run: another word forgets what the reset that was under way had yet to do, and one that is taken back ends it.
    ("a second word forgets the reset under way", Tables),
    // run: what a person said of one history takes away what was written in the next.
    ("a word covers every history to come", Tables),
    // run: what is not sent goes with a reset, and is nowhere.
    ("discard without a record", Tables),
    // run: what is not sent to one remote goes, though another brought or has it.
    ("discard takes back what another remote has", Tables),
    // run: what a former account was not sent leaves here, and is nowhere.
    ("former account's edits leave unrecorded", Tables),
    // run: what was written under one account, and nobody has yet, is made at another.
    ("another account is given what is new", Tables),
    // run: what was to be made at a former account, and stays, is made nowhere.
    ("new records stay with the former account", Tables),
    // run: the records of the account that is spoken to again leave as those of one that is spoken to no more.
    ("an account that is back is taken away", Tables),
    // run: a reset takes new records away that another sync makes.
    ("discard of what another sync makes", Tables),
    // run: a record that came from another remote is made at this one too.
    ("record linked elsewhere created", Simulation),
    // run: a sync that only brings lets go of what its replica is to be sent, as if it had been a mirror.
    ("who never was a mirror is one no more", Simulation),
    // pending: a record that a mirror does not have yet is taken back as if nobody had it.
    ("taken back where a mirror lacks it", Simulation),
    // pairs: a remote's form of what came from another remote enters the truth.
    ("remotes rewrite each other", Simulation),
    // run: a mirror makes a record that nobody has, and keeps no place for it at its home.
    ("no place kept at home", Simulation),
    // run: a row of a mirror is never a record that another remote has.
    ("mirror knows nobody", Simulation),
    // run: a service is told that we have an answer before its rows are in the truth, and its "nothing has changed" brings none.
    ("a validator counts before its page is applied", Killing),
    // run: what was answered in another history, at another place or under another filter is gone on with.
    ("answers outlive their history", Tables),
    // run: what a service forgets to tell is never found.
    ("who tells of deletes is believed for ever", Simulation),
    // run: rows that cannot be read, and did not change, cost a request each at every run.
    ("what cannot be read is asked for at every run", Tables),
    // run: what leads to a page that is not there any more leads each run there.
    ("an answer that leads nowhere is kept", Tables),
    // run: what a service wrongly says is unchanged is never asked in full again.
    ("an answer is believed for ever", Tables),
    // login: a service that takes no fresh token is asked for another one with each request.
    ("a fresh token that is refused is renewed", Tables),
    // login: who asks for patience is asked as often as before.
    ("a plea for patience is passed over", Tables),
    // oauth: whoever connects to the listener of a login may bring a code.
    ("an answer without the state is heard", Tables),
    // oauth: a run that began for one person goes on with the token of another.
    ("a run goes on for whoever has logged in", Tables),
    // dav: a card is listed as it lies there, and edited as it is shown by name.
    ("a card is shown in two versions", Tables),
    // rest: that a page is the same again is taken to mean that nothing follows it now either.
    ("a full page that was the last is the last for ever", Tables),
    // store: who writes is answered before the commit.
    ("ack before commit", Killing),
    // ipc: a subscription that comes again after the daemon fell goes on at the head, whatever it says it has seen.
    ("subscription goes on at the head", Chaos),
    // store: a record that one commit changed twice is told twice to subscriptions.
    ("record told twice by a commit", Tables),
    // store: what the last commit changed is told to subscriptions that stand elsewhere.
    ("last commit told at any place", Tables),
    // ipc: a page that was read for one subscription is told to another, though something was committed since.
    ("page of another moment", Tables),
    // ipc: a page that was read for one subscription is told to another of other collections.
    ("page of another scope", Tables),
    // schedule: whoever waits for another to go first is not looked at when that one has changed.
    ("those behind unseen", Tables),
    // schedule: a sync begins though one that goes before it has not ended well.
    ("those that go first are not waited for", Tables),
    // schedule: only a sync with itself does not overlap, not two that share a replica and a collection.
    ("overlap by name only", Tables),
    // schedule: who asks while a run is on is forgotten.
    ("request lost while running", Tables),
    // schedule: a request skips a server's own wait.
    ("request passes retry-after", Tables),
    // schedule: a run begins and goes on outside of its window.
    ("window of time not looked at", Tables),
    // run: `--accept-deletes` is heeded by a later run, for deletes that nobody has seen.
    ("a word about deletes outlives their listing", Tables),
    // schedule: after the clock was set back, waits last until the old time comes again.
    ("clock set back is waited out", Tables),
    // schedule: what is known of a remote is another, and the syncs with it are not looked at again.
    ("remote changed unseen", Tables),
    // store: a cursor of another instance is taken for one of this.
    ("cursor without instance", Tables),
    // store: a cursor from below the highest purged seq is taken for a good one.
    ("purge without horizon", Tables),
    // store: what a record was is told from a ledger that does not reach back so far.
    ("ledger without horizon", Tables),
    // store: the cursors of a first reading are not told from cursors that missed tombstones.
    ("first reading unmarked", Tables),
    // store: who had a record does not hear of its end if it came back in between.
    ("end hidden by a return", Tables),
    // store: tombstones are thrown away before their time.
    ("tombstone purged at once", Tables),
    // store: the first change after "the same" leaves no agreed copy.
    ("agreed copy not left", Tables),
    // store: what an app's own copy has is not remembered when somebody else changes the record.
    ("agreed copy left for remotes alone", Simulation),
    // reference: what a remote shows is taken for ids of records as it is.
    ("reference taken as it comes", Simulation),
    // reference: a child is sent whatever the remote has in the place of its parent.
    ("child does not wait", Simulation),
    // family: a record of which another remote names something that it alone knows is not sent at all.
    ("waits for what another remote knows", Simulation),
    // store: a child whose parent came after it keeps the remote's id.
    ("pending reference stays pending", Simulation),
    // store: what was agreed while a parent was not known is another value than the truth, once it is.
    ("pending reference agreed on for ever", Tables),
    // store: children of a record that was made anew at the remote go on naming what was deleted there.
    ("reference to a former id stays", Simulation),
    // store: new records that refer to each other in a circle wait for each other.
    ("circle waits for itself", Simulation),
    // store: a parent is deleted at the remote while its children there name it.
    ("parent deleted before its children", Tables),
    // store: who refers to a record that is deleted goes on doing so.
    ("children left when their parent is deleted", Tables),
    // store: who refers to a record that is deleted lives on, where it is to go with it.
    ("children lose the reference where they should go", Simulation),
    // store: who refers to a record that is deleted is deleted too, where nobody said so.
    ("children go where they should lose the reference", Simulation),
    // store: who refers to a record that left here alone waits for it for ever.
    ("children wait for what was forgotten", Tables),
    // store: a listing settles a doubt that is younger than it, because the first request was older.
    ("doubt as old as its first request", Tables),
    // store: a row that names what is deleted here brings the reference back.
    ("reference to a deleted record comes back", Tables),
    // session: an app with a copy, which does not know of a delete yet, refers to what is deleted, and its record is sent nowhere.
    ("what an app refers to may be deleted", Tables),
    // store: a child whose parent was deleted here before it was known under its id there refers to it all the same.
    ("pending reference to a deleted record is resolved", Tables),
    // store: a row that is a record by its identity, and names itself, keeps the remote's id in that place.
    ("who names itself waits for itself", Simulation),
    // store: a delete waits for a create of which only a person can say what became of it.
    ("deletes wait for a create in doubt", Tables),
    // store: a delete waits for a change of a child that was looked for and never seen.
    ("deletes wait for what was not seen", Simulation),
    // store: a delete waits for a record that left here alone and sends nothing.
    ("deletes wait for what was forgotten", Tables),
    // family: a child that was edited here, and not sent, is deleted with the parent that the remote deleted, without a word.
    ("edited child goes with its parent", Tables),
    // reference: that a reference went with what it named is an edit, which a delete there clashes with.
    ("reference let go is an edit", Tables),
    // run: children whose parent was sent are left for the next run.
    ("who waited is left for the next run", Simulation),
    // store: several records that have the identity of a row are told apart by what counts for less.
    ("ambiguous identity falls through", Tables),
    // session: what an app made of a record that it took is taken for an edit of it.
    ("pair rule off", Tables),
    // session: what an app was shown is not noted, as if it could not have it.
    ("shown not noted", Tables),
    // session: whoever joined and does not push is waited for beyond the deadline.
    ("joined without a deadline", Tables),
    // session: what an app did not push is deleted, however much it is.
    ("absence without the guard", Tables),
    // session: what waits for a decision about a copy is closed when the copy is forgotten, with the app's value.
    ("decisions forgotten with a copy", Tables),
    // session: of a copy that is forgotten the links stay, and its app's next session takes them for what the app has.
    ("copy half forgotten", Tables),
    // session: a copy is forgotten while a session is of it, with what was pushed.
    ("copy forgotten under a session", Tables),
    // pending: a record that is marked not for upload is listed as sent next.
    ("deferred listed as pending", Tables),
    // pending: what was sent and not answered is taken back, though the remote may have it.
    ("rolled back in flight", Tables),
    // store: a record that is marked not for upload is sent.
    ("deferred change sent", Simulation),
    // store: a record that was forgotten here is deleted at its remote.
    ("forgotten is deleted there", Simulation),
    // store: a record that was forgotten here is back with the next listing, though nothing changed there.
    ("forgotten comes back unchanged", Simulation),
    // filter: what does not fit a sync's filter is taken like everything else.
    ("row outside the filter taken", Simulation),
    // store: an op's answer is not kept.
    ("op forgotten", Tables),
    // session: what left an app's filter, and so is not in its copy any more, was deleted there.
    ("what left a filter is deleted", Tables),
    // session: what an app was told to leave, and dropped before it could say so, was deleted there once it fits again.
    ("a leave that was shown is a delete", Tables),
    // session: the copy of an app with a filter takes the place of the truth, also of what it was never to have.
    ("what a filter hides is replaced", Tables),
    // session: a copy takes the place of the truth, also of what the filter that it was made under hid from it.
    ("what an older filter hid is replaced", Tables),
    // session: what the app has stays under another filter.
    ("a changed filter is not looked at", Tables),
    // store: a create whose answer was lost, of a record that has nothing to be known by, is never found.
    ("a create without its identity is never found", Tables),
    // session: what an app pushed in one session clashes with what it pushes in the next.
    ("an app clashes with itself", Tables),
    // schedule: what was due while the daemon was not there is begun at once.
    ("hosts that start together knock together", Tables),
    // store: what proves to be one stays two.
    ("twins stay two", Tables),
    // store: of two that are one the older goes.
    ("the younger one stays", Tables),
    // run: what a program did not tell is gone.
    ("not told is gone", Tables),
    // store: two records of one remote are made one.
    ("two of one remote are one", Tables),
    // run: pages that an earlier run read count as read by the last.
    ("freshness by the last run", Tables),
    // budget: requests that are under way are not taken off what is left.
    ("requests under way cost nothing", Tables),
    // budget: background work goes on where the rest is kept for people.
    ("background takes the reserve", Tables),
    // vdir: files that are gone are deletes, however many they are.
    ("missing files are deletes", Tables),
    // vdir: files that go one after the other are counted at one look alone.
    ("deletes are counted at one look", Tables),
    // vdir: what comes is written over an edit that was made after the look at its file.
    ("an edit is written over", Tables),
    // vdir: an edit that a kill left beside its file is thrown away.
    ("what a kill left is no edit", Tables),
    // vdir: a file that was renamed is the end of one record, and another one.
    ("renamed is deleted and new", Tables),
    // vdir: a file that changed between the look at it and its turn is not spoken of where silence is a delete.
    ("silence about what changed meanwhile", Tables),
];

/// The names of those that this finder has to find.
pub fn found_by(finder: Finder) -> impl Iterator<Item = &'static str> {
    ALL.iter().filter(move |(_, by)| *by == finder).map(|(name, _)| *name)
}

/// Whether this bug is planted.
#[cfg(not(feature = "planted"))]
#[must_use]
#[inline(always)]
pub const fn is(_name: &str) -> bool {
    false
}

#[cfg(feature = "planted")]
pub use on::{is, set, set_here};

#[cfg(feature = "planted")]
mod on {
    use std::{
        cell::Cell,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use super::ALL;

    /// Its place in `ALL` plus one; 0: none. Of the whole process, for tests that have the process to themselves.
    static EVERYWHERE: AtomicUsize = AtomicUsize::new(0);

    thread_local! {
        /// Of this thread, for tests that run beside others.
        static HERE: Cell<usize> = const { Cell::new(0) };
    }

    /// Whether this bug is planted, here or everywhere.
    ///
    /// # Panics
    /// On a name that `ALL` does not have.
    #[must_use]
    pub fn is(name: &str) -> bool {
        let place = place(Some(name));
        HERE.get() == place || EVERYWHERE.load(Ordering::Relaxed) == place
    }

    /// Plants one bug in the whole process, in place of the one before; none: all is well again.
    pub fn set(name: Option<&str>) {
        EVERYWHERE.store(place(name), Ordering::Relaxed);
    }

    /// Plants one bug in this thread, in place of the one before; none: all is well again.
    pub fn set_here(name: Option<&str>) {
        HERE.set(place(name));
    }

    fn place(name: Option<&str>) -> usize {
        name.map_or(0, |name| 1 + ALL.iter().position(|(one, _)| *one == name).expect("a planted bug stands in planted::ALL"))
    }
}
