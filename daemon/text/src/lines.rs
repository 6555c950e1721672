//! Owns: the lines of a vCard or an iCalendar text, as they were written, in the components in which they lie. Must never know: what any
//! line means.

use mingle_core::limits;

/// A component: what stands between its `BEGIN` and its `END`, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Component {
    /// Its name, in capital letters.
    pub(crate) name: String,
    begin: String,
    /// What is in it, in its order.
    pub(crate) parts: Vec<Part>,
    end: String,
}

/// A line of a component, or one inside of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// One line with its folds and its line end.
    Line(Line),
    /// One inside.
    Inner(Component),
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// As it was written, with its folds and its line end.
    raw: String,
    /// In one piece, without its line end.
    pub(crate) text: String,
}

impl Line {
    fn of(raw: &str) -> Self {
        let mut text = String::with_capacity(raw.len());
        for (count, physical) in raw.split_inclusive('\n').enumerate() {
            let physical = physical.strip_suffix('\n').unwrap_or(physical);
            let physical = physical.strip_suffix('\r').unwrap_or(physical);
            text.push_str(if count == 0 { physical } else { physical.get(1..).unwrap_or_default() });
        }
        Self { raw: raw.to_owned(), text }
    }

    /// The same where a text begins, without a mark of the order of its bytes.
    fn without_mark(mut self) -> Self {
        if let Some(text) = self.text.strip_prefix(BYTE_ORDER_MARK) {
            self.text = text.to_owned();
        }
        self
    }

    /// The name of its property, in capital letters, without its group.
    pub(crate) fn name(&self) -> String {
        let name = self.text.split([':', ';']).next().unwrap_or_default();
        name.rsplit_once('.').map_or(name, |(_, name)| name).trim().to_ascii_uppercase()
    }

    /// What follows the first colon outside of quotes.
    pub(crate) fn value(&self) -> &str {
        let mut quoted = false;
        let colon = self.text.find(|one| {
            quoted ^= one == '"';
            one == ':' && !quoted
        });
        colon.map_or("", |at| &self.text[at + 1..])
    }

    /// The same without these parameters.
    pub(crate) fn without(&self, names: &[&str]) -> Self {
        let head = self.text.len() - self.value().len();
        let (head, value) = self.text.split_at(head);
        let (head, colon) = head.strip_suffix(':').map_or((head, ""), |head| (head, ":"));
        let mut quoted = false;
        let parts = head.split(|one| {
            quoted ^= one == '"';
            one == ';' && !quoted
        });
        let named =
            |part: &&str| names.iter().any(|name| part.split('=').next().is_some_and(|own| own.eq_ignore_ascii_case(name)));
        let kept: Vec<&str> = parts.filter(|part| !named(part)).collect();
        Self::of(&format!("{}{colon}{value}", kept.join(";")))
    }

    /// The same line, to be written: folded, with a line end.
    fn folded(&self) -> String {
        let mut out = String::with_capacity(self.text.len() + 16);
        let mut width = 0;
        for one in self.text.chars() {
            if width + one.len_utf8() > FOLD_BYTES {
                out.push_str("\r\n ");
                width = 1;
            }
            out.push(one);
            width += one.len_utf8();
        }
        out.push_str("\r\n");
        out
    }

    /// Written anew.
    pub(crate) fn made(text: &str) -> Self {
        let mut line = Self::of(text);
        line.raw = line.folded();
        line
    }
}

/// A line that we write has no more bytes than this before it is folded.
const FOLD_BYTES: usize = 75;

impl Component {
    /// Reads a text with one component, and nothing beside it.
    ///
    /// # Errors
    /// Why it is none.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let mut open: Vec<Self> = Vec::new();
        let (mut whole, mut count, mut components) = (None, 0_usize, 0_usize);
        for raw in logical(text) {
            count += 1;
            if count > limits::DAV_LINES_MAX {
                return Err(format!("it has more than {} lines", limits::DAV_LINES_MAX));
            }
            let line = if count == 1 { Line::of(raw).without_mark() } else { Line::of(raw) };
            let named = |word: &str| line.name() == word && !line.text.contains(';');
            if line.text.trim().is_empty() && (open.is_empty() || whole.is_some()) {
                continue;
            }
            if whole.is_some() {
                return Err("it has several cards or calendars, or something behind its end".into());
            }
            if named("BEGIN") {
                if open.len() >= limits::DAV_NESTED_MAX {
                    return Err(format!("more than {} components lie in each other", limits::DAV_NESTED_MAX));
                }
                components += 1;
                if components > limits::DAV_COMPONENTS_MAX {
                    return Err(format!("it has more than {} components", limits::DAV_COMPONENTS_MAX));
                }
                let name = line.value().trim().to_ascii_uppercase();
                open.push(Self { name, begin: line.raw, parts: Vec::new(), end: String::new() });
            } else if named("END") {
                let mut one = open.pop().ok_or("something ends in it that did not begin")?;
                if !line.value().trim().eq_ignore_ascii_case(&one.name) {
                    return Err("its components do not end in their order".into());
                }
                one.end = line.raw;
                match open.last_mut() {
                    Some(outer) => outer.parts.push(Part::Inner(one)),
                    None => whole = Some(one),
                }
            } else {
                let outer = open.last_mut().ok_or("it does not begin with BEGIN")?;
                outer.parts.push(Part::Line(line));
            }
        }
        whole.filter(|_| open.is_empty()).ok_or_else(|| "it ends in the midst".into())
    }

    /// The text: what was not changed is as it was written.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        out.push_str(&self.begin);
        for part in &self.parts {
            // What lacks a line end (it stood last once) must not run into the next.
            match part {
                Part::Line(line) => out.push_str(&line.raw),
                Part::Inner(inner) => inner.write(out),
            }
        }
        out.push_str(&self.end);
    }

    /// Its own lines.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &Line> {
        self.parts.iter().filter_map(|part| match part {
            Part::Line(line) => Some(line),
            Part::Inner(_) => None,
        })
    }

    /// Those inside of it.
    pub(crate) fn inner(&self) -> impl Iterator<Item = &Self> {
        self.parts.iter().filter_map(|part| match part {
            Part::Inner(inner) => Some(inner),
            Part::Line(_) => None,
        })
    }

    /// What it is of: the moment of an exception, the name of a zone; else nothing.
    pub(crate) fn of(&self) -> &str {
        self.lines().find(|line| ["RECURRENCE-ID", "TZID"].contains(&&*line.name())).map_or("", Line::value)
    }

    /// All values of parameters of this name, in its lines and inside.
    pub(crate) fn values_of(&self, parameter: &str) -> Vec<&str> {
        let own = self.lines().flat_map(|line| {
            let head = &line.text[..line.text.len() - line.value().len()];
            head.trim_end_matches(':').split(';').filter_map(move |part| {
                let (name, value) = part.split_once('=')?;
                name.eq_ignore_ascii_case(parameter).then(|| value.trim_matches('"'))
            })
        });
        own.chain(self.inner().flat_map(|inner| inner.values_of(parameter))).collect()
    }

    /// Without lines of these names and these parameters, and the same inside.
    pub(crate) fn without(&self, names: &[&str], parameters: &[&str]) -> Self {
        let parts = self.parts.iter().filter_map(|part| match part {
            Part::Line(line) if names.contains(&&*line.name()) => None,
            Part::Line(line) => Some(Part::Line(Line::made(&line.without(parameters).text))),
            Part::Inner(inner) => Some(Part::Inner(inner.without(names, parameters))),
        });
        Self { parts: parts.collect(), ..self.clone() }
    }

    /// Adds a line after its own last one.
    pub(crate) fn push_line(&mut self, line: Line) {
        let at = self.parts.iter().rposition(|part| matches!(part, Part::Line(_))).map_or(0, |at| at + 1);
        self.parts.insert(at, Part::Line(line));
    }
}

/// What some put before a text to say how its letters are written (RFC 3629, 6): it is kept, and says nothing.
pub(crate) const BYTE_ORDER_MARK: char = '\u{feff}';

/// The same without folds within a letter: some who write count bytes (RFC 5545, 3.1).
pub(crate) fn joined(bytes: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::with_capacity(bytes.len()), bytes);
    while let [first, ..] = rest {
        rest = match rest {
            [b'\r', b'\n', b' ' | b'\t', after @ ..] | [b'\n', b' ' | b'\t', after @ ..]
                if after.first().is_some_and(|byte| byte & 0b1100_0000 == 0b1000_0000) =>
            {
                after
            }
            _ => {
                out.push(*first);
                &rest[1..]
            }
        };
    }
    out
}

/// The lines of a text, each with those that continue it.
fn logical(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let mut end = 0;
        loop {
            end += rest[end..].find('\n').map_or(rest.len() - end, |at| at + 1);
            if end == rest.len() || !rest[end..].starts_with([' ', '\t']) {
                break;
            }
        }
        let (line, after) = rest.split_at(end);
        rest = after;
        (!line.is_empty()).then_some(line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARD: &str = "BEGIN:VCARD\r\nitem1.EMAIL;TYPE=\"a;b:c\";X=1:me@\r\n  home\r\nNOTE:a\n\tb\nEND:VCARD\r\n";

    #[test]
    fn a_text_that_is_not_changed_is_the_same() {
        for text in [CARD, "BEGIN:A\nX:1\nBEGIN:B\nY:2\nEND:B\nZ:3\nEND:A", "begin:a\r\nend:A\r\n"] {
            assert_eq!(Component::read(text).unwrap().text(), text);
        }
        let card = Component::read(CARD).unwrap();
        let lines: Vec<_> = card.lines().collect();
        assert_eq!((&*lines[0].name(), lines[0].value(), &*lines[1].text), ("EMAIL", "me@ home", "NOTE:ab"));
        assert_eq!(lines[0].without(&["type"]).text, "item1.EMAIL;X=1:me@ home");
        assert_eq!(Line::made("A:b").without(&["X"]).text, "A:b");
    }

    #[test]
    fn a_mark_before_the_text_stays_and_folds_within_a_letter_are_joined() {
        let text = format!("{BYTE_ORDER_MARK}{CARD}");
        assert_eq!(Component::read(&text).unwrap().text(), text);
        #[track_caller]
        fn check(bytes: &[u8], expect: &[u8]) {
            assert_eq!(joined(bytes), expect);
        }
        check(b"J\xc3\r\n \xbcrgen\r\n b", "Jürgen\r\n b".as_bytes());
        check(b"J\xc3\n\t\xbc\n b", "Jü\n b".as_bytes());
        check(b"J\xe2\r\n \x82\r\n \xac", "J€".as_bytes());
        check(b"J\xfcrgen\r\n b\r\n", b"J\xfcrgen\r\n b\r\n");
        check(b"", b"");
    }

    #[test]
    fn what_we_write_is_folded_between_letters() {
        let line = Line::made(&format!("NOTE:{}", "é".repeat(100)));
        assert!(line.raw.split("\r\n").all(|physical| physical.len() <= FOLD_BYTES));
        assert_eq!(Line::of(&line.raw).text, line.text);
    }

    #[test]
    fn what_is_no_component_is_said_to_be_none() {
        #[track_caller]
        fn check(text: &str, part: &str) {
            let error = Component::read(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
        check("", "in the midst");
        check("NOTE:a\r\n", "does not begin");
        check("BEGIN:A\r\nX:1\r\n", "in the midst");
        check("BEGIN:A\r\nEND:B\r\n", "in their order");
        check("END:A\r\n", "did not begin");
        check("BEGIN:A\r\nEND:A\r\nBEGIN:A\r\nEND:A\r\n", "several");
        check(&"BEGIN:A\r\n".repeat(100), "in each other");
        check(&format!("BEGIN:A\r\n{}", "X:1\r\n".repeat(20_000)), "lines");
        check(&format!("BEGIN:A\r\n{}END:A\r\n", "BEGIN:B\r\nEND:B\r\n".repeat(2_000)), "components");
    }
}
