//! Owns: the core's values as text: JSON, and contacts, appointments and tasks as vCard and iCalendar.
//! Must never know: whose text it is, where it lies, or how it came.

use std::collections::BTreeMap;

use mingle_core::record::Props;

mod edit;
mod item;
pub mod json;
mod lines;
pub mod name;
mod shown;

pub use edit::{edited, made, turned};
pub use item::NOT_CARRIED;

/// What the items of a collection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// vCards: it is an address book.
    Cards,
    /// Events and tasks: it is a calendar.
    Events,
}

impl Holds {
    /// What the name of a file with one ends with.
    #[must_use]
    pub const fn ending(self) -> &'static str {
        match self {
            Self::Cards => ".vcf",
            Self::Events => ".ics",
        }
    }

    /// The type of its text.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Cards => "text/vcard; charset=utf-8",
            Self::Events => "text/calendar; charset=utf-8",
        }
    }
}

/// The text that bytes are.
///
/// # Errors
/// They are none.
pub fn text_of(bytes: Vec<u8>) -> Result<String, String> {
    let error = match String::from_utf8(bytes) {
        Ok(text) => return Ok(text),
        Err(error) => error,
    };
    String::from_utf8(lines::joined(error.as_bytes())).map_err(|_| "it is not UTF-8".into())
}

/// The contact, the event or the task that a text with one of them shows.
///
/// # Errors
/// Why it shows none.
pub fn read(holds: Holds, text: &str) -> Result<Props, String> {
    item::read(holds, text).map(|whole| whole.shown())
}

/// Reads a text as everything that a server may send, and edits it; for whoever tries texts.
///
/// # Errors
/// What was lost of it: nothing ever is.
pub fn tried(text: &str) -> Result<(), String> {
    for (holds, name) in [(Holds::Cards, "nicknames"), (Holds::Events, "title")] {
        let Ok(before) = lines::Component::read(text) else { return Ok(()) };
        let patch = BTreeMap::from([(name.to_owned(), None)]);
        let Ok(turned) = edited(holds, text, &patch) else { continue };
        let after = lines::Component::read(&turned).map_err(|why| format!("an edited text is none: {why}"))?;
        if odd(&before) != odd(&after) || read(holds, &turned)?.contains_key(name) {
            return Err(format!("an edit did more or less than it should: {turned}"));
        }
    }
    Ok(())
}

/// Odd lines, at any depth.
fn odd(one: &lines::Component) -> usize {
    one.lines().filter(|line| line.name().starts_with("X-ODD")).count() + one.inner().map(odd).sum::<usize>()
}
