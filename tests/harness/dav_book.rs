//! Owns: an address book or a calendar in memory, in the words of CardDAV and CalDAV, with what servers of them do wrong. Must never know: what
//! the daemon makes of it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::wire::{self, Request, Served};

/// Where the collection is.
pub const PLACE: &str = "/me/books/one/";

/// What a server does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breaks {
    /// It tells no token.
    NoToken,
    /// HTTP 500 over every token.
    OverTokens,
    /// It refuses each token that it gave.
    RefusesTokens,
    /// It says nothing of deletes, nor of changes, to who asks what changed.
    Forgets,
    /// Revisions change whenever they are listed.
    Flaps,
    /// The collection is answered with this status.
    Vanished(u16),
    /// Who asks for several members gets this status for all, where one of them is not there or not shown.
    OverOne(u16),
    /// Somebody else has locked every member.
    Locked,
    /// It takes no question for what members hold together with what changed.
    RefusesTexts,
    /// It lists cards as they lie there, and shows them in version 3.0 to who asks for them by name, under the same revision: sabre/dav does.
    ConvertsCards,
    /// Asked for what members hold together with what changed, it says of each that it is not there.
    HidesTexts,
    /// Every question for members has this status, and the collection answers.
    Members(u16),
    /// It says of what members hold that it is nothing, to who asks for more than one.
    BlankTexts,
    /// Every answer is a page to log in.
    LoginPage,
    /// It takes no password that is plain.
    Digest,
}

#[derive(Clone, Debug, Default)]
struct Member {
    /// The number of its last change, which is its revision too.
    changed: u64,
    /// None: it is gone.
    text: Option<Vec<u8>>,
}

/// A server of one address book or calendar.
#[derive(Debug, Default)]
pub struct Book {
    members: BTreeMap<String, Member>,
    changes: u64,
    /// It holds events, and no cards.
    pub events: bool,
    /// It tells what changed, so many at a time; none: it does not.
    pub cut: Option<usize>,
    marks: bool,
    /// It shows what members hold to who asks what changed.
    shows: bool,
    /// It shows so many members to who asks for all at once.
    shows_at_once: usize,
    /// What it does wrong.
    pub breaks: Option<Breaks>,
    /// Members that it does not show to who asks for several, nor by itself.
    pub denied: Vec<String>,
    /// Members that it does not show to who asks for several, and by themselves it does.
    pub hidden: Vec<String>,
    /// What it was asked so far.
    pub asked: Vec<String>,
}

/// A book that is served.
pub struct ServedBook {
    /// Where it answers: no slash at the end.
    pub url: String,
    book: Arc<Mutex<Book>>,
    _served: Served,
}

impl ServedBook {
    /// What is in it.
    pub fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it was asked since it was asked this.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.book().asked)
    }
}

/// A card of somebody.
#[must_use]
pub fn card(who: &str) -> String {
    format!("BEGIN:VCARD\r\nVERSION:3.0\r\nUID:u\r\nFN:{who}\r\nEND:VCARD\r\n")
}

impl Book {
    /// An empty one that tells what changed, so many at a time.
    #[must_use]
    pub fn new(cut: Option<usize>, breaks: Option<Breaks>) -> Self {
        Self { cut, breaks, ..Self::default() }
    }

    /// The same, which shows what members hold to who asks what changed.
    #[must_use]
    pub fn that_shows(self) -> Self {
        Self { shows: true, ..self }
    }

    /// The same, which shows so many members to who asks for all at once.
    #[must_use]
    pub fn showing_at_once(self, members: usize) -> Self {
        Self { shows_at_once: members, ..self }
    }

    /// The same, which says by one mark whether anything changed.
    #[must_use]
    pub fn with_marks(self) -> Self {
        Self { marks: true, ..self }
    }

    /// Serves it.
    #[must_use]
    pub fn serve(self) -> ServedBook {
        let book = Arc::new(Mutex::new(self));
        let served = Arc::clone(&book);
        let served = wire::serve(Arc::new(move |request, line| {
            line.send(&served.lock().unwrap_or_else(PoisonError::into_inner).answer(request))
        }));
        ServedBook { url: served.url.clone(), book, _served: served }
    }

    /// Puts a card of somebody.
    pub fn put(&mut self, name: &str, who: &str) {
        self.put_bytes(&format!("{name}.vcf"), card(who).as_bytes());
    }

    /// Puts a member, whatever it is.
    pub fn put_bytes(&mut self, name: &str, bytes: &[u8]) {
        self.changes += 1;
        self.members.insert(name.to_owned(), Member { changed: self.changes, text: Some(bytes.to_owned()) });
    }

    /// Takes a member away.
    pub fn delete(&mut self, name: &str) {
        self.changes += 1;
        self.members.insert(name.to_owned(), Member { changed: self.changes, text: None });
    }

    /// What a member holds.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        let text = self.members.get(name)?.text.as_ref()?;
        Some(String::from_utf8_lossy(text).into_owned())
    }

    /// It tells what changed.
    #[must_use]
    pub fn tells_changes(&self) -> bool {
        self.cut.is_some()
    }

    /// How many members it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.live().count()
    }

    /// It has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn live(&self) -> impl Iterator<Item = (&String, &Member, &Vec<u8>)> {
        self.members.iter().filter_map(|(name, one)| Some((name, one, one.text.as_ref()?)))
    }

    /// The revision of a member, as it is listed now.
    fn etag(&self, one: &Member) -> String {
        let listed = if self.breaks == Some(Breaks::Flaps) { format!("-{}", self.changes) } else { String::new() };
        format!("\"{}{listed}\"", one.changed)
    }

    /// Its answer.
    pub fn answer(&mut self, request: &Request) -> Vec<u8> {
        let path = format!("/{}", request.path.join("/"));
        let changes = request.body.contains("<d:sync-collection");
        let all = request.body.contains("-query ");
        let what = if changes { " changes" } else { ["", " all"][usize::from(all)] };
        self.asked.push(format!("{} {path}{what}", request.method));
        if let Some(of) = path.strip_prefix(PLACE.trim_end_matches('/')).filter(|rest| rest.is_empty() || rest.starts_with('/')) {
            match self.breaks {
                Some(Breaks::Vanished(status)) => return wire::response(status, &[], ""),
                Some(Breaks::Locked) if matches!(request.method.as_str(), "PUT" | "DELETE") => {
                    return wire::response(423, &[], "");
                }
                Some(Breaks::Flaps) if changes || request.header("depth") == Some("1") && request.method == "PROPFIND" => {
                    self.changes += 1;
                }
                _ => {}
            }
            let of_members = request.method == "GET" || request.method == "REPORT" && !changes;
            if let Some(Breaks::Members(status)) = self.breaks.filter(|_| of_members) {
                return wire::response(status, &[], "");
            }
            if let Some(name) = of.strip_prefix('/').filter(|name| !name.is_empty()) {
                return self.member(request, name);
            }
        }
        match self.breaks {
            Some(Breaks::LoginPage) => {
                let page = "<!DOCTYPE html><html><body><form action=\"/login\">Password</form></body></html>";
                return wire::response(200, &[("content-type", "text/html; charset=utf-8")], page);
            }
            Some(Breaks::Digest) => {
                return wire::response(401, &[("www-authenticate", "Digest realm=\"x\", qop=\"auth\", nonce=\"1\"")], "");
            }
            _ => {}
        }
        match (request.method.as_str(), path.trim_end_matches('/'), request.header("depth")) {
            ("PROPFIND", "/.well-known/carddav", _) => wire::response(301, &[("location", "/dav/")], ""),
            ("PROPFIND", "/dav", _) => {
                several(&of("/dav/", "<m:current-user-principal><m:href>/me/</m:href></m:current-user-principal>"))
            }
            ("PROPFIND", "/me", _) => {
                several(&of("/me/", "<a:addressbook-home-set><m:href>/me/books/</m:href></a:addressbook-home-set>"))
            }
            ("PROPFIND", "/me/books", Some("1")) if matches!(self.breaks, Some(Breaks::Vanished(_))) => several(""),
            ("PROPFIND", "/me/books", Some("1")) | ("PROPFIND", "/me/books/one", Some("0")) => self.itself(),
            ("PROPFIND", "/me/books/one", _) => {
                let list = self.live().map(|(name, one, _)| of(&format!("{PLACE}{name}"), &self.etag_of(one)));
                several(&(of(PLACE, "") + &list.collect::<String>()))
            }
            ("REPORT", "/me/books/one", _) if changes => self.since(request),
            ("REPORT", "/me/books/one", _) => {
                let asked = |name: &str| request.body.contains(&format!("/{name}<"));
                let mut hrefs =
                    request.body.split("<d:href>").skip(1).filter_map(|rest| rest.split('<').next()?.rsplit('/').next());
                let hidden = |name: &str| self.text(name).is_none() || self.denied.iter().any(|one| one == name);
                if let Some(Breaks::OverOne(status)) = self.breaks
                    && hrefs.any(hidden)
                {
                    return wire::response(status, &[], "");
                }
                let some = self
                    .live()
                    .filter(|(name, ..)| (all || asked(name)) && !self.denied.iter().chain(&self.hidden).any(|one| one == *name));
                let most = if all { self.shows_at_once } else { usize::MAX };
                several_bytes(
                    &some
                        .take(most)
                        .flat_map(|(name, one, text)| self.shown(name, one, &self.by_name(text)))
                        .collect::<Vec<u8>>(),
                )
            }
            _ => wire::response(404, &[], ""),
        }
    }

    /// What a member holds, as it is shown to who asks for it by name.
    fn by_name(&self, text: &[u8]) -> Vec<u8> {
        if self.breaks != Some(Breaks::ConvertsCards) {
            return text.to_owned();
        }
        let text = wire::replaced(text, b"VERSION:4.0", b"VERSION:3.0");
        let text = wire::replaced(&text, b"BDAY:--0412", b"BDAY;X-APPLE-OMIT-YEAR=1604:16040412");
        wire::replaced(&wire::replaced(&text, b"ANNIVERSARY:", b"X-ANNIVERSARY:"), b"KIND:", b"X-KIND:")
    }

    /// A member with what it holds.
    fn shown(&self, name: &str, one: &Member, text: &[u8]) -> Vec<u8> {
        let data = if self.events { "c:calendar-data" } else { "a:address-data" };
        let text = if self.breaks == Some(Breaks::BlankTexts) { b" " } else { text };
        let escaped = wire::replaced(&wire::replaced(text, b"&", b"&amp;"), b"<", b"&lt;");
        let props = [format!("{}<{data}>", self.etag_of(one)).as_bytes(), &escaped, format!("</{data}>").as_bytes()].concat();
        of_bytes(&format!("{PLACE}{name}"), &props)
    }

    fn etag_of(&self, one: &Member) -> String {
        format!("<m:getetag>{}</m:getetag>", self.etag(one))
    }

    /// What the collection says that it is.
    fn itself(&self) -> Vec<u8> {
        let tells = self.cut.map_or("", |_| {
            "<m:supported-report-set><m:supported-report><m:report><m:sync-collection/></m:report></m:supported-report>\
             </m:supported-report-set>"
        });
        let mark = if self.marks { format!("<s:getctag>c{}</s:getctag>", self.changes) } else { String::new() };
        let kind = if self.events { "<c:calendar/>" } else { "<a:addressbook/>" };
        several(&of(PLACE, &format!("<m:resourcetype><m:collection/>{kind}</m:resourcetype>{tells}{mark}")))
    }

    /// What changed since the token that is asked with.
    fn since(&self, request: &Request) -> Vec<u8> {
        let Some(cut) = self.cut else { return wire::response(403, &[], "") };
        let token = request.body.split("<d:sync-token>t").nth(1).and_then(|rest| rest.split('<').next()?.parse::<u64>().ok());
        match (self.breaks, token) {
            (Some(Breaks::OverTokens), Some(_)) => return wire::response(500, &[], ""),
            (Some(Breaks::RefusesTokens), Some(_)) => {
                let body = "<m:error xmlns:m=\"DAV:\"><m:valid-sync-token/></m:error>";
                return wire::response(403, &[("content-type", "application/xml")], body);
            }
            (Some(Breaks::Forgets), Some(token)) => {
                return several(&format!("<m:sync-token>t{}</m:sync-token>", token.max(self.changes)));
            }
            (Some(Breaks::RefusesTexts), _) if request.body.contains("-data/>") => return wire::response(400, &[], ""),
            _ => {}
        }
        let shows = self.shows && request.body.contains("-data/>");
        let at = token.unwrap_or_default();
        let mut all: Vec<_> =
            self.members.iter().filter(|(_, one)| one.changed > at && (token.is_some() || one.text.is_some())).collect();
        all.sort_by_key(|(_, one)| one.changed);
        let list = all.iter().take(cut).flat_map(|(name, one)| match &one.text {
            Some(_) if shows && self.breaks == Some(Breaks::HidesTexts) => missing(name),
            Some(text) if shows => self.shown(name, one, text),
            Some(_) => of(&format!("{PLACE}{name}"), &self.etag_of(one)).into_bytes(),
            None => missing(name),
        });
        let list: Vec<u8> = list.collect();
        let is_cut = all.len() > cut;
        let next = if is_cut { cut.checked_sub(1).map_or(at, |last| all[last].1.changed) } else { self.changes };
        let more =
            "<m:response><m:href>/me/books/one/</m:href><m:status>HTTP/1.1 507 Insufficient Storage</m:status></m:response>";
        let more = if is_cut { more } else { "" };
        match self.breaks {
            Some(Breaks::NoToken) => several_bytes(&[&list, more.as_bytes()].concat()),
            _ => several_bytes(&[&list, more.as_bytes(), format!("<m:sync-token>t{next}</m:sync-token>").as_bytes()].concat()),
        }
    }

    fn member(&mut self, request: &Request, name: &str) -> Vec<u8> {
        if self.denied.iter().any(|one| one == name) {
            return wire::response(403, &[], "");
        }
        let there = self.members.get(name).filter(|one| one.text.is_some()).cloned();
        let etag = there.as_ref().map(|one| self.etag(one));
        let stale = request.header("if-match").is_some_and(|wanted| etag.as_deref() != Some(wanted))
            || (request.header("if-none-match").is_some() && etag.is_some());
        match (request.method.as_str(), there) {
            ("PUT" | "DELETE", _) if stale => wire::response(412, &[], ""),
            ("PUT", there) => {
                self.put_bytes(name, request.body.as_bytes());
                wire::response(if there.is_some() { 204 } else { 201 }, &[], "")
            }
            (_, None) => wire::response(404, &[], ""),
            ("DELETE", Some(_)) => {
                self.delete(name);
                wire::response(204, &[], "")
            }
            (_, Some(one)) => {
                let of = if self.events { "text/calendar" } else { "text/vcard" };
                let text = self.by_name(&one.text.unwrap_or_default());
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\ncontent-type: {of}\r\netag: {}\r\n\r\n",
                    text.len(),
                    etag.unwrap_or_default()
                );
                [head.into_bytes(), text].concat()
            }
        }
    }
}

fn missing(name: &str) -> Vec<u8> {
    format!("<m:response><m:href>{PLACE}{name}</m:href><m:status>HTTP/1.1 404 Not Found</m:status></m:response>").into_bytes()
}

fn of(href: &str, props: &str) -> String {
    format!(
        "<m:response><m:href>{href}</m:href><m:propstat><m:prop>{props}</m:prop><m:status>HTTP/1.1 200 OK</m:status></m:propstat>\
         </m:response>"
    )
}

fn of_bytes(href: &str, props: &[u8]) -> Vec<u8> {
    const MARK: &str = "*";
    let around = of(href, MARK);
    let (before, after) = around.split_once(MARK).unwrap_or_default();
    [before.as_bytes(), props, after.as_bytes()].concat()
}

fn several(inner: &str) -> Vec<u8> {
    several_bytes(inner.as_bytes())
}

fn several_bytes(inner: &[u8]) -> Vec<u8> {
    let begin = "<m:multistatus xmlns:m=\"DAV:\" xmlns:a=\"urn:ietf:params:xml:ns:carddav\" xmlns:c=\"urn:ietf:params:xml:ns:caldav\" \
                 xmlns:s=\"http://calendarserver.org/ns/\">";
    let body = [begin.as_bytes(), inner, b"</m:multistatus>"].concat();
    let head = format!("HTTP/1.1 207 X\r\ncontent-length: {}\r\ncontent-type: text/xml\r\n\r\n", body.len());
    [head.into_bytes(), body].concat()
}
