//! Owns: listing: the request for a page, its rows, and how the next one is found.
//! Must never know: what becomes of the rows.

use mingle_core::{
    record::Value,
    replica::{Failure, From, Page, RemoteError},
};
use reqwest::Url;

use super::{
    Rest, nonsense,
    profile::{Next, Token},
    rows,
};
use crate::remotes::http::Reply;

impl Rest {
    /// One page. `page` is a former page's `next`: an address below our own, or what stands for `{page}`.
    pub(super) async fn page(&self, from: &From, page: Option<&str>, page_rows: usize) -> Result<Page, RemoteError> {
        let url = self.page_url(from, page, page_rows)?;
        let list = &self.profile.list;
        let sized = list.query.values().any(|value| value.names().any(|name| name == "page_rows"));
        let reply = self.ask(url.clone()).await.map_err(|error| match error.kind {
            // Asked for fewer rows it would answer just the same.
            Failure::TooLarge if !sized => RemoteError::new(Failure::Nonsense, error.what)
                .hint("the profile's list.query has no {page_rows}: where the service takes a number of rows, say how"),
            Failure::TooLarge => error.hint("a single row is larger than what fits; it has to be made smaller at the remote"),
            _ => error,
        })?;
        if let (From::Token(_), Some(token)) = (from, &list.token)
            && token.refused.contains(&reply.status.as_u16())
        {
            return Err(RemoteError::new(Failure::CheckpointRefused, "the remote no longer knows where we were"));
        }
        if let Some(trouble) = self.trouble(&reply) {
            return Err(trouble);
        }
        let mut body = self.json(&reply)?;
        let next = self.next(&reply, &body, page)?;
        let value = list.rows.take(&mut body).ok_or_else(|| nonsense(&reply, &format!("has no rows at {}", list.rows)))?;
        let rows = rows::rows(&self.profile.row, value).map_err(|why| nonsense(&reply, &format!("makes no sense: {why}")))?;
        let next = match next {
            Forward::Key(key) => Some(key),
            Forward::Count(_) if rows.is_empty() => None,
            Forward::Count(count) => Some(count.after(rows.len()).to_string()),
            Forward::End => None,
        };
        // Whoever follows it would never come to an end.
        if next.is_some() && (next.as_deref() == page || next.as_deref() == Some(key_of(&url).as_str())) {
            return Err(nonsense(&reply, "says that its next page is the same page again"));
        }
        Ok(Page {
            rows,
            next,
            token: list.token.as_ref().map(|token| self.token(token, from, &reply)).transpose()?.flatten(),
            server_time: reply.server_time(),
            total: list.total_header.as_ref().and_then(|name| reply.header(name)?.trim().parse().ok()),
            bytes: reply.body.len() as u64,
        })
    }

    fn page_url(&self, from: &From, page: Option<&str>, page_rows: usize) -> Result<Url, RemoteError> {
        let list = &self.profile.list;
        if let (Some(page), Some(Next::Header(_) | Next::Link(_) | Next::Address(_))) = (page, &list.next) {
            return self.ours(&self.url, page).map_err(|why| RemoteError::new(Failure::CheckpointRefused, why));
        }
        let mut url = self.below(&list.path, None)?;
        let page_rows = page_rows.max(1).to_string();
        let since = match from {
            From::Start => None,
            From::Token(token) => Some(token.clone()),
            From::Stamp(at) => self.profile.row.modified.as_ref().map(|stamp| rows::written(*at, stamp.form)),
        };
        let first = match list.next {
            Some(Next::Number(first) | Next::Offset(first)) => Some(first.to_string()),
            _ => None,
        };
        let mut values = vec![("page_rows", page_rows.as_str())];
        values.extend(since.as_deref().map(|since| ("since", since)));
        values.extend(page.or(first.as_deref()).map(|page| ("page", page)));
        let filled: Vec<_> = list.query.iter().filter_map(|(name, value)| Some((name, value.fill(&values)?))).collect();
        if !filled.is_empty() {
            url.query_pairs_mut().extend_pairs(filled);
        }
        Ok(url)
    }

    /// What an answer says of the next page.
    fn next(&self, reply: &Reply, body: &Value, page: Option<&str>) -> Result<Forward, RemoteError> {
        let count = |first: u64, by_rows: bool| {
            let here = page.map_or(Some(first), |page| page.parse().ok());
            here.map(|here| Forward::Count(Count { here, by_rows }))
                .ok_or_else(|| RemoteError::new(Failure::CheckpointRefused, "the page kept from before is no number"))
        };
        let address = match &self.profile.list.next {
            None => None,
            Some(Next::Number(first)) => return count(*first, false),
            Some(Next::Offset(first)) => return count(*first, true),
            Some(Next::Cursor(at)) => {
                return Ok(match at.find(body) {
                    Some(Value::Text(key)) if !key.is_empty() => Forward::Key(key.clone()),
                    Some(Value::Number(key)) => Forward::Key(key.text().to_owned()),
                    _ => Forward::End,
                });
            }
            Some(Next::Header(name)) => reply.header(name).map(str::to_owned),
            Some(Next::Link(relation)) => reply.header("link").and_then(|links| link(links, relation)),
            Some(Next::Address(at)) => match at.find(body) {
                Some(Value::Text(address)) => Some(address.clone()),
                _ => None,
            },
        };
        let Some(address) = address else { return Ok(Forward::End) };
        let url = self.ours(&reply.url, &address).map_err(|why| nonsense(reply, &why))?;
        Ok(Forward::Key(key_of(&url)))
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

enum Forward {
    End,
    Key(String),
    Count(Count),
}

struct Count {
    here: u64,
    by_rows: bool,
}

impl Count {
    fn after(&self, rows: usize) -> u64 {
        self.here.saturating_add(if self.by_rows { rows as u64 } else { 1 })
    }
}

/// What is kept of an address: nothing that the settings say already.
fn key_of(url: &Url) -> String {
    match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    }
}

/// The address under a relation in a `Link` header (RFC 8288).
fn link(mut rest: &str, relation: &str) -> Option<String> {
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
}
