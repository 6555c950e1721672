//! Owns: which headers of its own a service tells its limit with, and asking for what is kept.
//! Must never know: what is asked, what follows from a limit.

use mingle_core::{limits, planted, replica::RemoteError};
use reqwest::{
    Method, Url,
    header::{self, HeaderMap, HeaderName},
};

use super::{
    Rest,
    page::link,
    profile::{Limits, List, More, Next, Profile, ResetForm},
};
use crate::remotes::{
    budget::headers::Own,
    http::Reply,
    kept::{self, Name},
};

/// What the profile says of limits, beyond the headers that everybody knows.
pub(super) fn own(limits: &Limits) -> Option<Own> {
    let (reset, seconds) = match &limits.reset {
        Some(reset) => (Some(reset.header.clone()), reset.form == ResetForm::Seconds),
        None => (None, false),
    };
    Some(Own { remaining: limits.remaining.clone()?, reset, seconds })
}

/// The headers that an answer to a listing is read by, beside its type.
pub(super) fn heads(profile: &Profile) -> Vec<HeaderName> {
    let list = &profile.list;
    let links = matches!(list.next, Some(Next::Link(_))) || matches!(list.more, Some(More::Link(_)));
    let next = if let Some(Next::Header(name)) = &list.next { Some(name) } else { None };
    let more = if let Some(More::Header(name)) = &list.more { Some(name) } else { None };
    let named = [next, more, list.token.as_ref().map(|token| &token.header), list.total_header.as_ref()];
    let meanings = profile.meaning.iter().filter_map(|meaning| meaning.header.as_ref());
    let named = named.into_iter().flatten().chain(meanings).filter_map(|name| HeaderName::from_bytes(name.as_bytes()).ok());
    named.chain(links.then_some(header::LINK)).collect()
}

/// Whether an answer that is the same again has the same that follows it. Where that is told in a header, many services make the `ETag` of
/// the body alone, and have no such header in a 304: of a full page that was the last, it would be so for ever.
pub(super) fn tells_what_follows(list: &List, reply: &Reply, count: usize, page_rows: usize) -> bool {
    let named = match (&list.next, &list.more) {
        (Some(Next::Link(relation)), _) | (_, Some(More::Link(relation))) => {
            reply.list("link").is_some_and(|links| link(&links, relation).is_some())
        }
        (Some(Next::Header(name)), _) | (_, Some(More::Header(name))) => reply.header(name).is_some(),
        _ => true,
    };
    named || (list.is_sized() && count < page_rows) || planted::is("a full page that was the last is the last for ever")
}

impl Rest {
    /// Asks for something that may have been asked for before: where nothing changed, the former answer counts. With its name, where it is
    /// kept.
    pub(super) async fn asked_again(&self, url: Url) -> Result<(Reply, Option<Name>), RemoteError> {
        // What stands in addresses is repeated in addresses: those of next pages, in heads and bodies.
        let Some(marks) = self.means.http.marks.filter(|_| self.login.query.is_none()) else {
            return Ok((self.ask(url).await?, None));
        };
        let mut request = self.request(Method::GET, url, HeaderMap::new(), None);
        let name = kept::name(&marks, &request, self.login.who());
        let kept = &self.means.http.by.kept;
        if let Some(validator) = kept.validator(&name) {
            request.headers.insert(header::IF_NONE_MATCH, validator);
        }
        let reply = self.exchange(request).await.map_err(|lost| lost.error)?;
        let reply = kept.settle(name, reply, &self.heads);
        if self.tells_the_login(&reply) {
            kept.forget(&name);
        }
        Ok((reply, Some(name)))
    }

    /// Whether an answer would take the login along to where it is kept.
    fn tells_the_login(&self, reply: &Reply) -> bool {
        let told = |text: &[u8]| self.login.is_told_in(text, reply.shown.as_ref());
        let headed = |name: &HeaderName| reply.headers.get_all(name).iter().any(|value| told(value.as_bytes()));
        // What is too large is not kept in any case.
        reply.body.len() <= limits::KEPT_BYTES_MAX
            && (told(&reply.body) || self.heads.iter().chain([&header::ETAG, &header::CONTENT_TYPE]).any(headed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: &str = "version = 1\nabout = \"\"\nexample = \"\"\n[abilities]\ncursor = \"none\"\nerrands_max = 1\npage_rows = 10\n\
        [row]\nid = \"/id\"\n[get]\npath = \"/{id}\"\nrow = \"\"\n[list]\npath = \"\"\nrows = \"\"\n";

    fn reply(headers: &[(&'static str, &'static str)]) -> Reply {
        let headers = headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect();
        Reply {
            status: reqwest::StatusCode::OK,
            headers,
            body: Vec::new(),
            url: "http://localhost/".parse().unwrap(),
            large: None,
            shown: None,
        }
    }

    #[test]
    fn a_full_page_that_was_the_last_need_not_be_it_still() {
        const SIZED: &str = "query = { rows = \"{page_rows}\", page = \"{page}\" }\n";
        #[track_caller]
        fn check(list: &str, headers: &[(&'static str, &'static str)], count: usize, tells: bool) {
            let profile = Profile::read("test", &format!("{PROFILE}validates = true\n{list}")).unwrap();
            assert_eq!(tells_what_follows(&profile.list, &reply(headers), count, 10), tells, "{list} {headers:?} {count}");
        }
        for (list, header, value) in [
            ("next = { link = \"next\" }", "link", "<a>; rel=\"next\""),
            ("next = { header = \"onward\" }", "onward", "/a"),
            ("next = { number = 1 }\nmore = { link = \"next\" }", "link", "<a>; rel=\"next\""),
            ("next = { offset = 0 }\nmore = { header = \"onward\" }", "onward", "/a"),
        ] {
            let sized = format!("{SIZED}{list}");
            check(&sized, &[], 10, false);
            check(&sized, &[], 11, false);
            check(&sized, &[], 9, true);
            check(&sized, &[(header, value)], 10, true);
            check(&sized, &[("other", value)], 10, false);
            // How many rows would be all is not known.
            if list.starts_with("next = { link") || list.starts_with("next = { header") {
                check(list, &[], 9, false);
                check(list, &[(header, value)], 9, true);
            }
        }
        // The body tells it.
        for list in ["", "next = { cursor = \"/next\" }", "next = { number = 1 }", "next = { number = 1 }\nmore = \"full_page\""]
        {
            check(&format!("{SIZED}{list}"), &[], 10, true);
        }
    }

    #[cfg(feature = "planted")]
    #[test]
    fn planted_bugs_are_found() {
        planted::set_here(Some("a full page that was the last is the last for ever"));
        let found = std::panic::catch_unwind(a_full_page_that_was_the_last_need_not_be_it_still).is_err();
        planted::set_here(None);
        assert!(found);
    }

    #[test]
    fn what_is_read_of_an_answer_is_kept_with_it() {
        let of = |next: &str| {
            let rest = "total_header = \"x-total\"\ntoken = { header = \"x-token\" }\n[[meaning]]\nstatus = [200]\nheader = \"x-state\"\nmeans = \"trouble\"\n";
            let query = "query = { rows = \"{page_rows}\", page = \"{page}\" }";
            heads(&Profile::read("test", &format!("{PROFILE}{query}\n{next}\n{rest}")).unwrap())
        };
        assert_eq!(of("next = { header = \"Onward\" }"), ["onward", "x-token", "x-total", "x-state"]);
        assert_eq!(of("next = { link = \"next\" }"), ["x-token", "x-total", "x-state", "link"]);
        assert_eq!(of("next = { number = 1 }\nmore = { link = \"next\" }"), ["x-token", "x-total", "x-state", "link"]);
        assert_eq!(of("next = { number = 1 }\nmore = { header = \"onward\" }"), ["onward", "x-token", "x-total", "x-state"]);
    }
}
