//! Owns: `mingle get`. Must never know: what is in a record.

use mingle_client::call;

use crate::{
    at::At,
    exit::{Exit, Failure},
    fresh::{self, Fresh},
};

/// Print one record.
#[derive(Debug, clap::Args)]
pub struct Get {
    /// The collection.
    collection: String,
    /// The record.
    id: String,
    #[command(flatten)]
    fresh: Fresh,
}

impl Get {
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        let (max_age_ms, timeout_ms) = self.fresh.asked();
        let call = call::Get { collection: self.collection, id: self.id, max_age_ms, timeout_ms };
        let record = at.show(call, |record| pretty(record.data.get()))?;
        fresh::note(at, record.fresh.as_ref());
        Ok(Exit::Done)
    }
}

/// The data, laid out for reading; numbers keep their written form. What a terminal would obey is escaped by JSON already.
fn pretty(data: &str) -> String {
    let value = serde_json::from_str::<serde_json::Value>(data);
    let laid_out = value.and_then(|value| serde_json::to_string_pretty(&value));
    crate::words::plain(&laid_out.unwrap_or_else(|_| data.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_form() {
        assert_eq!(
            pretty("{\"n\":1.50,\"m\":12345678901234567890123}"),
            "{\n  \"m\": 12345678901234567890123,\n  \"n\": 1.50\n}"
        );
    }
}
