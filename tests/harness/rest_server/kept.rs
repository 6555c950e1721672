//! Owns: the service written down and brought back, so that a store of long ago meets the service that it knew. Must never know: HTTP.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

use super::{Options, RestServer, State, Stored};

impl RestServer {
    /// All that it holds.
    #[must_use]
    pub fn dump(&self) -> Value {
        let state = self.state();
        let rows = |rows: &BTreeMap<String, Stored>| -> Value {
            rows.iter().map(|(id, row)| (id.clone(), json!({ "seq": row.seq, "at_ms": row.at_ms, "props": row.props }))).collect()
        };
        let lists: Value = state.lists.iter().map(|(name, list)| (name.clone(), rows(list))).collect();
        json!({ "instance": state.instance, "seq": state.seq, "lists": lists })
    }

    /// Starts one that holds what [`RestServer::dump`] gave.
    ///
    /// # Panics
    /// When it is no such dump.
    #[must_use]
    pub fn restored(options: Options, dump: &Value) -> Self {
        let number = |value: &Value| value.as_u64().expect("a number");
        let object = |value: &Value| value.as_object().expect("an object").clone();
        let row = |row: &Value| Stored {
            seq: number(&row["seq"]),
            at_ms: number(&row["at_ms"]),
            props: row["props"].as_object().cloned(),
        };
        let lists = object(&dump["lists"])
            .iter()
            .map(|(name, rows)| (name.clone(), object(rows).iter().map(|(id, one)| (id.clone(), row(one))).collect()))
            .collect();
        let instance = dump["instance"].as_str().expect("an instance").into();
        let (faults, log, answered) = (VecDeque::new(), Vec::new(), BTreeMap::new());
        Self::serve(State { options, instance, seq: number(&dump["seq"]), lists, faults, log, answered })
    }
}
