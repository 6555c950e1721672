//! Owns: `mingle changes`, and how a change is said in a line. Must never know: the feed.

use std::collections::{BTreeMap, BTreeSet};

use mingle_client::call::{self, Change};

use crate::{
    at::At,
    exit::{Exit, Failure},
    words::plain,
};

/// Print what changed since a seq, each record once.
#[derive(Debug, clap::Args)]
pub struct Changes {
    /// The collections, or single records of them; all where left out.
    #[arg(value_name = "COLLECTION[/ID]")]
    wanted: Vec<String>,
    /// What is known already.
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    since: u64,
    /// With the records' data.
    #[arg(long)]
    data: bool,
}

impl Changes {
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        let (collections, ids) = wanted(self.wanted);
        let mut call = call::Changes { since: self.since, collections, ids, data: self.data, ..call::Changes::default() };
        loop {
            let answer = at.show(call.clone(), |answer| answer.changes.iter().map(line).collect())?;
            if !answer.more {
                if !at.json {
                    at.flush()?;
                    at.note(&format!("the next changes are those `--since {}`", answer.seq));
                }
                return Ok(Exit::Done);
            }
            call.since = answer.seq;
        }
    }
}

/// Collections by their names; and by collection the ids of which single records are wanted.
type Wanted = (Option<Vec<String>>, Option<BTreeMap<String, Vec<String>>>);

/// What `COLLECTION` and `COLLECTION/ID` ask for. A collection that is also named alone is wanted whole.
pub fn wanted(words: Vec<String>) -> Wanted {
    let (mut collections, mut ids) = (Vec::new(), BTreeMap::<String, Vec<String>>::new());
    let whole: BTreeSet<String> = words.iter().filter(|word| !word.contains('/')).cloned().collect();
    for word in words {
        let collection = word.split_once('/').map_or(word.as_str(), |(collection, _)| collection).to_owned();
        if let Some((_, id)) = word.split_once('/').filter(|_| !whole.contains(&collection)) {
            ids.entry(collection.clone()).or_default().push(id.to_owned());
        }
        if !collections.contains(&collection) {
            collections.push(collection);
        }
    }
    ((!collections.is_empty()).then_some(collections), (!ids.is_empty()).then_some(ids))
}

/// `42  updated  issues/i-1  {...}`; `43  left     issues/i-2  (now issues/i-1)`.
pub fn line(change: &Change) -> String {
    let data = change.data.as_ref().map(|data| format!("  {}", plain(data.get()).replace('\n', " "))).unwrap_or_default();
    let collection = plain(&change.collection);
    let alias = change.alias.as_ref().map(|alias| format!("  (now {collection}/{})", plain(alias))).unwrap_or_default();
    format!("{}  {:7}  {collection}/{}{data}{alias}\n", change.seq, change.kind, plain(&change.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(words: &str, expect: &str) {
        let (collections, ids) = wanted(words.split_whitespace().map(str::to_owned).collect());
        assert_eq!(serde_json::to_string(&(collections, ids)).expect("written"), expect, "{words}");
    }

    #[test]
    fn a_record_that_is_another_now_says_which() {
        let change = Change { collection: "a".into(), id: "2".into(), seq: 9, alias: Some("1".into()), ..Change::default() };
        assert_eq!(line(&change), "9  updated  a/2  (now a/1)\n");
    }

    #[test]
    fn a_collection_or_single_records_of_it() {
        check("", "[null,null]");
        check("a b", r#"[["a","b"],null]"#);
        check("a/1 b a/2/3", r#"[["a","b"],{"a":["1","2/3"]}]"#);
        check("a/1 a", r#"[["a"],null]"#);
    }
}
