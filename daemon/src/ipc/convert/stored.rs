//! Owns: answers that carry stored records, written without reading them. Must never know: what is in a record.
//!
//! Each type here writes what its namesake in `proto` writes; a test holds the two together. `proto`'s own types hold their data as
//! `RawValue`, which checks the text it is made from: for a page of records that costs more than everything else.

use mingle_core::ask::{Change, ChangeKind, Changes, Found, Rows};
use mingle_proto::call;
use serde::{Serialize, Serializer, ser::SerializeStruct};

/// The name by which `serde_json` takes a text for JSON that is written already (its feature `raw_value`). A test holds it.
const RAW: &str = "$serde_json::private::RawValue";

/// JSON text as the store has it; written as it is.
pub(in crate::ipc) struct Stored<'a>(pub &'a str);

impl Serialize for Stored<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut raw = to.serialize_struct(RAW, 1)?;
        raw.serialize_field(RAW, self.0)?;
        raw.end()
    }
}

/// One record, as [`call::Record`].
#[derive(Serialize)]
pub(in crate::ipc) struct RecordOut<'a> {
    id: &'a str,
    data: Stored<'a>,
    seq: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    fresh: Option<call::Freshness>,
}

impl<'a> RecordOut<'a> {
    pub(in crate::ipc) fn of(found: &'a Found, fresh: Option<call::Freshness>) -> Self {
        Self { id: &found.id, data: Stored(&found.data), seq: found.seq, fresh }
    }
}

/// A page of records, as [`call::ListAnswer`], written while the records are found: of a page of a hundred, two copies of each cost as
/// much as everything else.
pub(in crate::ipc) struct ListOut<'a> {
    out: &'a mut Vec<u8>,
    /// Where it begins in `out`.
    at: usize,
    failed: serde_json::Result<()>,
}

impl<'a> ListOut<'a> {
    pub(in crate::ipc) fn to(out: &'a mut Vec<u8>) -> Self {
        let at = out.len();
        Self { out, at, failed: Ok(()) }
    }

    /// The page is whole.
    pub(in crate::ipc) fn end(self, cursor: Option<&str>, fresh: Option<&call::Freshness>) -> serde_json::Result<()> {
        self.failed?;
        self.out.push(b']');
        if let Some(cursor) = cursor {
            self.out.extend_from_slice(b",\"cursor\":");
            serde_json::to_writer(&mut *self.out, cursor)?;
        }
        if let Some(fresh) = fresh {
            self.out.extend_from_slice(b",\"fresh\":");
            serde_json::to_writer(&mut *self.out, fresh)?;
        }
        self.out.push(b'}');
        Ok(())
    }

    fn append(&mut self, id: &str, data: &str, seq: u64) -> serde_json::Result<()> {
        let comma: &[u8] = if self.out.last() == Some(&b'[') { b"{\"id\":" } else { b",{\"id\":" };
        self.out.extend_from_slice(comma);
        serde_json::to_writer(&mut *self.out, id)?;
        self.out.extend_from_slice(b",\"data\":");
        self.out.extend_from_slice(data.as_bytes());
        self.out.extend_from_slice(b",\"seq\":");
        serde_json::to_writer(&mut *self.out, &seq)?;
        self.out.push(b'}');
        Ok(())
    }
}

impl Rows for ListOut<'_> {
    fn begin(&mut self) {
        self.out.truncate(self.at);
        self.out.extend_from_slice(b"{\"records\":[");
    }

    fn row(&mut self, id: &str, data: &str, seq: u64) {
        if self.failed.is_ok() {
            self.failed = self.append(id, data, seq);
        }
    }
}

/// A page of the feed, as [`call::ChangesAnswer`].
#[derive(Serialize)]
pub(in crate::ipc) struct ChangesOut<'a> {
    changes: Each<'a, Change>,
    seq: u64,
    more: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    fresh: bool,
}

impl<'a> ChangesOut<'a> {
    pub(in crate::ipc) fn of(changes: &'a Changes) -> Self {
        Self { changes: Each(&changes.changes), seq: changes.seq, more: changes.more, fresh: changes.fresh }
    }
}

/// A page of a subscription, as [`mingle_proto::event::Changed`].
pub(in crate::ipc) struct ChangedOut(String);

impl ChangedOut {
    /// What is the same for all who are told it: the members of [`ChangesOut`] as JSON, without the brace that opens them.
    pub(in crate::ipc) fn page(changes: &Changes) -> serde_json::Result<String> {
        let mut text = serde_json::to_string(&ChangesOut::of(changes))?;
        text.remove(0);
        Ok(text)
    }

    /// Such a page, for one of them.
    pub(in crate::ipc) fn of(subscription: u64, page: &str) -> Self {
        Self(format!("{{\"subscription\":{subscription},{page}"))
    }
}

impl Serialize for ChangedOut {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        Stored(&self.0).serialize(to)
    }
}

/// A list that is written without making one.
struct Each<'a, T>(&'a [T]);

#[derive(Serialize)]
struct ChangeOut<'a> {
    collection: &'a str,
    id: &'a str,
    seq: u64,
    kind: call::ChangeKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Stored<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alias: Option<&'a str>,
}

impl Serialize for Each<'_, Change> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.iter().map(|change| ChangeOut {
            collection: &change.collection,
            id: &change.id,
            seq: change.seq,
            kind: kind(change.kind),
            data: change.data.as_deref().map(Stored),
            alias: change.alias.as_deref(),
        }))
    }
}

pub(super) fn kind(kind: ChangeKind) -> call::ChangeKind {
    match kind {
        ChangeKind::Created => call::ChangeKind::Created,
        ChangeKind::Updated => call::ChangeKind::Updated,
        ChangeKind::Deleted => call::ChangeKind::Deleted,
        ChangeKind::Left => call::ChangeKind::Left,
    }
}

#[cfg(test)]
mod tests {
    use mingle_proto::event::Changed;
    use serde::de::DeserializeOwned;

    use super::*;

    /// What we write is what `proto` would write.
    #[track_caller]
    fn check<T: Serialize + DeserializeOwned>(ours: &impl Serialize, expect: &str) {
        let ours = serde_json::to_string(ours).unwrap();
        assert_eq!(ours, expect);
        let theirs: T = serde_json::from_str(&ours).unwrap();
        assert_eq!(serde_json::to_string(&theirs).unwrap(), ours);
    }

    #[test]
    fn stored_text_goes_out_as_it_is() {
        let record = |data: &str| Found { id: "a\"b".into(), data: data.into(), seq: 7 };
        let odd = r#"{ "n": 1.50, "n": 12345678901234567890123 }"#;
        check::<call::Record>(&RecordOut::of(&record(odd), None), &format!(r#"{{"id":"a\"b","data":{odd},"seq":7}}"#));
        let fresh = call::Freshness { met: true, ..call::Freshness::default() };
        check::<call::Record>(
            &RecordOut::of(&record("{}"), Some(fresh)),
            r#"{"id":"a\"b","data":{},"seq":7,"fresh":{"met":true}}"#,
        );
    }

    #[test]
    fn a_page_is_written_while_it_is_read() {
        #[track_caller]
        fn check_page(rows: &[(&str, &str)], cursor: Option<&str>, fresh: bool, expect: &str) {
            let mut out = b"before".to_vec();
            let mut page = ListOut::to(&mut out);
            // The first try met a disk that fails.
            page.begin();
            page.row("lost", "{}", 1);
            page.begin();
            rows.iter().for_each(|(id, data)| page.row(id, data, 7));
            page.end(cursor, fresh.then(call::Freshness::default).as_ref()).unwrap();
            let ours = String::from_utf8(out).unwrap();
            let ours = ours.strip_prefix("before").unwrap();
            check::<call::ListAnswer>(&Stored(ours), expect);
        }
        check_page(&[], None, false, r#"{"records":[]}"#);
        check_page(&[("[", "{}")], None, true, r#"{"records":[{"id":"[","data":{},"seq":7}],"fresh":{"met":false}}"#);
        let each = r#"{"id":"a\"b","data":{ "n": 1.50 },"seq":7},{"id":"[","data":{"a":[]},"seq":7}"#;
        check_page(
            &[("a\"b", "{ \"n\": 1.50 }"), ("[", "{\"a\":[]}")],
            Some("c\""),
            false,
            &format!(r#"{{"records":[{each}],"cursor":"c\""}}"#),
        );
    }

    #[test]
    fn pages_of_the_feed_go_out_as_they_are() {
        let change = |kind, data: Option<&str>| Change {
            collection: "issues".into(),
            id: "1".into(),
            seq: 3,
            kind,
            data: data.map(str::to_owned),
            alias: (kind == ChangeKind::Left).then(|| "2".into()),
        };
        let mut page = Changes {
            changes: vec![change(ChangeKind::Created, Some("{\"a\":1.0}")), change(ChangeKind::Left, None)],
            seq: 9,
            more: true,
            fresh: true,
        };
        let made = r#"{"collection":"issues","id":"1","seq":3,"kind":"created","data":{"a":1.0}}"#;
        let left = r#"{"collection":"issues","id":"1","seq":3,"kind":"left","alias":"2"}"#;
        let tail = r#""seq":9,"more":true,"fresh":true}"#;
        check::<call::ChangesAnswer>(&ChangesOut::of(&page), &format!(r#"{{"changes":[{made},{left}],{tail}"#));
        let text = ChangedOut::page(&page).unwrap();
        check::<Changed>(&ChangedOut::of(5, &text), &format!(r#"{{"subscription":5,"changes":[{made},{left}],{tail}"#));
        page.fresh = false;
        page.changes.clear();
        check::<call::ChangesAnswer>(&ChangesOut::of(&page), r#"{"changes":[],"seq":9,"more":true}"#);
    }
}
