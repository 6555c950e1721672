//! Owns: walking a listing by stamps: where the next page begins, also where many rows have one stamp.
//! Must never know: how a page is asked for.
//!
//! A page begins at the stamp of the last row of the page before, so nothing is missed while records change and move to the end.
//! Only where a whole page has the stamp that it began with are pages counted. Then a record that moves away lets the others slip
//! one place forward, and one of them from a page that is still to come into one that is past: so what was counted is read once
//! more, backwards, which meets it.

use mingle_core::time::Timestamp;

/// A page of such a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// It lists rows from this stamp on.
    pub at: Timestamp,
    /// And is this page of them.
    pub page: u64,
    /// Set on the way back: where the listing goes on after it, if it does.
    back: Option<Option<Timestamp>>,
}

impl Step {
    /// The first page of a listing from this stamp on.
    #[must_use]
    pub const fn from(at: Timestamp, first: u64) -> Self {
        Self { at, page: first, back: None }
    }

    /// As it is kept.
    #[must_use]
    pub fn key(&self) -> String {
        let here = format!("{}/{}", self.at.unix_ms(), self.page);
        match self.back {
            None => here,
            Some(None) => format!("{here}<"),
            Some(Some(then)) => format!("{here}<{}", then.unix_ms()),
        }
    }

    /// As it was kept; none where it is no such thing.
    #[must_use]
    pub fn read(key: &str) -> Option<Self> {
        let stamp = |text: &str| text.parse().ok().map(Timestamp::from_unix_ms);
        let (at, rest) = key.split_once('/')?;
        let (page, back) = match rest.split_once('<') {
            None => (rest, None),
            Some((page, "")) => (page, Some(None)),
            Some((page, then)) => (page, Some(Some(stamp(then)?))),
        };
        Some(Self { at: stamp(at)?, page: page.parse().ok()?, back })
    }
}

/// What follows a page. `here`: that page, none for the first of a listing from the start. `last`: the stamp of its last row, none
/// where nothing is behind it. `same`: whether the service tells two stamps apart.
#[must_use]
pub fn after(
    here: Option<Step>,
    first: u64,
    last: Option<Timestamp>,
    same: impl Fn(Timestamp, Timestamp) -> bool,
) -> Option<Step> {
    let onward = |then: Option<Timestamp>| then.map(|at| Step::from(at, first));
    let Some(here) = here else { return onward(last) };
    let back = match (here.back, last) {
        (Some(then), _) => then,
        (None, Some(last)) if same(here.at, last) => return Some(Step { page: here.page.saturating_add(1), ..here }),
        (None, last) => last,
    };
    if here.page > first { Some(Step { page: here.page - 1, back: Some(back), ..here }) } else { onward(back) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Walks rows (a stamp each, in order), two a page; after each page, what `moves` says moves to the end.
    #[track_caller]
    fn check(stamps: &[i64], moves: &[usize], pages: &str) {
        let mut rows: Vec<(i64, usize)> = stamps.iter().copied().enumerate().map(|(id, at)| (at, id)).collect();
        let (mut seen, mut asked, mut moves) = (vec![false; rows.len()], Vec::new(), moves.iter());
        let (mut here, mut clock) = (None::<Step>, 1000);
        loop {
            let from = here.map_or(i64::MIN, |step| step.at.unix_ms());
            let skip = here.map_or(0, |step| usize::try_from(step.page - 1).unwrap() * 2);
            let found: Vec<_> = rows.iter().filter(|(at, _)| *at >= from).skip(skip).copied().collect();
            let page = &found[..found.len().min(2)];
            page.iter().for_each(|(_, id)| seen[*id] = true);
            let last = page.last().filter(|_| found.len() > 2).map(|(at, _)| Timestamp::from_unix_ms(*at));
            asked.push(here.map_or("start".into(), |step| step.key()));
            assert_eq!(here, here.and_then(|step| Step::read(&step.key())), "a key is read as it was written");
            here = after(here, 1, last, |a, b| a == b);
            if here.is_none() {
                break;
            }
            assert!(asked.len() < 50, "it does not end: {asked:?}");
            if let Some(id) = moves.next() {
                let at = rows.iter().position(|(_, one)| one == id).unwrap();
                rows.remove(at);
                clock += 1;
                rows.push((clock, *id));
            }
        }
        assert_eq!((asked.join(" ").as_str(), seen.iter().all(|seen| *seen)), (pages, true), "{stamps:?}");
    }

    #[test]
    fn a_walk_meets_every_row() {
        check(&[], &[], "start");
        check(&[1, 2], &[], "start");
        check(&[1, 2, 3], &[], "start 2/1");
        check(&[1, 2, 3], &[0], "start 2/1 3/1");
        check(&[1, 1, 1], &[], "start 1/1 1/2 1/1<");
        check(&[1, 1, 1, 1, 2, 3], &[], "start 1/1 1/2 1/3 1/2< 1/1<");
        check(&[1, 1, 1, 2, 2, 3], &[], "start 1/1 1/2 1/1<2 2/1 2/2 2/1<");
        check(&[1, 1, 1, 1, 1], &[0, 1, 2], "start 1/1 1/2 1/1<1001 1001/1 1002/1");
        check(&[1, 1, 1, 1, 1, 1], &[0, 1, 2], "start 1/1 1/2 1/3 1/2< 1/1<");
    }

    #[test]
    fn what_is_no_key_is_none() {
        for text in ["", "1", "1/", "/1", "a/1", "1/a", "1/1<a"] {
            assert_eq!(Step::read(text), None, "{text}");
        }
    }
}
