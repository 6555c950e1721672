//! Owns: what one file says, how a record becomes its text, and how the file is called. Must never know: where it lies, what was there before.

use mingle_core::{
    record::{Props, Value},
    time::Timestamp,
};
use mingle_text::{Holds, name};

use crate::limits::NAME_BYTES_MAX;

/// What a file of this name holds; none: it is no file of ours.
pub fn holds(file: &str) -> Option<Holds> {
    let hidden = file.starts_with('.');
    [Holds::Cards, Holds::Events].into_iter().find(|holds| !hidden && file.ends_with(holds.ending()))
}

/// The mark of a text: another text has another one.
pub fn mark(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().as_str()[..32].to_owned()
}

/// What a file shows.
pub fn read(holds: Holds, bytes: &[u8]) -> Result<Props, String> {
    mingle_text::read(holds, &mingle_text::text_of(bytes.to_vec())?)
}

/// Which record it is wherever it lies, as its text says.
pub fn uid(props: &Props) -> Option<String> {
    match props.get("uid") {
        Some(Value::Text(uid)) => Some(uid.clone()),
        _ => None,
    }
}

/// The text of a file with this record in the place of the one that it shows; all lines that show the same stay byte for byte.
pub fn turned(holds: Holds, bytes: &[u8], record: &Props) -> Result<Vec<u8>, String> {
    let text = mingle_text::text_of(bytes.to_vec())?;
    let turned = mingle_text::turned(holds, &text, record)?;
    // A file of another kind of lines gets no others.
    let turned = if text.contains("\r\n") { turned } else { turned.replace("\r\n", "\n") };
    Ok(turned.into_bytes())
}

/// The text of a new file.
pub fn made(holds: Holds, record: &Props, id: &str, now: Timestamp) -> Result<Vec<u8>, String> {
    mingle_text::made(holds, record, id, now).map(String::into_bytes)
}

/// What a record is: as it says itself, else as its neighbours are, else by what it has.
pub fn kind(record: &Props, neighbours: impl FnOnce() -> Option<Holds>) -> Result<Holds, String> {
    match record.get("@type") {
        Some(Value::Text(kind)) if kind == "Card" => Ok(Holds::Cards),
        Some(Value::Text(kind)) if kind == "Event" || kind == "Task" => Ok(Holds::Events),
        Some(other) => Err(format!("its @type is {}, and no Card, Event or Task", mingle_text::json::write_value(other))),
        None => {
            let has = |names: &[&str]| names.iter().any(|name| record.contains_key(*name));
            let looks = || match (has(&["name", "emails", "phones"]), has(&["title", "start", "due"])) {
                (true, false) => Some(Holds::Cards),
                (false, true) => Some(Holds::Events),
                _ => None,
            };
            neighbours().or_else(looks).ok_or_else(|| "it has no @type".to_owned())
        }
    }
}

/// The name of the file of a new record; what a name cannot have stands as `%` and two digits.
pub fn name_of(holds: Holds, id: &str) -> Result<String, String> {
    let name = escaped(&name::name_of(id, holds.ending()));
    if name.len() > NAME_BYTES_MAX {
        return Err(format!("its id is too long for the name of a file, which has up to {NAME_BYTES_MAX} bytes"));
    }
    if self::holds(&name) != Some(holds) {
        return Err(format!("its id is no name of a {} file", holds.ending()));
    }
    Ok(name)
}

/// The same name with a number, where another file has it.
pub fn name_beside(holds: Holds, name: &str, number: usize) -> Result<String, String> {
    let end = format!("-{number}{}", holds.ending());
    let name = format!("{}{end}", name.strip_suffix(holds.ending()).unwrap_or(name));
    if name.len() > NAME_BYTES_MAX {
        Err("its id is too long for the name of a file beside another one".into())
    } else {
        Ok(name)
    }
}

/// The ending of an edit that another one took the place of.
const KEPT: &str = ".kept";

/// The name of an edit of which nobody knows any more whose it is.
pub const NOBODYS: &str = "edit";

/// The name beside a file for an edit of it that has no place.
pub fn kept_name(name: &str, number: usize) -> String {
    let ending = holds(name).map_or("", Holds::ending);
    let end = if number > 1 { format!("{ending}.{number}{KEPT}") } else { format!("{ending}{KEPT}") };
    let name = name.strip_suffix(ending).unwrap_or(name);
    let mut bytes = name.len().min(NAME_BYTES_MAX - end.len());
    while !name.is_char_boundary(bytes) {
        bytes -= 1;
    }
    format!("{}{end}", &name[..bytes])
}

/// Whether it is such a name; any other of this ending is somebody else's.
pub fn is_kept(name: &str) -> bool {
    let is_one = |of: &str| of == NOBODYS || holds(of).is_some();
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    name.strip_suffix(KEPT).is_some_and(|of| is_one(of) || of.rsplit_once('.').is_some_and(|(of, n)| is_number(n) && is_one(of)))
}

/// The id of a file that somebody made.
pub fn id_of(holds: Holds, file: &str) -> String {
    let plain = unescaped(file);
    // A name that we would write otherwise stands for itself.
    name::id_of(if escaped(&plain) == file { &plain } else { file }, holds.ending())
}

fn escaped(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for (at, one) in name.char_indices() {
        let digits = || name.as_bytes().get(at + 1..at + 3).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
        if one == '/' || one.is_control() || (at == 0 && one == '.') || (one == '%' && digits()) {
            let mut bytes = [0; 4];
            one.encode_utf8(&mut bytes).bytes().for_each(|byte| out.push_str(&format!("%{byte:02X}")));
        } else {
            out.push(one);
        }
    }
    out
}

fn unescaped(name: &str) -> String {
    let (mut bytes, mut rest) = (Vec::with_capacity(name.len()), name.as_bytes());
    while let Some((byte, after)) = rest.split_first() {
        let two = after.get(..2).filter(|two| *byte == b'%' && two.iter().all(u8::is_ascii_hexdigit));
        let value = two.and_then(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        bytes.push(value.unwrap_or(*byte));
        rest = if value.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| name.to_owned())
}

#[cfg(test)]
mod tests {
    use mingle_text::json;

    use super::*;

    #[test]
    fn an_id_has_one_name_and_gives_it_back() {
        #[track_caller]
        fn check(id: &str, expect: Result<&str, &str>) {
            match (name_of(Holds::Events, id), expect) {
                (Ok(name), Ok(expect)) => {
                    assert_eq!(name, expect);
                    assert_eq!(id_of(Holds::Events, &name), id);
                }
                (Err(why), Err(part)) => assert!(why.contains(part), "{why}"),
                (got, expect) => panic!("{id}: {got:?}, not {expect:?}"),
            }
        }
        check("a", Ok("a.ics"));
        check("a b é@home", Ok("a b é@home.ics"));
        check("a/b", Ok("a%2Fb.ics"));
        check("../../etc/passwd", Ok("%2E.%2F..%2Fetc%2Fpasswd.ics"));
        check(".hidden", Ok("%2Ehidden.ics"));
        check("50%", Ok("50%.ics"));
        check("50%25", Ok("50%2525.ics"));
        check("a\u{1}b", Ok("a%01b.ics"));
        check("==a.ics", Ok("=a.ics"));
        check("=a.vcf", Err("no name"));
        check("=", Err("no name"));
        check(&"x".repeat(252), Err("too long"));
    }

    #[test]
    fn an_edit_that_is_kept_has_a_name_that_no_reader_takes() {
        let long = format!("{}.vcf", "\u{e9}".repeat(125));
        for (name, number) in
            [("a.vcf", 1), ("a.ics", 2), (long.as_str(), 1), (long.as_str(), 1_000), (NOBODYS, 1), (NOBODYS, 12)]
        {
            let kept = kept_name(name, number);
            assert!(is_kept(&kept) && holds(&kept).is_none() && kept.len() <= NAME_BYTES_MAX, "{kept}");
        }
        for name in [
            "a.vcf",
            ".kept",
            ".a.vcf.kept",
            "a.kept",
            "letter.txt.kept",
            "a.vcf.x.kept",
            "a.vcf..kept",
            "a.2.kept",
            "edits.kept",
        ] {
            assert!(!is_kept(name), "{name}");
        }
    }

    #[test]
    fn what_a_record_is_is_said_or_seen() {
        #[track_caller]
        fn check(record: &str, neighbours: Option<Holds>, expect: Option<Holds>) {
            let record = json::parse_object(record).expect("an object");
            assert_eq!(kind(&record, || neighbours).ok(), expect, "{record:?}");
        }
        use Holds::{Cards, Events};
        check(r#"{"@type":"Card"}"#, Some(Events), Some(Cards));
        check(r#"{"@type":"Event"}"#, None, Some(Events));
        check(r#"{"@type":"Task"}"#, Some(Cards), Some(Events));
        check(r#"{"@type":"Group"}"#, Some(Cards), None);
        check(r#"{"@type":1}"#, None, None);
        check(r#"{"title":"a"}"#, None, Some(Events));
        check(r#"{"title":"a"}"#, Some(Cards), Some(Cards));
        check(r#"{"name":{}}"#, None, Some(Cards));
        check(r#"{"name":{},"start":1}"#, None, None);
        check("{}", None, None);
        // There may be any number of neighbours: who says it does not ask them.
        let card = json::parse_object(r#"{"@type":"Card"}"#).expect("an object");
        assert_eq!(kind(&card, || unreachable!("asked")), Ok(Cards));
    }

    const CARD: &str = "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:u\r\nFN:Jane\r\nX-ODD;A=b:c\r\nNOTE:one\r\n  two\r\nEND:VCARD\r\n";

    #[test]
    fn an_edit_keeps_the_rest_of_the_file_and_its_kind_of_lines() {
        const MARK: &str = "\u{feff}";
        for (mark, end) in [("", "\r\n"), ("", "\n"), (MARK, "\n"), (MARK, "\r\n")] {
            let text = format!("{mark}{}", CARD.replace("\r\n", end));
            let mut record = read(Holds::Cards, text.as_bytes()).expect("a card");
            assert_eq!(uid(&record).as_deref(), Some("u"));
            assert_eq!(turned(Holds::Cards, text.as_bytes(), &record), Ok(text.clone().into_bytes()));
            record.insert("name".into(), Value::Map([("full".to_owned(), Value::Text("Joe".into()))].into()));
            let turned = turned(Holds::Cards, text.as_bytes(), &record).expect("an edit");
            assert_eq!(String::from_utf8(turned), Ok(text.replace("Jane", "Joe")), "{mark:?} {end:?}");
        }
    }

    #[test]
    fn a_letter_that_a_fold_cuts_in_two_is_whole() {
        let text = CARD.replace("Jane", "Ren\u{e9}").into_bytes();
        let at = text.iter().position(|byte| *byte == 0xc3).expect("the letter") + 1;
        let cut = [&text[..at], b"\r\n ", &text[at..]].concat();
        assert_eq!(read(Holds::Cards, &cut), read(Holds::Cards, &text));
        let record = read(Holds::Cards, &cut).expect("a card");
        assert_eq!(turned(Holds::Cards, &cut, &record).and_then(|text| read(Holds::Cards, &text)), Ok(record));
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        #[track_caller]
        fn check(bytes: &[u8], expect: &str) {
            let why = read(Holds::Cards, bytes).expect_err("no card");
            assert!(why.contains(expect), "{why}");
        }
        check(b"BEGIN:VCARD\r\nFN:\xff\r\nEND:VCARD\r\n", "not UTF-8");
        check(&CARD.as_bytes()[..60], "in the midst");
        check(b"", "in the midst");
        check(CARD.repeat(2).as_bytes(), "several");
    }
}
