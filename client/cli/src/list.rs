//! Owns: `mingle list`. Must never know: how a filter is evaluated.

use mingle_client::call::{self, Record, Test, Where};

use crate::{
    at::At,
    exit::{Exit, Failure},
    fresh::{self, Fresh},
    input,
    words::plain,
};

/// Print the records of a collection, one a line: id, data.
///
/// A test compares a property: state=open 'n>3' 'n<=9' who!=me; all must hold. The value is JSON where it reads as such, else a text.
#[derive(Debug, clap::Args)]
pub struct List {
    /// The collection.
    collection: String,
    /// Only records that pass these tests: PROP=VALUE, also != < <= > >=.
    #[arg(value_name = "PROP=VALUE", value_parser = input::test)]
    tests: Vec<Test>,
    /// By these properties, the first decides first; -PROP turns one round.
    #[arg(long, value_name = "PROP", value_delimiter = ',', allow_hyphen_values = true)]
    order: Vec<String>,
    /// How many at most; all where left out.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    #[command(flatten)]
    fresh: Fresh,
}

/// Records a page: fewer round trips than the daemon's own page, and no long silence.
const PAGE: u64 = 500;

impl List {
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        let (max_age_ms, timeout_ms) = self.fresh.asked();
        let mut call = call::List {
            collection: self.collection,
            where_: (!self.tests.is_empty()).then_some(Where(self.tests)),
            order: (!self.order.is_empty()).then_some(self.order),
            max_age_ms,
            timeout_ms,
            ..call::List::default()
        };
        let mut left = self.limit;
        loop {
            let page = left.map_or(PAGE, |left| left.min(PAGE));
            call.limit = u32::try_from(page).ok();
            let answer = at.show(call.clone(), |answer| answer.records.iter().map(line).collect())?;
            fresh::note(at, answer.fresh.as_ref());
            left = left.map(|left| left.saturating_sub(answer.records.len() as u64));
            match answer.cursor {
                Some(cursor) if left != Some(0) => call.cursor = Some(cursor),
                _ => return Ok(Exit::Done),
            }
        }
    }
}

fn line(record: &Record) -> String {
    format!("{}\t{}\n", plain(&record.id), plain(record.data.get()).replace('\n', " "))
}
