//! Owns: entries for the journal of systemd, each with its fields, in the journal's own form. Must never know: what is logged.
//!
//! `journalctl MINGLE_SYNC=languages` finds what concerns one sync: every field of an entry is one of the journal's, its name in
//! capitals behind `MINGLE_`.

use std::{fmt, os::unix::net::UnixDatagram};

use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

use super::{LINE_BYTES_MAX, Line, LineWriter};

/// Where the journal takes entries.
const PLACE: &str = "/run/systemd/journal/socket";

/// The way to the journal.
pub(super) struct Journal(UnixDatagram);

impl Journal {
    /// None: there is no journal that takes entries; then lines to standard error have to do.
    pub(super) fn connect() -> Option<Self> {
        let socket = UnixDatagram::unbound().ok()?;
        socket.connect(PLACE).ok()?;
        Some(Self(socket))
    }

    pub(super) fn send(&self, entry: &[u8]) {
        let _ = self.0.send(entry);
    }
}

/// Makes an entry of each event.
pub(super) struct Entries {
    writer: LineWriter,
}

impl Entries {
    pub(super) const fn new(writer: LineWriter) -> Self {
        Self { writer }
    }
}

impl<S: Subscriber> Layer<S> for Entries {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        self.writer.send(Line::Entry(fields.entry(*event.metadata().level(), event.metadata().target())));
    }
}

/// What an event says.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, String)>,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.take(field.name(), format!("{value:?}"));
    }
}

impl Fields {
    fn take(&mut self, name: &'static str, value: String) {
        if name == "message" {
            self.message = value;
        } else {
            self.others.push((name, value));
        }
    }

    fn entry(&self, level: Level, target: &str) -> Vec<u8> {
        let mut message = self.message.clone();
        for (name, value) in &self.others {
            message.push_str(&format!(" {name}={value}"));
        }
        let mut entry = Vec::new();
        add(&mut entry, "MESSAGE", &message);
        add(&mut entry, "PRIORITY", priority(level));
        add(&mut entry, "SYSLOG_IDENTIFIER", "mingled");
        add(&mut entry, "MINGLE_TARGET", target);
        for (name, value) in &self.others {
            let name: String =
                name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
            add(&mut entry, &format!("MINGLE_{name}"), value);
        }
        entry
    }
}

/// The numbers of syslog.
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "3",
        Level::WARN => "4",
        Level::INFO => "6",
        _ => "7",
    }
}

/// One field. A value of several lines goes with its length before it.
fn add(entry: &mut Vec<u8>, name: &str, value: &str) {
    let mut end = value.len().min(LINE_BYTES_MAX.saturating_sub(entry.len()));
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    let value = &value.as_bytes()[..end];
    entry.extend_from_slice(name.as_bytes());
    if value.contains(&b'\n') {
        entry.push(b'\n');
        entry.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        entry.push(b'=');
    }
    entry.extend_from_slice(value);
    entry.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_has_its_fields() {
        let fields =
            Fields { message: "a run begins".into(), others: vec![("sync", "things".into()), ("end-at", "a\nb".into())] };
        let mut expected = b"MESSAGE\n".to_vec();
        let message = b"a run begins sync=things end-at=a\nb";
        expected.extend_from_slice(&(message.len() as u64).to_le_bytes());
        expected.extend_from_slice(message);
        expected.extend_from_slice(b"\nPRIORITY=4\nSYSLOG_IDENTIFIER=mingled\nMINGLE_TARGET=mingled::run\nMINGLE_SYNC=things\n");
        expected.extend_from_slice(b"MINGLE_END_AT\n\x03\0\0\0\0\0\0\0a\nb\n");
        let entry = fields.entry(Level::WARN, "mingled::run");
        assert_eq!(String::from_utf8_lossy(&entry), String::from_utf8_lossy(&expected));
    }

    #[test]
    fn an_entry_is_bounded() {
        let fields = Fields { message: "ä".repeat(LINE_BYTES_MAX), others: vec![("more", "x".repeat(LINE_BYTES_MAX))] };
        assert!(fields.entry(Level::INFO, "t").len() < LINE_BYTES_MAX + 200);
    }
}
