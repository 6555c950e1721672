//! Owns: what a collection lists: what changed since, or all of it, and its pages. Must never know: what a member holds; what becomes of the
//! rows.
//!
//! What is listed is told at once: the names, and what they hold where one answer shows it. It is given a page at a time, in the order of ids: so
//! a page has an address that stays good, also where the listing is asked for anew.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use mingle_core::{
    limits, planted,
    replica::{Failure, From, Page, RemoteError},
    time::Timestamp,
};

use super::{
    Dav, Fetched, answers,
    members::{Listed, shown},
    name::{member, segments},
    place::Place,
    xml::{self, Answers},
};
use crate::remotes::{
    aside::reading,
    http::{self, Reply},
    larder,
};

/// What a token of the server begins with in ours.
const TOLD: &str = "sync ";
/// And one that stands for the revisions of all members: a hash, and behind a space what the server says is another one whenever anything
/// changed.
const COUNTED: &str = "etags ";

/// What is listed from somewhere.
pub(super) struct Snapshot {
    from: From,
    /// By id.
    pub(super) members: BTreeMap<String, Member>,
    token: String,
    server_time: Option<Timestamp>,
    /// The place of what members are shown to hold.
    room: Option<larder::Whole>,
}

/// One that is listed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// Its address, as the server writes it; none: it is gone.
    pub(super) href: Option<String>,
    /// What it holds, where that was shown too.
    pub(super) shown: Option<Fetched>,
}

/// What came of asking for what changed.
enum Changes {
    All(Snapshot),
    /// The server does not tell, or not to us.
    Untold {
        /// It said that it is the place to go on from.
        is_over: bool,
    },
}

impl Dav {
    /// One page, and the place that it takes. `page` is the last id of the one before.
    pub(super) async fn page(&self, from: &From, page: Option<&str>, rows: usize) -> Result<(Page, larder::Place), RemoteError> {
        let place = self.place().await?;
        let mut held = self.snapshot.lock().await;
        let kept = held.take().filter(|snapshot| page.is_some() && snapshot.from == *from);
        let snapshot = match kept {
            Some(snapshot) => snapshot,
            None => self.listed(place, from).await?,
        };
        let mut snapshot = snapshot;
        let after = page.map_or(Bound::Unbounded, Bound::Excluded);
        let mut left = snapshot.members.range_mut::<str, _>((after, Bound::Unbounded));
        let take =
            |(id, member): (&String, &mut Member)| (id.clone(), Member { href: member.href.clone(), shown: member.shown.take() });
        let some: Vec<Listed> = left.by_ref().take(rows.clamp(1, limits::DAV_PAGE_ROWS)).map(take).collect();
        let next = left.next().and_then(|_| some.last().map(|(id, _)| id.clone()));
        let (rows, taken) = self.rows(place, some).await?;
        let taken = if next.is_none() { taken.with(snapshot.room.take()) } else { taken };
        let page = Page {
            rows,
            next,
            token: Some(snapshot.token.clone()),
            server_time: snapshot.server_time,
            total: Some(snapshot.members.len() as u64),
            ..Page::default()
        };
        *held = Some(snapshot);
        Ok((page, taken))
    }

    /// What is listed from here.
    async fn listed(&self, place: &Arc<Place>, from: &From) -> Result<Snapshot, RemoteError> {
        let refused = |what: &str| {
            self.refused.store(true, Relaxed);
            RemoteError::new(Failure::CheckpointRefused, format!("{} {what}", http::place(&place.url)))
        };
        // The mark is as good as asked for now, before anything was listed.
        let is_first = !self.listed.swap(true, Relaxed);
        let since = match from {
            From::Start => None,
            From::Token(token) => match (token.strip_prefix(TOLD), token.strip_prefix(COUNTED)) {
                (Some(known), _) => Some(known),
                (None, Some(known)) => {
                    // Nothing but its mark can tell that nothing changed.
                    let (mark, server_time) = self.mark(place).await?;
                    let (hash, known) = known.split_once(' ').map_or((known, None), |(hash, mark)| (hash, Some(mark)));
                    if is_first && known.is_some() && mark.as_deref() == known {
                        let (from, token, server_time) = (from.clone(), token.clone(), *server_time);
                        return Ok(Snapshot { from, members: BTreeMap::new(), token, server_time, room: None });
                    }
                    // All that can be told without the server's help is that nothing has changed.
                    let all = self.counted(place).await?;
                    return if all.token.strip_prefix(COUNTED).and_then(|now| now.split(' ').next()) == Some(hash) {
                        Ok(Snapshot { members: BTreeMap::new(), from: from.clone(), ..all })
                    } else {
                        Err(refused("does not tell what changed"))
                    };
                }
                (None, None) => return Err(refused("never gave such a position")),
            },
            From::Stamp(_) => return Err(refused("lists by no stamp")),
        };
        if since.is_some() || place.tells_changes {
            // Where it may not take its own position, that is tried before what members hold travels.
            let of_names = since.is_none() && self.refused.load(Relaxed);
            let told = if of_names { self.told(place, None, false).await? } else { self.changes(place, since).await? };
            match told {
                Changes::All(snapshot) if since.is_some() => return Ok(Snapshot { from: from.clone(), ..snapshot }),
                Changes::All(snapshot) if self.takes(place, &snapshot).await? => return Ok(self.shown(place, snapshot).await),
                Changes::Untold { .. } if since.is_some() => return Err(refused("no longer knows where we were")),
                Changes::All(_) | Changes::Untold { .. } => {}
            }
        }
        let all = self.counted(place).await?;
        Ok(self.shown(place, all).await)
    }

    /// Whether the server takes the position that it gives. Some refuse each of their own: they would be listed whole at every run. It is tried
    /// where one was refused.
    async fn takes(&self, place: &Arc<Place>, given: &Snapshot) -> Result<bool, RemoteError> {
        if !self.refused.load(Relaxed) {
            return Ok(true);
        }
        let token = given.token.strip_prefix(TOLD);
        Ok(matches!(self.told(place, token, false).await?, Changes::All(_)))
    }

    /// Asks the server for what changed, and for what that holds, where there is room for it: many show both in one answer.
    async fn changes(&self, place: &Arc<Place>, since: Option<&str>) -> Result<Changes, RemoteError> {
        let room = if place.lists_names.load(Relaxed) { None } else { self.means.http.larder.whole() };
        // What changed since is seldom much, and then needs no place.
        if place.lists_names.load(Relaxed) || (room.is_none() && since.is_none()) {
            return self.told(place, since, false).await;
        }
        // What it does not take, or cannot say (it is no XML, or too much), it may take or say of names.
        let is_learnt = match self.told(place, since, true).await {
            Ok(Changes::All(mut snapshot)) => {
                let bytes = |member: &Member| member.shown.as_ref().and_then(|one| one.text.as_ref().ok()).map_or(0, String::len);
                let live = snapshot.members.values().filter(|member| member.href.is_some()).count();
                let shown: usize = snapshot.members.values().map(bytes).sum();
                if live > 1 && shown == 0 {
                    place.lists_names.store(true, Relaxed);
                }
                // One that says of each member that it is not there may mean what it holds.
                if since.is_some() || live > 0 || snapshot.members.is_empty() {
                    if room.is_none() && shown > limits::BODY_BYTES_SMALL {
                        snapshot.members.values_mut().for_each(|member| member.shown = None);
                    }
                    snapshot.room = room;
                    return Ok(Changes::All(snapshot));
                }
                true
            }
            Ok(untold @ Changes::Untold { is_over: true }) => return Ok(untold),
            Err(error) if is_about_us(&error) => return Err(error),
            Ok(Changes::Untold { .. }) => true,
            // A first listing may be too long, and what changes in a day is not.
            Err(_) => false,
        };
        drop(room);
        let told = self.told(place, since, false).await?;
        if is_learnt && matches!(told, Changes::All(_)) {
            place.lists_names.store(true, Relaxed);
        }
        Ok(told)
    }

    /// Asks the server for what changed, until it says that this was all.
    async fn told(&self, place: &Arc<Place>, since: Option<&str>, shows: bool) -> Result<Changes, RemoteError> {
        let mut members = BTreeMap::new();
        let (mut at, mut server_time, mut shown) = (since.map(str::to_owned), None, 0);
        for _ in 0..limits::DAV_ROUNDS_MAX {
            let shows = (shows && shown < limits::DAV_SHOWN_BYTES_MAX).then_some(place.holds);
            let body = xml::ask_changes(at.as_deref(), shows);
            let mut reply = self.ask(self.question("REPORT", place.url.clone(), "0", body.clone())?).await?;
            // Some break over a token that they do not know; others break now and then.
            if reply.status.as_u16() == 500 && at.is_some() {
                reply = self.ask(self.question("REPORT", place.url.clone(), "0", body)?).await?;
            }
            server_time = server_time.or(reply.server_time());
            // Servers refuse a token, or the question, in many ways; only what says something else is something else.
            let status = reply.status.as_u16();
            if matches!(status, 400 | 402..=428 | 430..=501 | 505) {
                let refusal = std::str::from_utf8(&reply.body).ok().and_then(xml::refusal);
                let is_over = refusal.is_some_and(|refusal| refusal.name.as_deref() == Some("valid-sync-token"));
                return Ok(Changes::Untold { is_over });
            }
            if let Some(trouble) = reply.trouble((self.means.now)()) {
                return Err(trouble);
            }
            shown += reply.body.len();
            let read = |place: &Place, told: Answers| {
                let (token, mut some) = (told.token.clone(), BTreeMap::new());
                let more = gather(place, told, &mut some)?;
                Ok((token, some, more))
            };
            let (token, some, more) = self.heard(place, reply, read).await?;
            members.extend(some);
            // Who tells no place to go on from tells no changes.
            let Some(token) = token else { return Ok(Changes::Untold { is_over: false }) };
            if !more {
                let token = format!("{TOLD}{token}");
                return Ok(Changes::All(Snapshot { from: From::Start, members, token, server_time, room: None }));
            }
            if at.as_ref() == Some(&token) {
                break;
            }
            at = Some(token);
        }
        let what = format!("{} says again and again that there is more, and does not get on", http::place(&place.url));
        Err(RemoteError::new(Failure::Nonsense, what))
    }

    /// All members, where the server does not tell what changed: a token of ours stands for their revisions.
    async fn counted(&self, place: &Arc<Place>) -> Result<Snapshot, RemoteError> {
        // A mark from before it was listed: what changed meanwhile has another one.
        let mark = self.mark(place).await?.0.as_deref().map(|mark| format!(" {mark}")).unwrap_or_default();
        let reply = self.ask(self.question("PROPFIND", place.url.clone(), "1", xml::ask_revisions())?).await?;
        if let Some(trouble) = reply.trouble((self.means.now)()) {
            return Err(trouble);
        }
        let server_time = reply.server_time();
        let read = |place: &Place, told: Answers| {
            let there = told.told.iter().filter(|one| id_in(place, &one.href).is_some());
            let of = |one: &xml::Told| format!("{} {}", one.href, one.etag.as_deref().unwrap_or_default());
            let mut revisions: Vec<String> = there.map(of).collect();
            revisions.sort_unstable();
            let hash = blake3::hash(revisions.join("\n").as_bytes()).to_hex();
            let mut members = BTreeMap::new();
            let more = gather(place, told, &mut members)?;
            Ok((hash, members, more))
        };
        let (hash, members, more) = self.heard(place, reply, read).await?;
        if more {
            let what = format!("{} lists less than all it has", http::place(&place.url));
            return Err(RemoteError::new(Failure::Nonsense, what).hint("the collection is larger than the server lists at once"));
        }
        Ok(Snapshot { from: From::Start, members, token: format!("{COUNTED}{hash}{mark}"), server_time, room: None })
    }

    /// Reads what is listed; a long answer beside the run.
    async fn heard<T: Send + 'static>(
        &self,
        place: &Arc<Place>,
        reply: Reply,
        read: impl FnOnce(&Place, Answers) -> Result<T, RemoteError> + Send + 'static,
    ) -> Result<T, RemoteError> {
        let taken = self.means.http.larder.place(reply.body.len()).await;
        let place = Arc::clone(place);
        let heard = reading(reply.body.len(), move || read(&place, answers(&reply)?)).await.map_err(whole);
        drop(taken);
        heard
    }

    /// The same with what members hold, as far as one question brings it, where they do not fit on one page and nothing is shown yet. What it does
    /// not show (many show no more than so many) is asked for by name, a page at a time, as are all where it comes to nothing.
    async fn shown(&self, place: &Arc<Place>, mut all: Snapshot) -> Snapshot {
        let is_long = all.members.len() > limits::DAV_PAGE_ROWS;
        if !is_long || all.members.values().any(|member| member.shown.is_some()) || place.shows_some.load(Relaxed) {
            return all;
        }
        // What came without anything shown needs no place.
        let Some(room) = all.room.take().or_else(|| self.means.http.larder.whole()) else { return all };
        match self.all_members(place).await {
            Ok(shown) => {
                for (id, fetched) in shown {
                    if let Some(member) = all.members.get_mut(&id).filter(|member| member.href.is_some()) {
                        member.shown = Some(fetched);
                    }
                }
                all.room = Some(room);
            }
            Err(error) if !is_about_us(&error) => place.shows_some.store(true, Relaxed),
            // Who asks for members by their names meets it again, or it is over.
            Err(_) => {}
        }
        all
    }
}

/// Whether an error says nothing of what was asked.
pub(super) fn is_about_us(error: &RemoteError) -> bool {
    use Failure::{Budget, Denied, NeedsLogin, Offline, Stopped, Throttled};
    matches!(error.kind, Offline | Throttled(_) | Budget(_) | NeedsLogin | Denied | Stopped)
}

/// Notes members, the last word of each; whether there is more than was told (RFC 6578, 3.6).
///
/// One that is told of elsewhere would be taken for none, and those that we know for gone: then nothing of the answer is used.
fn gather(place: &Place, told: Answers, members: &mut BTreeMap<String, Member>) -> Result<bool, RemoteError> {
    let mut more = false;
    for one in told.told {
        if !is_within(place, &one.href) {
            let what = format!("{} tells of {}, which is not in it", http::place(&place.url), http::words(&one.href));
            return Err(RemoteError::new(Failure::Nonsense, what).hint(
                "the server knows itself under another address, perhaps behind a proxy: set the one that it names as the url",
            ));
        }
        if one.status == Some(507) {
            more = !planted::is("a cut listing is taken for whole");
        } else if let Some(id) = id_in(place, &one.href) {
            let gone = matches!(one.status, Some(404 | 410));
            let shown = (!gone).then(|| shown(place.holds, &one)).flatten();
            members.insert(id, Member { href: (!gone).then_some(one.href), shown });
        }
    }
    Ok(more)
}

/// Whether this is the address of the collection or of something below it.
fn is_within(place: &Place, href: &str) -> bool {
    // A name that is no text names nothing that we could ask for; where it lies is told by what stands before it.
    let url = place.url.join(href).ok();
    let above = url
        .as_ref()
        .map(|url| url.path().split('/').filter(|part| !part.is_empty()).take(place.segments.len()).collect::<Vec<_>>());
    let above = above.and_then(|parts| segments(&place.url.join(&format!("/{}", parts.join("/"))).ok()?));
    above.is_some_and(|above| above == place.segments)
}

/// The id of the member with this address; none: it is the collection itself, or no member.
pub(super) fn id_in(place: &Place, href: &str) -> Option<String> {
    let url = place.url.join(href).ok()?;
    if segments(&url).is_some_and(|segments| segments == place.segments) {
        return None;
    }
    member(&place.segments, &url).map(|segment| mingle_text::name::id_of(&segment, place.holds.ending()))
}

/// Asked for fewer rows a listing of names would be as long.
fn whole(error: RemoteError) -> RemoteError {
    let kind = if error.kind == Failure::TooLarge { Failure::Nonsense } else { error.kind };
    RemoteError { kind, ..error }
}

#[cfg(test)]
mod tests {
    use reqwest::Url;

    use super::*;

    #[test]
    fn what_is_told_is_noted_by_id_and_that_there_is_more_is_seen() {
        let url = Url::parse("http://localhost/me/book/").unwrap();
        let segments = segments(&url).unwrap();
        let (lists_names, shows_some) = Default::default();
        let holds = mingle_text::Holds::Cards;
        let place = Place { url, segments, holds, tells_changes: true, lists_names, shows_some };
        let one = |href: &str, status: Option<u16>| xml::Told { href: href.into(), status, ..xml::Told::default() };
        let mut members = BTreeMap::new();
        let first = vec![
            one("/me/book/", None),
            one("/me/book/a.vcf", None),
            one("http://elsewhere/me/book/b%20b.vcf", None),
            one("/me/book/inner/", None),
            one("/me/book/d.vcf", Some(404)),
        ];
        assert_eq!(gather(&place, Answers { told: first, token: None }, &mut members), Ok(false));
        let cut = vec![one("/me/book/a.vcf", Some(404)), one("/me/book/", Some(507)), one("/me/book/e.vcf", Some(200))];
        assert_eq!(gather(&place, Answers { told: cut, token: None }, &mut members), Ok(true), "there is more");
        let noted: Vec<_> = members.iter().map(|(id, member)| (id.as_str(), member.href.as_deref())).collect();
        let expect =
            [("a", None), ("b b", Some("http://elsewhere/me/book/b%20b.vcf")), ("d", None), ("e", Some("/me/book/e.vcf"))];
        assert_eq!(noted, expect);
        // As through a proxy that the server knows nothing of: all it has would be taken for gone.
        for href in ["/other/me/book/c.vcf", "/me/", "/book/c.vcf"] {
            let told = Answers { told: vec![one(href, None)], token: None };
            let error = gather(&place, told, &mut members).unwrap_err();
            assert!(error.kind == Failure::Nonsense && error.what.contains("not in it"), "{href}: {error}");
        }
        let odd = Answers { told: vec![one("/me/book/%FF.vcf", None), one("/me/book/inner/deep", None)], token: None };
        assert_eq!(gather(&place, odd, &mut members), Ok(false));
    }

    #[cfg(feature = "planted")]
    #[test]
    fn planted_bugs_are_found() {
        planted::set_here(Some("a cut listing is taken for whole"));
        let found = std::panic::catch_unwind(what_is_told_is_noted_by_id_and_that_there_is_more_is_seen).is_err();
        planted::set_here(None);
        assert!(found);
    }
}
