//! Owns: the OpenRPC document that `rpc.discover` answers, as it is committed. Must never know: how it is made (a test makes it from the
//! types, and holds the two together).

use std::sync::LazyLock;

use serde_json::Value;

use crate::Raw;

/// The document as it is committed, laid out for people.
pub const TEXT: &str = include_str!("../openrpc.json");

/// The document, on one line.
#[must_use]
pub fn document() -> Raw {
    static LINE: LazyLock<Raw> = LazyLock::new(|| {
        let read: Value = serde_json::from_str(TEXT).unwrap_or_default();
        serde_json::value::to_raw_value(&read).unwrap_or_default()
    });
    LINE.clone()
}
