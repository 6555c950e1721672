//! Owns: what a collection lists: what changed since, or all of it; and the members, some at a time. Must never know: what becomes of
//! the rows.
//!
//! What is listed is told at once, by names alone, and then fetched a page at a time, in the order of ids: so a page has an address that
//! stays good, also where the listing is asked for anew.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use mingle_core::{
    limits, planted,
    replica::{Failure, From, Packed, Page, RemoteError, Row},
    time::Timestamp,
};

use super::{
    Dav, Fetched, answers,
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
    /// By id: the address of a member as the server writes it; none: it is gone.
    members: BTreeMap<String, Option<String>>,
    token: String,
    server_time: Option<Timestamp>,
}

/// What came of asking for what changed.
enum Changes {
    All(Snapshot),
    /// The server does not tell, or not to us.
    Untold,
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
        let after = page.map_or(Bound::Unbounded, Bound::Excluded);
        let mut left = snapshot.members.range::<str, _>((after, Bound::Unbounded));
        let some: Vec<Listed<'_>> = left.by_ref().take(rows.clamp(1, limits::DAV_PAGE_ROWS)).collect();
        let next = left.next().and_then(|_| some.last().map(|(id, _)| (*id).clone()));
        let (rows, taken) = self.rows(place, &some).await?;
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
    async fn listed(&self, place: &Place, from: &From) -> Result<Snapshot, RemoteError> {
        let refused = |what: &str| {
            self.refused.store(true, Relaxed);
            RemoteError::new(Failure::CheckpointRefused, format!("{} {what}", http::place(&place.url)))
        };
        // What it said when it was found is as good as asked for now, before anything was listed.
        let just_found = !self.listed.swap(true, Relaxed);
        let since = match from {
            From::Start => None,
            From::Token(token) => match (token.strip_prefix(TOLD), token.strip_prefix(COUNTED)) {
                (Some(known), _) if just_found && place.token.as_deref() == Some(known) => return Ok(nothing(place, token)),
                (Some(known), _) => Some(known),
                (None, Some(known)) => {
                    // Nothing but its mark can tell that nothing changed.
                    let place = self.as_now(place).await?;
                    let (hash, mark) = known.split_once(' ').map_or((known, None), |(hash, mark)| (hash, Some(mark)));
                    if just_found && mark.is_some() && place.mark.as_deref() == mark {
                        return Ok(nothing(place, token));
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
            match self.changes(place, since).await? {
                Changes::All(snapshot) if since.is_some() || self.takes(place, &snapshot).await? => {
                    return Ok(Snapshot { from: from.clone(), ..snapshot });
                }
                Changes::Untold if since.is_some() => return Err(refused("no longer knows where we were")),
                Changes::All(_) | Changes::Untold => {}
            }
        }
        self.counted(self.as_now(place).await?).await
    }

    /// Whether the server takes the position that it gives. Some refuse each of their own: they would be listed whole at every run. It is tried
    /// where one was refused.
    async fn takes(&self, place: &Place, given: &Snapshot) -> Result<bool, RemoteError> {
        if !self.refused.load(Relaxed) {
            return Ok(true);
        }
        let token = given.token.strip_prefix(TOLD);
        Ok(matches!(self.changes(place, token).await?, Changes::All(_)))
    }

    /// Asks the server for what changed, until it says that this was all.
    async fn changes(&self, place: &Place, since: Option<&str>) -> Result<Changes, RemoteError> {
        let mut members = BTreeMap::new();
        let (mut at, mut server_time) = (since.map(str::to_owned), None);
        for _ in 0..limits::DAV_ROUNDS_MAX {
            let body = xml::ask_changes(at.as_deref());
            let mut reply = self.ask(self.question("REPORT", place.url.clone(), "0", body.clone())?).await?;
            // Some break over a token that they do not know; others break now and then.
            if reply.status.as_u16() == 500 && at.is_some() {
                reply = self.ask(self.question("REPORT", place.url.clone(), "0", body)?).await?;
            }
            server_time = server_time.or(reply.server_time());
            // Servers refuse a token, or the question, in many ways; only what says something else is something else.
            let status = reply.status.as_u16();
            if matches!(status, 400 | 402..=428 | 430..=501 | 505) {
                return Ok(Changes::Untold);
            }
            if let Some(trouble) = reply.trouble((self.means.now)()) {
                return Err(trouble);
            }
            let taken = self.means.http.larder.place(reply.body.len()).await;
            let told = answers(&reply).map_err(whole)?;
            drop((taken, reply.body));
            // Who tells no place to go on from tells no changes.
            let Some(token) = told.token.clone() else { return Ok(Changes::Untold) };
            let more = gather(place, told, &mut members)?;
            if !more {
                let token = format!("{TOLD}{token}");
                return Ok(Changes::All(Snapshot { from: From::Start, members, token, server_time }));
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
    async fn counted(&self, place: &Place) -> Result<Snapshot, RemoteError> {
        let reply = self.ask(self.question("PROPFIND", place.url.clone(), "1", xml::ask_revisions())?).await?;
        if let Some(trouble) = reply.trouble((self.means.now)()) {
            return Err(trouble);
        }
        let server_time = reply.server_time();
        let taken = self.means.http.larder.place(reply.body.len()).await;
        let told = answers(&reply).map_err(whole)?;
        drop((taken, reply.body));
        let mut revisions: Vec<String> = Vec::new();
        for one in told.told.iter().filter(|one| id_in(place, &one.href).is_some()) {
            revisions.push(format!("{} {}", one.href, one.etag.as_deref().unwrap_or_default()));
        }
        revisions.sort_unstable();
        let hash = blake3::hash(revisions.join("\n").as_bytes()).to_hex();
        let mut members = BTreeMap::new();
        if gather(place, told, &mut members)? {
            let what = format!("{} lists less than all it has", http::place(&place.url));
            return Err(RemoteError::new(Failure::Nonsense, what).hint("the collection is larger than the server lists at once"));
        }
        // A mark from before it was listed: what changed meanwhile has another one.
        let mark = place.mark.as_deref().map(|mark| format!(" {mark}")).unwrap_or_default();
        Ok(Snapshot { from: From::Start, members, token: format!("{COUNTED}{hash}{mark}"), server_time })
    }

    /// What these members hold now.
    async fn rows(&self, place: &Arc<Place>, some: &[Listed<'_>]) -> Result<(Vec<Packed>, larder::Place), RemoteError> {
        let there: Vec<Listed<'_>> = some.iter().filter(|(_, href)| href.is_some()).copied().collect();
        let (mut held, mut taken) = (BTreeMap::new(), larder::Place::default());
        // Where one member spoils the answer (a control character is no XML), it is found by halves, and then asked for by itself.
        let mut parts = vec![&there[..]];
        while let Some(part) = parts.pop().filter(|part| !part.is_empty()) {
            match self.members(place, part).await? {
                Some((told, room)) => {
                    held.extend(told);
                    taken = if part.len() == there.len() { room } else { taken };
                }
                None if part.len() > 1 => {
                    let (one, other) = part.split_at(part.len() / 2);
                    parts.extend([other, one]);
                }
                None => {}
            }
        }
        let mut rows = Vec::with_capacity(some.len());
        for (id, href) in some {
            let row = match (href, held.remove(*id)) {
                (None, _) => gone(id),
                (Some(_), Some(row)) => row,
                // It was not told of: it is asked for by itself.
                (Some(_), None) => match self.fetched(place, id).await? {
                    Some(found) => Packed::of(&found.row(place.holds, id)),
                    None => gone(id),
                },
            };
            rows.push(row);
        }
        taken.shrink(rows.iter().map(Packed::bytes).sum());
        Ok((rows, taken))
    }

    /// What these members are said to hold, in one answer; none: it is an answer of several that cannot be read, or is refused over some.
    async fn members(&self, place: &Arc<Place>, some: &[Listed<'_>]) -> Result<Option<Held>, RemoteError> {
        let body = xml::ask_members(place.holds, some.iter().filter_map(|(_, href)| href.as_deref()));
        let reply = self.ask(self.question("REPORT", place.url.clone(), "1", body)?).await?;
        if let Some(trouble) = reply.trouble((self.means.now)()) {
            // Some refuse all over one that went meanwhile, or that they cannot read.
            return if self.is_of_members(place, &reply).await { Ok(None) } else { Err(trouble) };
        }
        let taken = self.means.http.larder.place(reply.body.len()).await;
        let several = reply.status.as_u16() == 207;
        match read_aside(Arc::clone(place), reply).await {
            Ok(held) => Ok(Some((held, taken))),
            Err(error) if several && error.kind == Failure::Nonsense => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A listing that shows nothing, and stays where it was.
fn nothing(place: &Place, token: &str) -> Snapshot {
    let from = From::Token(token.to_owned());
    Snapshot { from, members: BTreeMap::new(), token: token.to_owned(), server_time: place.server_time }
}

/// What members hold, by id, and the room that it takes.
type Held = (BTreeMap<String, Packed>, larder::Place);

/// An id, and the address of what it names; none: it is gone.
type Listed<'a> = (&'a String, &'a Option<String>);

/// Reads what members hold; a long answer beside the run.
async fn read_aside(place: Arc<Place>, reply: Reply) -> Result<BTreeMap<String, Packed>, RemoteError> {
    reading(reply.body.len(), move || read_members(&place, &reply)).await
}

fn read_members(place: &Place, reply: &Reply) -> Result<BTreeMap<String, Packed>, RemoteError> {
    let mut held = BTreeMap::new();
    for told in answers(reply)?.told {
        let Some(id) = id_in(place, &told.href) else { continue };
        let text = match (told.status, told.data) {
            (Some(404 | 410), _) => None,
            // The lines of a text end with CR and LF; XML leaves LF of it.
            (_, Some(text)) => Some(Ok(text.replace("\r\n", "\n").replace('\n', "\r\n"))),
            (Some(status), None) => Some(Err(format!("the server does not show it (HTTP {status})"))),
            (None, None) => continue,
        };
        let row =
            text.map(|text| Packed::of(&Fetched { revision: told.etag, modified: told.modified, text }.row(place.holds, &id)));
        held.insert(id.clone(), row.unwrap_or_else(|| gone(&id)));
    }
    Ok(held)
}

fn gone(id: &str) -> Packed {
    Packed::of(&Row::gone(id.into()))
}

/// Notes members, the last word of each; whether there is more than was told (RFC 6578, 3.6).
///
/// One that is told of elsewhere would be taken for none, and those that we know for gone: then nothing of the answer is used.
fn gather(place: &Place, told: Answers, members: &mut BTreeMap<String, Option<String>>) -> Result<bool, RemoteError> {
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
            members.insert(id, (!gone).then_some(one.href));
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
fn id_in(place: &Place, href: &str) -> Option<String> {
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
        let place = Place {
            url,
            segments,
            holds: mingle_text::Holds::Cards,
            tells_changes: true,
            token: None,
            mark: None,
            server_time: None,
            found_before: false,
        };
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
        let noted: Vec<_> = members.iter().map(|(id, href)| (id.as_str(), href.as_deref())).collect();
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
