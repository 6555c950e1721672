//! Owns: the subscriptions of one connection: cursors over the feed and over the news, fed when the socket can take more. Must never
//! know: the socket, what is in a record.
//!
//! A subscription is a cursor and no queue: what it has not been told yet stays in the store, where a record that changes ten times
//! meanwhile is still one record. So memory is the same for a reader that sleeps and for one that does not.

use mingle_core::{
    ask::{Grants, News, RecordIds, Refusal, Scope, Since, Topic, Wants},
    limits::{CHANGES_PER_PAGE_BYTES_MAX, CHANGES_PER_PAGE_MAX, SUBSCRIPTIONS_MAX},
};
use mingle_proto::{
    Error, Name,
    event::{Changed, Event},
    message,
};

use super::{
    authorize::Caller,
    convert::{ChangedOut, event},
    discreet,
    door::{Door, Follows},
    pages::{Asked, PAGE_BYTES_MAX, Page, Pages},
};

/// News told in one turn, so that other subscriptions of the connection get theirs.
const NEWS_PER_TURN: usize = 64;

/// All subscriptions of a connection.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    list: Vec<Subscription>,
    last: u64,
    /// Whose turn it is: each is fed a page, then the next.
    turn: usize,
}

#[derive(Debug)]
struct Subscription {
    number: u64,
    feed: Option<Feed>,
    topics: Option<Topics>,
}

/// A cursor over the feed.
#[derive(Debug)]
pub(super) struct Feed {
    /// Everything up to here has been told.
    pub(super) seq: u64,
    /// Of another store, perhaps; the first page finds out.
    pub(super) instance: Option<String>,
    /// The collections that were named; none: all.
    pub(super) named: Option<Vec<String>>,
    /// Of these collections.
    pub(super) scope: Scope,
    /// Of these records alone, where a collection has any.
    pub(super) ids: RecordIds,
    /// With data.
    pub(super) data: bool,
    /// There may be more than was told.
    pub(super) due: bool,
    /// And so fresh, where it says.
    pub(super) wants: Option<Wants>,
    /// What it follows is known to be wanted: what it may see of it, and no more.
    pub(super) follows: Follows,
    /// The last page said that another follows, so one must, be it empty: until then the reader shows nothing.
    pub(super) told_more: bool,
}

/// A cursor over the news.
#[derive(Debug)]
pub(super) struct Topics {
    /// These.
    pub(super) wanted: Vec<Topic>,
    /// What it may hear of records.
    pub(super) grants: Grants,
    /// It listens by the socket that gives no data.
    pub(super) only_looks: bool,
    /// The name that the listener gave.
    pub(super) app: Option<String>,
    /// Everything up to here has been told.
    pub(super) number: u64,
    /// There may be more.
    pub(super) due: bool,
}

impl Subscriptions {
    /// One more; its number.
    pub(super) fn add(&mut self, feed: Option<Feed>, topics: Option<Topics>) -> Result<u64, Error> {
        if self.list.len() >= SUBSCRIPTIONS_MAX {
            let what = format!("this connection has {SUBSCRIPTIONS_MAX} subscriptions already");
            return Err(Error::new(Name::TooLarge, what).hint("name several collections in one, or open another connection"));
        }
        self.last += 1;
        self.list.push(Subscription { number: self.last, feed, topics });
        Ok(self.last)
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether any follows the feed.
    pub(super) fn follow_changes(&self) -> bool {
        self.list.iter().any(|one| one.feed.is_some())
    }

    /// Whether any follows the news.
    pub(super) fn follow_news(&self) -> bool {
        self.list.iter().any(|one| one.topics.is_some())
    }

    /// Whether any asks to be invited to sessions.
    pub(super) fn wants_invitations(&self) -> bool {
        self.list.iter().filter_map(|one| one.topics.as_ref()).any(|topics| topics.wanted.contains(&Topic::Invite))
    }

    /// The head moved.
    pub(super) fn head_moved(&mut self) {
        for feed in self.list.iter_mut().filter_map(|one| one.feed.as_mut()) {
            feed.due = true;
        }
    }

    /// There are news.
    pub(super) fn news_came(&mut self) {
        for topics in self.list.iter_mut().filter_map(|one| one.topics.as_mut()) {
            topics.due = true;
        }
    }

    /// The grants are others now. What was told under the old ones cannot be told from what is missing: everything, anew.
    pub(super) fn granted_anew(&mut self, caller: &Caller, door: &dyn Door) {
        for one in &mut self.list {
            if let Some(feed) = &mut one.feed {
                feed.scope = caller.still_readable(feed.named.as_deref());
                feed.follows = door.follows(&feed.scope, feed.wants.clone());
                (feed.seq, feed.instance, feed.due) = (0, Some(String::new()), true);
            }
            if let Some(topics) = &mut one.topics {
                topics.grants = caller.grants().clone();
            }
        }
    }

    /// The connection ends: last news still go out; of records, the app will ask again from its seq.
    pub(super) fn end(&mut self) {
        for one in &mut self.list {
            one.feed = None;
        }
        self.news_came();
    }

    /// Whether anything may be left to tell.
    pub(super) fn due(&self) -> bool {
        self.list.iter().any(Subscription::due)
    }

    /// Appends to `out` what is due, a page a turn, until nothing is or `out` has `full` bytes.
    ///
    /// # Errors
    /// When the feed cannot be read, or a message not be written: the connection must end, or the reader would wait for ever.
    pub(super) fn feed(&mut self, door: &dyn Door, pages: &Pages, out: &mut Vec<u8>, full: usize) -> Result<(), Refusal> {
        while out.len() < full {
            let len = self.list.len();
            let Some(at) = (0..len).map(|step| (self.turn + step) % len).find(|at| self.list[*at].due()) else { break };
            self.turn = (at + 1) % len;
            self.list[at].turn(door, pages, out)?;
        }
        Ok(())
    }
}

impl Subscription {
    fn due(&self) -> bool {
        self.feed.as_ref().is_some_and(|feed| feed.due) || self.topics.as_ref().is_some_and(|topics| topics.due)
    }

    fn turn(&mut self, door: &dyn Door, pages: &Pages, out: &mut Vec<u8>) -> Result<(), Refusal> {
        if let Some(topics) = self.topics.as_mut().filter(|topics| topics.due) {
            topics.tell(self.number, door, out)?;
        }
        if let Some(feed) = self.feed.as_mut().filter(|feed| feed.due) {
            feed.tell(self.number, door, pages, out)?;
        }
        Ok(())
    }
}

impl Feed {
    fn tell(&mut self, number: u64, door: &dyn Door, pages: &Pages, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let instance = self.instance.take();
        // Before anything is read: what changes from here on makes it another moment.
        let moment = door.moment();
        // Whoever is on the way through many pages, follows single records, or has to find out whose position it has, reads for itself.
        let alone = instance.is_some() || self.told_more || !self.ids.is_empty();
        let asked = Asked { moment, seq: self.seq, scope: &self.scope, data: self.data };
        if !alone && let Some(page) = pages.find(asked) {
            (self.seq, self.due) = (page.seq, false);
            return page.text.as_deref().map_or(Ok(()), |text| write(out, number, text));
        }
        let since = Since {
            seq: self.seq,
            instance,
            scope: self.scope.clone(),
            limit: CHANGES_PER_PAGE_MAX,
            bytes: CHANGES_PER_PAGE_BYTES_MAX,
            data: self.data,
            ids: self.ids.clone(),
        };
        let page = door.follow(&since)?;
        // Commits of other collections move the cursor and are nobody's business here.
        let news = !page.changes.is_empty() || page.fresh || page.more != self.told_more;
        let text = if news { Some(ChangedOut::page(&page).map_err(|error| not_written(&error))?) } else { None };
        if let Some(text) = &text {
            write(out, number, text)?;
        }
        if !alone && !page.more && !page.fresh && text.as_ref().is_none_or(|text| text.len() <= PAGE_BYTES_MAX) {
            pages.keep(asked, Page { text, seq: page.seq });
        }
        (self.seq, self.due, self.told_more) = (page.seq, page.more, page.more);
        Ok(())
    }
}

fn write(out: &mut Vec<u8>, number: u64, page: &str) -> Result<(), Refusal> {
    message::notification(out, Changed::METHOD, &ChangedOut::of(number, page)).map_err(|error| not_written(&error))
}

fn not_written(error: &serde_json::Error) -> Refusal {
    Refusal::Internal(error.to_string())
}

impl Topics {
    fn tell(&mut self, number: u64, door: &dyn Door, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let (wanted, scope) = (&self.wanted, self.grants.readable());
        let hear = |news: &News| {
            wanted.contains(&news.topic())
                && news.is_for(self.app.as_deref())
                && news.collections().iter().all(|name| scope.has(name))
        };
        let (news, upto) = door.news().after(self.number, NEWS_PER_TURN, hear);
        self.due = news.len() == NEWS_PER_TURN;
        self.number = upto;
        for one in news {
            // Where the status socket has it, the words of services are left out.
            let one = if self.only_looks { discreet::news(one) } else { one };
            message::notification(out, Event::METHOD, &event(number, one)).map_err(|error| not_written(&error))?;
        }
        Ok(())
    }
}
