//! Owns: which version of a document it is: a mark of its text, and what its server calls it. Must never know: what it says, where this is
//! kept.

use mingle_core::limits;
use reqwest::header::{HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH};

use crate::remotes::http::Reply;

/// A version of a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Version {
    /// A mark of its text.
    mark: String,
    etag: String,
    /// `Last-Modified`, where there is no `ETag` and it is old enough to tell two versions apart.
    modified: String,
    /// Of whom it is the document, where only the login tells that.
    whose: String,
}

impl Version {
    /// That of an answer to whom [`whose`] names.
    pub(super) fn of(reply: &Reply, whose: &str) -> Self {
        let mark = blake3::hash(&reply.body).to_hex()[..32].to_owned();
        let short = |text: &&str| text.len() <= limits::KEPT_HEAD_BYTES_MAX;
        let etag = reply.header("etag").filter(short).unwrap_or_default().to_owned();
        let settled = |text: &&str| settled(text, reply.header("date"));
        let modified = reply.header("last-modified").filter(short).filter(settled).filter(|_| etag.is_empty());
        Self { mark, modified: modified.unwrap_or_default().to_owned(), etag, whose: whose.to_owned() }
    }

    /// As it is kept.
    pub(super) fn text(&self) -> String {
        let whose = if self.whose.is_empty() { String::new() } else { format!("\n{}", self.whose) };
        format!("{}\n{}\n{}{whose}", self.mark, self.etag, self.modified)
    }

    /// As it was kept; none where it is no such thing.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('\n').map(str::to_owned);
        let (mark, etag, modified) = (parts.next()?, parts.next()?, parts.next()?);
        let whose = parts.next();
        let fits = mark.len() == 32 && whose.as_ref().is_none_or(|whose| whose.len() == WHOSE_CHARS) && parts.next().is_none();
        fits.then(|| Self { mark, etag, modified, whose: whose.unwrap_or_default() })
    }

    /// Whether both are of the same text, whatever their server calls them.
    pub(super) fn is_same_text(&self, other: &Self) -> bool {
        self.mark == other.mark
    }

    /// Whether it is the document of whom [`whose`] names.
    pub(super) fn is_of(&self, whose: &str) -> bool {
        self.whose == whose
    }

    /// What asks a server for it only if it is not this version any more.
    pub(super) fn conditions(&self) -> Vec<(HeaderName, HeaderValue)> {
        let shown = [(IF_NONE_MATCH, &self.etag), (IF_MODIFIED_SINCE, &self.modified)];
        let set = shown.into_iter().filter(|(_, text)| !text.is_empty());
        set.filter_map(|(name, text)| Some((name, HeaderValue::from_str(text).ok()?))).collect()
    }
}

/// A mark of whom a login that runs out is of; empty: it is no such login.
pub(super) fn whose(who: &str) -> String {
    if who.is_empty() { String::new() } else { blake3::hash(who.as_bytes()).to_hex()[..WHOSE_CHARS].to_owned() }
}

const WHOSE_CHARS: usize = 16;

/// Whether a stamp of whole seconds can be of no other version: it lies a minute before the answer, by the same clock (RFC 9110, 8.8.2.2).
fn settled(modified: &str, date: Option<&str>) -> bool {
    let read = |text: &str| httpdate::parse_http_date(text).ok();
    let (Some(modified), Some(date)) = (read(modified), date.and_then(read)) else { return false };
    date.duration_since(modified).is_ok_and(|age| age >= SETTLED_AFTER)
}

const SETTLED_AFTER: std::time::Duration = std::time::Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_as_it_was_written() {
        let version = Version { mark: "a".repeat(32), etag: "W/\"x y\"".into(), ..Version::default() };
        assert_eq!(Version::read(&version.text()), Some(version.clone()));
        assert_eq!(version.conditions(), [(IF_NONE_MATCH, HeaderValue::from_static("W/\"x y\""))]);
        let of_one = Version { whose: whose("ada"), ..version.clone() };
        assert_eq!(Version::read(&of_one.text()), Some(of_one.clone()));
        assert!(of_one.is_of(&whose("ada")) && !of_one.is_of(&whose("bob")) && !of_one.is_of("") && version.is_of(&whose("")));
        for text in ["", "a", "a\nb\nc", &format!("{}\nb", "a".repeat(32)), &format!("{}\nx", version.text())] {
            assert_eq!(Version::read(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_fresh_stamp_is_no_validator() {
        let check = |modified: &str, date: Option<&str>, expect: bool| {
            assert_eq!(settled(modified, date), expect, "{modified} at {date:?}");
        };
        const AT: &str = "Thu, 01 Jan 2026 00:01:00 GMT";
        check("Thu, 01 Jan 2026 00:00:00 GMT", Some(AT), true);
        check("Thu, 01 Jan 2026 00:00:01 GMT", Some(AT), false);
        check("Thu, 01 Jan 2026 00:02:00 GMT", Some(AT), false);
        check("Thu, 01 Jan 2026 00:00:00 GMT", None, false);
        check("yesterday", Some(AT), false);
    }
}
