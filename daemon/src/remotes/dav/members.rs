//! Owns: what members hold: shown in a listing, asked for some at a time by their names, or all at once. Must never know: why they are asked for.

use std::{collections::BTreeMap, sync::Arc};

use mingle_core::{
    limits, planted,
    replica::{Failure, Packed, RemoteError, Row},
};
use mingle_text::Holds;

use super::{
    Dav, Fetched, answers,
    listing::{Member, id_in},
    place::Place,
    xml::{self, Told},
};
use crate::remotes::{aside::reading, http::Reply, larder};

/// An id, and what is listed of it.
pub(super) type Listed = (String, Member);

/// What members hold, by id.
type Held = BTreeMap<String, Packed>;

/// What came of asking for several.
enum Part {
    /// They hold this, which takes so much room.
    Told(Held, larder::Place),
    /// It is an answer of several that cannot be read.
    Unreadable,
    /// It is refused, perhaps over some of them.
    Refused(RemoteError),
}

impl Dav {
    /// What these members hold now.
    pub(super) async fn rows(&self, place: &Arc<Place>, some: Vec<Listed>) -> Result<(Vec<Packed>, larder::Place), RemoteError> {
        let asked: Vec<(String, String)> = some
            .iter()
            .filter(|(_, one)| one.shown.is_none())
            .filter_map(|(id, one)| Some((id.clone(), one.href.clone()?)))
            .collect();
        let (mut held, mut taken, mut in_vain) = (Held::new(), larder::Place::default(), 0);
        // Where one member spoils the answer (a control character is no XML), it is found by halves, and then asked for by itself.
        let mut parts = vec![&asked[..]];
        while let Some(part) = parts.pop().filter(|part| !part.is_empty()) {
            match self.members(place, part).await? {
                Part::Told(told, room) => {
                    held.extend(told);
                    taken = if part.len() == asked.len() { room } else { taken };
                    in_vain = 0;
                }
                not => {
                    let (one, other) = part.split_at(part.len() / 2);
                    parts.extend([other, one].into_iter().filter(|half| !half.is_empty() && half.len() < part.len()));
                    in_vain += 1;
                    if in_vain < limits::DAV_HALVES_MAX {
                        continue;
                    }
                    // It is not over one of them: the server is in trouble, or answers no such question, and then each is asked for by itself.
                    match not {
                        Part::Refused(trouble) if trouble.kind == Failure::Server => return Err(trouble),
                        _ => break,
                    }
                }
            }
        }
        let ids: Vec<(String, bool)> = some.iter().map(|(id, one)| (id.clone(), one.href.is_some())).collect();
        // They lie in the place of the whole listing.
        held.extend(read_shown(place, some).await);
        let mut rows = Vec::with_capacity(ids.len());
        for (id, is_there) in ids {
            let row = match held.remove(&id) {
                Some(row) => row,
                // It was not told of: it is asked for by itself.
                None if is_there => match self.fetched(place, &id).await? {
                    Some(found) => Packed::of(&found.row(place.holds, &id)),
                    None => gone(&id),
                },
                None => gone(&id),
            };
            rows.push(row);
        }
        taken.shrink(rows.iter().map(Packed::bytes).sum());
        Ok((rows, taken))
    }

    /// What these members are said to hold, in one answer.
    async fn members(&self, place: &Arc<Place>, some: &[(String, String)]) -> Result<Part, RemoteError> {
        let body = xml::ask_members(place.holds, some.iter().map(|(_, href)| href.as_str()));
        let reply = self.ask(self.question("REPORT", place.url.clone(), "1", body)?).await?;
        if let Some(trouble) = reply.trouble((self.means.now)()) {
            // Some refuse all over one that went meanwhile, or that they cannot read.
            return if self.is_of_members(place, &reply).await { Ok(Part::Refused(trouble)) } else { Err(trouble) };
        }
        let taken = self.means.http.larder.place(reply.body.len()).await;
        let several = reply.status.as_u16() == 207;
        let of = Arc::clone(place);
        match reading(reply.body.len(), move || read_members(&of, &reply)).await {
            Ok(held) => Ok(Part::Told(held, taken)),
            Err(error) if several && error.kind == Failure::Nonsense => Ok(Part::Unreadable),
            Err(error) => Err(error),
        }
    }

    /// What all members hold, as far as the server shows it to one question; the caller has a place for it.
    pub(super) async fn all_members(&self, place: &Arc<Place>) -> Result<Vec<(String, Fetched)>, RemoteError> {
        self.texts_of(place, xml::ask_all(place.holds)).await
    }

    /// The same of these, by their ids.
    pub(super) async fn texts(&self, place: &Arc<Place>, ids: &[&str]) -> Result<Vec<(String, Fetched)>, RemoteError> {
        let hrefs: Vec<String> = ids.iter().map(|id| place.member(id).path().to_owned()).collect();
        self.texts_of(place, xml::ask_members(place.holds, hrefs.iter().map(String::as_str))).await
    }

    async fn texts_of(&self, place: &Arc<Place>, question: String) -> Result<Vec<(String, Fetched)>, RemoteError> {
        let reply = self.ask(self.question("REPORT", place.url.clone(), "1", question)?).await?;
        if let Some(trouble) = reply.trouble((self.means.now)()) {
            return Err(trouble);
        }
        let taken = self.means.http.larder.place(reply.body.len()).await;
        let of = Arc::clone(place);
        let texts = reading(reply.body.len(), move || {
            let told = answers(&reply)?.told;
            Ok(told.into_iter().filter_map(|one| Some((id_in(&of, &one.href)?, shown(of.holds, &one)?))).collect())
        });
        let texts = texts.await;
        drop(taken);
        texts
    }
}

fn read_members(place: &Place, reply: &Reply) -> Result<Held, RemoteError> {
    let mut held = Held::new();
    for told in answers(reply)?.told {
        let Some(id) = id_in(place, &told.href) else { continue };
        let found = match (told.status, &told.data) {
            (Some(404 | 410), _) => None,
            (_, Some(text)) => Some(fetched(&told, Ok(lines(text)))),
            (Some(status), None) => Some(fetched(&told, Err(format!("the server does not show it (HTTP {status})")))),
            (None, None) => continue,
        };
        let row = found.map(|found| Packed::of(&found.row(place.holds, &id)));
        held.insert(id.clone(), row.unwrap_or_else(|| gone(&id)));
    }
    Ok(held)
}

/// What a listing shows that a member holds, besides its name. Nothing is what some say in place of that.
///
/// Of a card only version 3.0: sabre/dav (Nextcloud, Baikal) lists it as it lies there, and shows it in that version to whoever asks for it by
/// name or fetches it, under the same revision. What is edited is what is fetched, and a record has to be of that.
pub(super) fn shown(holds: Holds, told: &Told) -> Option<Fetched> {
    let is_good = told.status.is_none_or(|status| status / 100 == 2) && told.etag.is_some();
    let is_plain =
        |text: &str| holds == Holds::Events || planted::is("a card is shown in two versions") || text.contains("VERSION:3.0");
    let text = told.data.as_ref().filter(|text| is_good && !text.trim().is_empty() && is_plain(text))?;
    Some(fetched(told, Ok(lines(text))))
}

/// Reads what a listing showed; much of it beside the run.
async fn read_shown(place: &Arc<Place>, some: Vec<Listed>) -> Held {
    let shown: Vec<(String, Fetched)> = some.into_iter().filter_map(|(id, one)| Some((id, one.shown?))).collect();
    let bytes = shown.iter().map(|(_, one)| one.text.as_ref().map_or(0, String::len)).sum();
    let holds = place.holds;
    let row = move |(id, one): (String, Fetched)| {
        let row = Packed::of(&one.row(holds, &id));
        (id, row)
    };
    reading(bytes, move || shown.into_iter().map(row).collect()).await
}

fn fetched(told: &Told, text: Result<String, String>) -> Fetched {
    Fetched { revision: told.etag.clone(), modified: told.modified, text }
}

/// The lines of a text end with CR and LF; XML leaves LF of it.
fn lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\n', "\r\n")
}

fn gone(id: &str) -> Packed {
    Packed::of(&Row::gone(id.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_shows_what_is_edited_too_or_nothing() {
        let check = |holds, text: &str, etag: Option<&str>, is_shown: bool| {
            let told = Told { etag: etag.map(str::to_owned), data: Some(text.into()), ..Told::default() };
            assert_eq!(shown(holds, &told).is_some(), is_shown, "{text}");
        };
        let card = |version: &str| format!("BEGIN:VCARD\nVERSION:{version}\nFN:x\nEND:VCARD\n");
        check(Holds::Cards, &card("3.0"), Some("1"), true);
        check(Holds::Cards, &card("4.0"), Some("1"), false);
        check(Holds::Cards, &card("3.0"), None, false);
        check(Holds::Cards, " ", Some("1"), false);
        check(Holds::Events, "BEGIN:VCALENDAR\nVERSION:2.0\n", Some("1"), true);
    }

    #[cfg(feature = "planted")]
    #[test]
    fn planted_bugs_are_found() {
        planted::set_here(Some("a card is shown in two versions"));
        let found = std::panic::catch_unwind(a_listing_shows_what_is_edited_too_or_nothing).is_err();
        planted::set_here(None);
        assert!(found);
    }
}
