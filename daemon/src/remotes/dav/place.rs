//! Owns: finding the collection that a sync names: at its address, or among those of the account. Must never know: what it holds.

use std::sync::{Arc, atomic::AtomicBool};

use mingle_core::{
    limits,
    replica::{Failure, RemoteError},
    time::Timestamp,
};
use mingle_text::Holds;
use reqwest::Url;

use super::{
    Dav, answers,
    listing::is_about_us,
    name,
    xml::{self, Told},
};
use crate::remotes::{
    http::{self, Reply},
    rest::add_segment,
};

/// Where an account begins, on a host of which no more is known (RFC 6764).
const WELL_KNOWN: [&str; 2] = ["/.well-known/carddav", "/.well-known/caldav"];

/// A collection.
pub(super) struct Place {
    /// Its address, which ends with a slash.
    pub(super) url: Url,
    /// The segments of it, decoded.
    pub(super) segments: Vec<String>,
    /// What its members are.
    pub(super) holds: Holds,
    /// It says what changed since.
    pub(super) tells_changes: bool,
    /// Asked for what changed, it tells of names alone.
    pub(super) lists_names: AtomicBool,
    /// It does not show all members to one question.
    pub(super) shows_some: AtomicBool,
}

/// Where it is, and what the server's clock was when it was found in this run.
pub(super) type Found = (Arc<Place>, Option<Timestamp>);

/// What is another one whenever anything in the collection changed, and what the server's clock was when it said so.
pub(super) type Mark = (Option<String>, Option<Timestamp>);

impl Place {
    /// The address of a member.
    pub(super) fn member(&self, id: &str) -> Url {
        let mut url = self.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty();
        }
        add_segment(&mut url, &mingle_text::name::name_of(id, self.holds.ending()));
        url
    }
}

impl Dav {
    /// The collection, found once.
    pub(super) async fn place(&self) -> Result<&Arc<Place>, RemoteError> {
        self.found().await.map(|found| &found.0)
    }

    /// The same, and the server's clock.
    pub(super) async fn found(&self) -> Result<&Found, RemoteError> {
        self.place.get_or_try_init(async || self.find().await).await
    }

    /// Its mark, asked for once in a run.
    pub(super) async fn mark(&self, place: &Place) -> Result<&Mark, RemoteError> {
        let ask = async || match self.asked_at(&place.url, xml::ask_mark()).await {
            Ok((reply, told)) => Ok((told.mark, reply.server_time())),
            Err(error) if is_about_us(&error) && error.kind != Failure::Denied => Err(error),
            // It only saves a question.
            Err(_) => Ok((None, None)),
        };
        self.mark.get_or_try_init(ask).await
    }

    async fn find(&self) -> Result<Found, RemoteError> {
        let below = self.below()?;
        let (reply, told) = match self.asked_what_it_is(&below).await {
            Ok(found) => found,
            // It may be a name, and no address.
            Err(error) if matches!(error.kind, Failure::Denied | Failure::Nonsense) => return self.find_by_name(error).await,
            Err(error) => return Err(error),
        };
        match told.holds {
            Some(holds) => as_found(holds, &told, &reply),
            None => {
                let what = format!("{} is no address book and no calendar", http::place(&below));
                self.find_by_name(RemoteError::new(Failure::Denied, what)).await
            }
        }
    }

    /// The resource as an address: from the root of the host where it begins with a slash, else below ours.
    fn below(&self) -> Result<Url, RemoteError> {
        let cannot =
            || RemoteError::new(Failure::Denied, format!("the resource {:?} is no address", http::words(&self.resource)));
        let mut url = self.url.clone();
        if self.resource.starts_with('/') {
            url.set_path("/");
        }
        for part in self.resource.split('/').filter(|part| !part.is_empty()) {
            if matches!(part, "." | "..") {
                return Err(cannot());
            }
            // As a person reads it, or as a server writes it.
            let whole = Url::parse("http://localhost/").and_then(|base| base.join(part)).ok();
            let decoded = whole.and_then(|url| name::segments(&url)?.pop()).unwrap_or_else(|| part.to_owned());
            if let Ok(mut segments) = url.path_segments_mut() {
                segments.pop_if_empty();
            }
            add_segment(&mut url, &decoded);
        }
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        Ok(url)
    }

    /// What the resource at an address says that it is.
    pub(super) async fn asked_what_it_is(&self, url: &Url) -> Result<(Reply, Told), RemoteError> {
        self.asked_at(url, xml::ask_what_it_is()).await
    }

    async fn asked_at(&self, url: &Url, what: String) -> Result<(Reply, Told), RemoteError> {
        let reply = self.ask(self.question("PROPFIND", url.clone(), "0", what)?).await?;
        if let Some(trouble) = reply.trouble((self.means.now)()) {
            // Who does not know the question speaks no DAV here, and may elsewhere.
            let kind = if matches!(reply.status.as_u16(), 405 | 501) { Failure::Nonsense } else { trouble.kind };
            return Err(RemoteError { kind, ..trouble });
        }
        let told = answers(&reply)?.told.pop();
        let told = told.filter(|told| told.status.is_none_or(|status| status / 100 == 2));
        let what = || RemoteError::new(Failure::Denied, format!("{} does not say what it is", http::place(url)));
        told.map(|told| (reply, told)).ok_or_else(what)
    }

    /// The collection of the account that has this name; where there is none: what there is.
    async fn find_by_name(&self, error: RemoteError) -> Result<Found, RemoteError> {
        let found = self.collections().await?;
        let is = |one: &&(Url, Told)| {
            let last = name::segments(&one.0).and_then(|mut segments| segments.pop());
            last.as_deref() == Some(&*self.resource) || one.1.name.as_deref() == Some(&*self.resource)
        };
        let named: Vec<_> = found.iter().filter(is).collect();
        if let [(url, told)] = named[..]
            && let Some(holds) = told.holds
        {
            let reply = self.asked_what_it_is(url).await?.0;
            return as_found(holds, told, &reply);
        }
        let shown = |(url, told): &(Url, Told)| {
            let name = told.name.as_deref().map(|name| format!(" ({})", http::words(name))).unwrap_or_default();
            format!("resource = {:?}{name}", url.path())
        };
        let all: Vec<String> = found.iter().take(limits::DAV_TOLD_MAX).map(shown).collect();
        let hint = match &all[..] {
            [] => "the account has no address book and no calendar: is the url the right one?".to_owned(),
            all if named.len() > 1 => {
                format!("several have this name; say which by its address, as the resource: {}", all.join(", "))
            }
            all => format!("what the account has: {}", all.join(", ")),
        };
        Err(RemoteError { kind: Failure::Denied, ..error }.hint(hint))
    }

    /// All address books and calendars of the account, in the order of their addresses.
    async fn collections(&self) -> Result<Vec<(Url, Told)>, RemoteError> {
        let mut found = std::collections::BTreeMap::new();
        for home in self.homes().await? {
            let reply = self.ask(self.question("PROPFIND", home, "1", xml::ask_what_it_is())?).await?;
            if let Some(trouble) = reply.trouble((self.means.now)()) {
                return Err(trouble);
            }
            for told in answers(&reply)?.told.into_iter().filter(|told| told.holds.is_some()) {
                found.insert(self.ours(&reply.url, &told.href)?, told);
            }
        }
        Ok(found.into_iter().collect())
    }

    /// Where the account has collections.
    async fn homes(&self) -> Result<Vec<Url>, RemoteError> {
        let mut homes = Vec::new();
        for (reply, told) in self.begins().await? {
            let (reply, told) = match &told.principal {
                Some(principal) if told.homes.is_empty() => self.asked_what_it_is(&self.ours(&reply.url, principal)?).await?,
                _ => (reply, told),
            };
            for home in &told.homes {
                let home = self.ours(&reply.url, home)?;
                if !homes.contains(&home) && homes.len() < limits::DAV_HOMES_MAX {
                    homes.push(home);
                }
            }
        }
        Ok(homes)
    }

    /// Where the account begins: at our address, or where the host says.
    async fn begins(&self) -> Result<Vec<(Reply, Told)>, RemoteError> {
        let mut at = vec![self.url.clone()];
        at.extend(WELL_KNOWN.iter().filter_map(|path| self.url.join(path).ok()));
        let (mut begins, mut wrong) = (Vec::new(), None);
        for url in at {
            match self.asked_what_it_is(&url).await {
                Ok(found) if found.1.principal.is_some() || !found.1.homes.is_empty() => {
                    begins.push(found);
                    // What the host says is for those who know no more than the host.
                    if begins.len() == 1 && url == self.url {
                        break;
                    }
                }
                Ok(_) => {}
                Err(error) if matches!(error.kind, Failure::Denied | Failure::Nonsense) => {
                    wrong.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        match wrong {
            Some(error) if begins.is_empty() => {
                let what = format!("{} is not a CardDAV or CalDAV server: {}", http::place(&self.url), error.what);
                let hint = error.hint.unwrap_or_else(|| {
                    "the url is what the service names for CardDAV or CalDAV; often https://HOST/ is enough".into()
                });
                Err(RemoteError::new(Failure::Nonsense, what).hint(hint))
            }
            _ => Ok(begins),
        }
    }

    /// An address that an answer names. Our credentials go to our host alone.
    fn ours(&self, base: &Url, href: &str) -> Result<Url, RemoteError> {
        let to = base
            .join(href)
            .map_err(|_| RemoteError::new(Failure::Nonsense, format!("{} names no address", http::place(base))))?;
        // One behind a proxy may not know how it is reached.
        if to.host_str() != self.url.host_str() {
            let what = format!("{} keeps what the account has at {}", http::place(base), http::place(&to));
            return Err(RemoteError::new(Failure::Denied, what)
                .hint("credentials are not taken elsewhere; if that is the right place, set it as the url"));
        }
        let mut ours = self.url.clone();
        ours.set_path(to.path());
        Ok(ours)
    }
}

/// The collection that an answer tells of. Where it came from in the end counts: members have their addresses there.
fn as_found(holds: Holds, told: &Told, reply: &Reply) -> Result<Found, RemoteError> {
    let mut url = reply.url.clone();
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    let segments = name::segments(&url)
        .ok_or_else(|| RemoteError::new(Failure::Nonsense, format!("{} is an address that is not UTF-8", http::place(&url))))?;
    let (lists_names, shows_some) = Default::default();
    let place = Place { url, segments, holds, tells_changes: told.tells_changes, lists_names, shows_some };
    Ok((Arc::new(place), reply.server_time()))
}
