//! Owns: listing: the request for a page, its rows, and how the next one is found.
//! Must never know: what becomes of the rows.

use std::sync::Arc;

use mingle_core::{
    limits::ANSWER_VALUES_BYTES_MAX,
    record::Value,
    replica::{Failure, From, Page, RemoteError},
    time::Timestamp,
};
use reqwest::Url;

use super::{
    Rest,
    limits::tells_what_follows,
    misread, nonsense,
    pointer::Pointer,
    profile::{List, Means, More, Next, Profile, RowShape, Token},
    rows::{self, Listing, Rows, Unusable},
    walk::{self, Step},
};
use crate::{
    json,
    remotes::{
        aside::reading,
        http::{self, Reply},
        larder::Place,
    },
};

/// Whether what follows a page is told inside of its rows: those are not there any more once they were handed over one by one, and a
/// listing whose next page is not found is taken for whole.
fn next_is_within_rows(list: &List) -> bool {
    matches!(&list.next, Some(Next::Cursor(at) | Next::Address(at)) if at.way().starts_with(list.rows.way()))
}

/// A body, and its rows; none: they stand in it still.
type Read = (Value, Option<Result<Listing, Unusable>>);

fn read(profile: &Profile, reply: &Reply, place: &mut Place) -> Result<Read, RemoteError> {
    let (list, text) = (&profile.list, reply.text(&profile.types.take)?);
    let wrong = |error: json::JsonError| misread(reply, &error);
    if next_is_within_rows(list) {
        let (body, bytes) = json::parse_within(text, ANSWER_VALUES_BYTES_MAX).map_err(wrong)?;
        place.shrink(bytes);
        return Ok((body, None));
    }
    let ((body, bytes), rows) = elements(&profile.row, text, &list.rows).map_err(wrong)?;
    place.shrink(bytes);
    let listing = list.rows.find(&body).map(|list| rows.listing(list));
    Ok((body, listing))
}

/// A body without its rows, and the bytes that it takes; and the rows. One that cannot be read must not cost the others: where it has a
/// name, it alone is told.
pub(super) fn elements<'a>(shape: &'a RowShape, text: &str, at: &Pointer) -> Result<((Value, usize), Rows<'a>), json::JsonError> {
    let mut rows = Rows::of(shape);
    let error = match json::parse_elements(text, ANSWER_VALUES_BYTES_MAX, at.way(), &mut rows) {
        Ok(read) => return Ok((read, rows)),
        Err(error) => error,
    };
    if error.heavy {
        return Err(error);
    }
    let mut rows = Rows::of(shape);
    match json::parse_elements_singly(text, ANSWER_VALUES_BYTES_MAX, at.way(), &mut rows) {
        Ok(read) if !rows.is_unusable() => Ok((read, rows)),
        _ => Err(error),
    }
}

impl Rest {
    /// One page, and the place that it takes in memory. `page` is a former page's `next`: an address below our own, or what stands
    /// for `{page}`.
    pub(super) async fn page(&self, from: &From, page: Option<&str>, page_rows: usize) -> Result<(Page, Place), RemoteError> {
        let url = self.page_url(from, page, page_rows)?;
        let list = &self.profile.list;
        let sized = list.is_sized();
        let asked = if list.validates {
            self.asked_again(url.clone()).await
        } else {
            self.ask(url.clone()).await.map(|reply| (reply, None))
        };
        let too_large = |error: RemoteError| match error.kind {
            // Asked for fewer rows it would answer just the same.
            Failure::TooLarge if !sized => RemoteError::new(Failure::Nonsense, error.what)
                .hint("the profile's list.query has no {page_rows}: where the service takes a number of rows, say how"),
            Failure::TooLarge => error.hint("a single row is larger than what fits; it has to be made smaller at the remote"),
            _ => error,
        };
        let (reply, kept) = asked.map_err(too_large)?;
        if let (From::Token(_), Some(token)) = (from, &list.token)
            && self.means(&reply).map_or(token.refused.contains(&reply.status.as_u16()), |means| means == Means::TokenRefused)
        {
            return Err(refused("the remote no longer knows where we were"));
        }
        if let Some(trouble) = self.trouble(&reply) {
            return Err(trouble);
        }
        let place = self.means.http.larder.place(reply.body.len()).await;
        let (reply, place, read) = self.read_aside(reply, place).await;
        let (mut body, rows) = read.map_err(too_large)?;
        let next = self.next(&reply, &body)?;
        let value = list.rows.take(&mut body).ok_or_else(|| nonsense(&reply, &format!("has no rows at {}", list.rows)))?;
        let listing = rows.unwrap_or_else(|| rows::rows(&self.profile.row, value));
        let listing = listing.map_err(|why| nonsense(&reply, &format!("makes no sense: {why}")))?;
        if let Some(kept) = kept.filter(|_| !tells_what_follows(list, &reply, listing.count, page_rows)) {
            self.means.http.by.kept.forget(&kept);
        }
        let next = match next {
            Forward::Told(key) => Some(key),
            Forward::Counted => self.counted(&reply, from, page, page_rows, &listing)?,
            Forward::End => None,
        };
        // Whoever follows it would never come to an end.
        if next.is_some() && (next.as_deref() == page || next.as_deref() == Some(self.key_of(&url).as_str())) {
            return Err(nonsense(&reply, "says that its next page is the same page again"));
        }
        let page = Page {
            rows: listing.rows,
            next,
            token: list.token.as_ref().map(|token| self.token(token, from, &reply)).transpose()?.flatten(),
            server_time: reply.server_time(),
            total: list.total_header.as_ref().and_then(|name| reply.header(name)?.trim().parse().ok()),
            told: 0,
            news: false,
            stays: false,
            swaps: false,
        };
        Ok((page, place))
    }

    /// Reads a body; a large one beside the run.
    async fn read_aside(&self, reply: Reply, mut place: Place) -> (Reply, Place, Result<Read, RemoteError>) {
        let (profile, bytes) = (Arc::clone(&self.profile), reply.body.len());
        let work = move || {
            let read = read(&profile, &reply, &mut place);
            (reply, place, read)
        };
        reading(bytes, work).await
    }

    fn page_url(&self, from: &From, page: Option<&str>, page_rows: usize) -> Result<Url, RemoteError> {
        let list = &self.profile.list;
        if let (Some(page), Some(Next::Header(_) | Next::Link(_) | Next::Address(_))) = (page, &list.next) {
            return self.ours(&self.url, page).map_err(|why| RemoteError::new(Failure::CheckpointRefused, why));
        }
        let mut url = self.below(&list.path, None)?;
        let page_rows = page_rows.max(1).to_string();
        let mut since = match from {
            From::Start => None,
            From::Token(token) => Some(token.clone()),
            From::Stamp(at) => self.since(*at),
        };
        let mut page = page.map(str::to_owned);
        let mut after = None;
        match list.next {
            Some(Next::Number(first) | Next::Offset(first)) => page = page.or_else(|| Some(first.to_string())),
            Some(Next::Stamp(first)) => match page.take() {
                None => page = Some(first.to_string()),
                Some(key) => {
                    let step = step(&key)?;
                    (since, page) = (self.since(step.at), Some(step.page.to_string()));
                }
            },
            Some(Next::StampAndId) => match page.take() {
                None => after = Some(String::new()),
                Some(key) => {
                    let (at, id) = place(&key)?;
                    (since, after) = (self.written(at), Some(id.to_owned()));
                }
            },
            _ => {}
        }
        let values =
            [("page_rows", Some(&page_rows)), ("since", since.as_ref()), ("page", page.as_ref()), ("after", after.as_ref())];
        let values: Vec<(&str, &str)> = values.into_iter().filter_map(|(name, value)| Some((name, value?.as_str()))).collect();
        let filled: Vec<_> = list.query.iter().filter_map(|(name, value)| Some((name, value.fill(&values)?))).collect();
        if !filled.is_empty() {
            url.query_pairs_mut().extend_pairs(filled);
        }
        Ok(url)
    }

    /// What an answer says of the next page.
    fn next(&self, reply: &Reply, body: &Value) -> Result<Forward, RemoteError> {
        let address = match &self.profile.list.next {
            None => None,
            Some(Next::Number(_) | Next::Offset(_) | Next::Stamp(_) | Next::StampAndId) => return Ok(Forward::Counted),
            Some(Next::Cursor(at)) => {
                return Ok(match at.find(body) {
                    Some(Value::Text(key)) if !key.is_empty() => Forward::Told(key.clone()),
                    Some(Value::Number(key)) => Forward::Told(key.text().to_owned()),
                    _ => Forward::End,
                });
            }
            Some(Next::Header(name)) => reply.header(name).map(str::to_owned),
            Some(Next::Link(relation)) => reply.list("link").and_then(|links| link(&links, relation)),
            Some(Next::Address(at)) => match at.find(body) {
                Some(Value::Text(address)) => Some(address.clone()),
                _ => None,
            },
        };
        let Some(address) = address else { return Ok(Forward::End) };
        let url = self.ours(&reply.url, &address).map_err(|why| nonsense(reply, &why))?;
        Ok(Forward::Told(self.key_of(&url)))
    }

    /// What follows a page where the answer does not say it.
    fn counted(
        &self,
        reply: &Reply,
        from: &From,
        page: Option<&str>,
        page_rows: usize,
        listing: &Listing,
    ) -> Result<Option<String>, RemoteError> {
        let list = &self.profile.list;
        let more = match &list.more {
            None => listing.count > 0,
            Some(More::FullPage) => listing.count >= page_rows.max(1),
            Some(More::Link(relation)) => reply.list("link").and_then(|links| link(&links, relation)).is_some(),
            Some(More::Header(name)) => reply.header(name).is_some(),
        };
        let more = more && listing.count > 0;
        if let Some(Next::Stamp(first)) = list.next {
            let last = if more { Some(self.last(reply, listing)?.0) } else { None };
            let here = match (page, from) {
                (Some(key), _) => Some(step(key)?),
                (None, From::Stamp(at)) => Some(Step::from(*at, first)),
                (None, _) => None,
            };
            let same = |a, b| self.written(a) == self.written(b);
            return Ok(walk::after(here, first, last, same).map(|step| step.key()));
        }
        if !more {
            return Ok(None);
        }
        let number = |text: &str| text.parse::<u64>().map_err(|_| refused("the page kept from before is no number"));
        Ok(Some(match list.next {
            Some(Next::Number(first)) => page.map_or(Ok(first), number)?.saturating_add(1).to_string(),
            Some(Next::Offset(first)) => page.map_or(Ok(first), number)?.saturating_add(listing.count as u64).to_string(),
            Some(Next::StampAndId) => {
                let (last, id) = self.last(reply, listing)?;
                if !id.chars().all(|one| one.is_ascii_alphanumeric() || "-_.:".contains(one)) {
                    return Err(nonsense(reply, "has a row whose id cannot be asked after"));
                }
                format!("{}/{id}", last.unix_ms())
            }
            _ => return Ok(None),
        }))
    }

    /// What stands for "at this stamp and later".
    fn since(&self, at: Timestamp) -> Option<String> {
        let grain = self.abilities.modified_grain.unwrap_or_default();
        self.written(if self.profile.list.exclusive { at.minus(grain) } else { at })
    }

    /// A stamp as the service writes it.
    fn written(&self, at: Timestamp) -> Option<String> {
        self.profile.row.modified.as_ref().map(|stamp| rows::written(at, stamp.form))
    }

    /// Stamp and id of the last row, if rows come by stamp: only then does what follows it hold all that is left.
    fn last<'a>(&self, reply: &Reply, listing: &'a Listing) -> Result<(Timestamp, &'a str), RemoteError> {
        let wrong = |what: &str| Err(nonsense(reply, what));
        match &listing.last {
            None => wrong("has a row without a stamp, after which nothing can be asked for"),
            Some(_) if !listing.by_stamp => wrong("does not list its rows by stamp, the oldest first"),
            Some((at, id)) => Ok((*at, id)),
        }
    }

    /// What is kept of an address: nothing that the settings say already, and no secret.
    fn key_of(&self, url: &Url) -> String {
        let mut url = url.clone();
        if let Some((name, _)) = &self.login.query {
            http::take_parameter(&mut url, name);
        }
        match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        }
    }

    /// An address that a server gave us, if it is below our own: credentials go nowhere else.
    fn ours(&self, base: &Url, address: &str) -> Result<Url, String> {
        let url = base.join(address).map_err(|_| "gives an address for the next page that is none".to_owned())?;
        let within = url.path().strip_prefix(self.url.path().trim_end_matches('/')).is_some_and(|rest| rest.starts_with('/'));
        if url.origin() != self.url.origin() || !within || !url.username().is_empty() || url.password().is_some() {
            return Err("gives an address for the next page that is not below its own".to_owned());
        }
        Ok(url)
    }

    /// The token of an answer; refused where it shows that ours is of another history.
    fn token(&self, token: &Token, from: &From, reply: &Reply) -> Result<Option<String>, RemoteError> {
        let now = reply.header(&token.header).ok_or_else(|| nonsense(reply, &format!("has no {} header", token.header)))?;
        if let (true, From::Token(before)) = (token.grows, from) {
            let number = |text: &str| text.trim_matches('"').parse::<u64>().ok();
            if number(now) < number(before) {
                let what = "the remote's clock of changes went back: it is not the history we know";
                return Err(RemoteError::new(Failure::CheckpointRefused, what));
            }
        }
        Ok(Some(now.to_owned()))
    }
}

/// What an answer says of what follows it.
enum Forward {
    /// Nothing does.
    End,
    /// This does.
    Told(String),
    /// Nothing: it is counted.
    Counted,
}

/// A stamp, and what stands behind it, of a page kept from before.
fn place(key: &str) -> Result<(Timestamp, &str), RemoteError> {
    let parts = key.split_once('/').and_then(|(at, rest)| Some((Timestamp::from_unix_ms(at.parse().ok()?), rest)));
    parts.ok_or_else(|| refused("the page kept from before is no place by stamp"))
}

fn step(key: &str) -> Result<Step, RemoteError> {
    Step::read(key).ok_or_else(|| refused("the page kept from before is no place by stamp"))
}

fn refused(why: &str) -> RemoteError {
    RemoteError::new(Failure::CheckpointRefused, why)
}

/// The address under a relation in a `Link` header (RFC 8288).
pub(super) fn link(mut rest: &str, relation: &str) -> Option<String> {
    while let Some(start) = rest.find('<') {
        let end = start + rest[start..].find('>')?;
        let target = &rest[start + 1..end];
        let mut parameters = &rest[end + 1..];
        // A comma inside quotes belongs to a parameter, one outside ends the link.
        let mut quoted = false;
        let stop = parameters.find(|one| {
            quoted ^= one == '"';
            one == ',' && !quoted
        });
        rest = stop.map_or("", |stop| &parameters[stop + 1..]);
        parameters = stop.map_or(parameters, |stop| &parameters[..stop]);
        let is_it = parameters.split(';').filter_map(|one| one.split_once('=')).any(|(name, value)| {
            name.trim().eq_ignore_ascii_case("rel")
                && value.trim().trim_matches('"').split_ascii_whitespace().any(|one| one.eq_ignore_ascii_case(relation))
        });
        if is_it {
            return Some(target.trim().to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_by_their_relation() {
        let check = |links: &str, expect: Option<&str>| assert_eq!(link(links, "next").as_deref(), expect, "{links}");
        check("", None);
        check("<http://a/?p=2>; rel=\"next\"", Some("http://a/?p=2"));
        check("<a>; rel=\"first\", <b>; rel=next , <c>; rel=\"last\"", Some("b"));
        check("<a>; title=\"x, rel=next\"; rel=prev, <b,c;d>; rel=\"up Next\"", Some("b,c;d"));
        check("<a>; rel=\"nextish\"", None);
        check("<a", None);
        check("a; rel=next", None);
    }

    #[test]
    fn links_may_come_in_several_lines() {
        let mut headers = reqwest::header::HeaderMap::new();
        for line in ["<a>; rel=\"first\"", "<b>; rel=\"next\""] {
            headers.append("link", line.parse().unwrap());
        }
        let url = "http://localhost/".parse().unwrap();
        let reply = Reply { status: reqwest::StatusCode::OK, headers, body: Vec::new(), url, large: None, shown: None };
        assert_eq!(reply.list("link").and_then(|links| link(&links, "next")).as_deref(), Some("b"));
        assert_eq!(reply.list("other"), None);
    }
}
