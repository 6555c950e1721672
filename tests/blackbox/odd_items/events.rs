//! Owns: odd events and tasks. Must never know: what reads them.

use super::{
    Becomes::{self, Edited, NotTaken, Unread},
    Odd,
};

const TOKYO: &str = "BEGIN:VTIMEZONE\nTZID:/mozilla.org/20070129_1/Asia/Tokyo\nX-LIC-LOCATION:Asia/Tokyo\nBEGIN:STANDARD\n\
    TZOFFSETFROM:+0900\nTZOFFSETTO:+0900\nTZNAME:JST\nDTSTART:19700101T000000\nEND:STANDARD\nEND:VTIMEZONE\n";
const ROME: &str = "BEGIN:VTIMEZONE\nTZID:Rome of ours\nBEGIN:DAYLIGHT\nTZOFFSETFROM:+0100\nTZOFFSETTO:+0200\nTZNAME:CEST\n\
    DTSTART:19810329T020000\nRRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3\nEND:DAYLIGHT\nBEGIN:STANDARD\nTZOFFSETFROM:+0200\n\
    TZOFFSETTO:+0100\nTZNAME:CET\nDTSTART:19961027T030000\nRRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10\nEND:STANDARD\nEND:VTIMEZONE\n";
const START: &str = "DTSTART:20260320T120000Z\nDURATION:PT1H\n";

/// An item that is all this, with line ends as they should be.
fn raw(what: &'static str, text: &str, becomes: [Becomes; 3]) -> Odd {
    exact(what, &text.replace('\n', "\r\n"), becomes)
}

/// An item that is exactly this.
fn exact(what: &'static str, text: &str, becomes: [Becomes; 3]) -> Odd {
    Odd { what, text: text.to_owned(), becomes }
}

/// A calendar of these lines.
fn calendar(lines: &str) -> String {
    format!("BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//odd//odd//EN\n{lines}END:VCALENDAR\n")
}

/// A component of this kind, with a stamp, a uid and a title.
fn component(kind: &str, uid: &str, lines: &str) -> String {
    format!("BEGIN:{kind}\nUID:{uid}\nDTSTAMP:20260101T000000Z\nSUMMARY:odd\n{lines}END:{kind}\n")
}

/// An event with these lines more.
fn event(what: &'static str, lines: &str, becomes: [Becomes; 3]) -> Odd {
    raw(
        what,
        &calendar(&component("VEVENT", &what.replace(' ', "-"), &format!("{START}{}\n", lines.trim_end_matches('\n')))),
        becomes,
    )
}

const ALL: [Becomes; 3] = [Edited; 3];

pub fn all() -> Vec<Odd> {
    let long = |count: usize| "0123456789".repeat(count);
    let bare = |uid: &str| component("VEVENT", uid, START);
    vec![
        event("names of others", "X-ODD;X-A=b;X-C=\"d;e:f\":g\\,h\nX-EMPTY:\nX-MOZ-GENERATION:3", ALL),
        event("folds in words", "DESCRIPTION:one tw\n o three\nX-TAB:one\n\ttwo\nLOCA\n TION:here\n", ALL),
        event("a long line", &format!("X-LONG:{}\nDESCRIPTION:{}\n", long(200), long(30)), ALL),
        event("empty values", "DESCRIPTION:\nLOCATION:\nCATEGORIES:\nX-A:\n", ALL),
        event(
            "two of what is one",
            "DESCRIPTION:one\nDESCRIPTION:two\nLOCATION:a\nLOCATION:b\nSTATUS:CONFIRMED\n",
            [NotTaken, Edited, Edited],
        ),
        event("escapes", "DESCRIPTION:a\\nb\\Nc\\;d\\,e\\\\f\\x\nLOCATION:a\\;b\\,c\n", ALL),
        event("blanks at the end", "DESCRIPTION:blanks   \nLOCATION: before and after \n", ALL),
        event("letters of the world", "DESCRIPTION:Ünï ☃ 🦀 \u{202e}abc\nX-NEL:a\u{85}b\u{2028}c\n", ALL),
        event("a line without a colon", "just some words\n", [NotTaken, Edited, NotTaken]),
        event(
            "people",
            "ORGANIZER;CN=\"A: B; C\":mailto:a@example.com\nATTENDEE;CN=D;PARTSTAT=NEEDS-ACTION;RSVP=TRUE;X-NUM-GUESTS=0:mailto:d@example.com\nATTENDEE:mailto:e@example.com\n",
            ALL,
        ),
        event(
            "an attachment",
            "ATTACH;FMTTYPE=text/plain;ENCODING=BASE64;VALUE=BINARY:AAAA\nATTACH:https://example.com/a.pdf\n",
            ALL,
        ),
        event(
            "alarms",
            "BEGIN:VALARM\nACTION:DISPLAY\nDESCRIPTION:d\nTRIGGER;RELATED=END:-PT5M\nX-ODD:1\nEND:VALARM\nBEGIN:VALARM\nACTION:AUDIO\nTRIGGER;VALUE=DATE-TIME:20260319T120000Z\nEND:VALARM\nBEGIN:VALARM\nACTION:X-ODD\nEND:VALARM\n",
            ALL,
        ),
        event("a component of others", "BEGIN:X-ODD\nX-A:1\nEND:X-ODD\n", ALL),
        event(
            "an odd rule",
            "RRULE:FREQ=MONTHLY;BYDAY=MO,TU;BYSETPOS=-1;WKST=SU;UNTIL=20261231T000000Z\nEXDATE:20260420T120000Z,20260520T120000Z\nRDATE:20260401T120000Z\n",
            ALL,
        ),
        event("a rule that is none", "RRULE:FREQ=SOMETIMES;X=1\n", [NotTaken, Edited, NotTaken]),
        event(
            "a place on earth",
            "GEO:48.85;2.35\nLOCATION;ALTREP=\"https://example.com/a,b\":x\nX-APPLE-STRUCTURED-LOCATION;VALUE=URI;X-ADDRESS=\"a\\nb\":geo:1,2\n",
            ALL,
        ),
        event("a control character", "X-BELL:a\u{7}b\n", ALL),
        raw("no product", &format!("BEGIN:VCALENDAR\nVERSION:2.0\n{}END:VCALENDAR\n", bare("noprod")), ALL),
        raw("no version", &format!("BEGIN:VCALENDAR\nPRODID:x\n{}END:VCALENDAR\n", bare("nover")), ALL),
        raw(
            "words of a calendar",
            &calendar(&format!("METHOD:PUBLISH\nCALSCALE:GREGORIAN\nX-WR-CALNAME:Odd\n{}", bare("words"))),
            ALL,
        ),
        raw(
            "zones of all kinds",
            &calendar(&format!(
                "{TOKYO}{ROME}{}",
                component(
                    "VEVENT",
                    "zones",
                    "DTSTART;TZID=Rome of ours:20260320T120000\nDTEND;TZID=\"/mozilla.org/20070129_1/Asia/Tokyo\":20260320T230000\n"
                )
            )),
            ALL,
        ),
        raw("a zone that is not needed", &calendar(&format!("{TOKYO}{}", bare("unneeded"))), ALL),
        raw(
            "a zone behind",
            &calendar(&format!(
                "{}{TOKYO}",
                component("VEVENT", "behind", "DTSTART;TZID=/mozilla.org/20070129_1/Asia/Tokyo:20260320T120000\n")
            )),
            ALL,
        ),
        raw(
            "a zone that is missing",
            &calendar(&component("VEVENT", "missing", "DTSTART;TZID=Nowhere/Town:20260320T120000\n")),
            ALL,
        ),
        raw(
            "a zone without rules",
            &calendar(&format!(
                "BEGIN:VTIMEZONE\nTZID:Empty\nX-A:1\nEND:VTIMEZONE\n{}",
                component("VEVENT", "empty", "DTSTART;TZID=Empty:20260320T120000\n")
            )),
            [NotTaken, NotTaken, Edited],
        ),
        raw(
            "a whole day",
            &calendar(&component(
                "VEVENT",
                "day",
                "DTSTART;VALUE=DATE:20260320\nDTEND;VALUE=DATE:20260321\nTRANSP:TRANSPARENT\nX-MICROSOFT-CDO-ALLDAYEVENT:TRUE\n",
            )),
            ALL,
        ),
        raw(
            "a day that is none",
            &calendar(&component("VEVENT", "feb31", "DTSTART:20260231T120000Z\n")),
            [NotTaken, Edited, Edited],
        ),
        raw("no start", &calendar(&component("VEVENT", "nostart", "")), [NotTaken, Edited, NotTaken]),
        raw("no stamp", &calendar(&format!("BEGIN:VEVENT\nUID:nostamp\nSUMMARY:odd\n{START}END:VEVENT\n")), ALL),
        raw(
            "an end before its start",
            &calendar(&component("VEVENT", "back", "DTSTART:20260320T120000Z\nDTEND:20260319T120000Z\n")),
            ALL,
        ),
        raw(
            "no uid",
            &calendar(&format!("BEGIN:VEVENT\nDTSTAMP:20260101T000000Z\nSUMMARY:odd\n{START}END:VEVENT\n")),
            [NotTaken, Edited, NotTaken],
        ),
        raw("a uid like a path", &calendar(&bare("../a/b c?d=e#f%2Fg")), ALL),
        raw("a uid of the world", &calendar(&bare("UID:tëst @ foo ☃ град%0A.ics")), ALL),
        raw("a uid in folds", &calendar(&bare("folded-0123456789\n 0123456789")), ALL),
        raw("a long uid", &calendar(&bare(&long(100))), ALL),
        raw(
            "exceptions",
            &calendar(&format!(
                "{}{}",
                component("VEVENT", "exceptions", &format!("{START}RRULE:FREQ=DAILY\n")),
                component(
                    "VEVENT",
                    "exceptions",
                    "RECURRENCE-ID:20260322T120000Z\nDTSTART:20260322T150000Z\nDURATION:PT1H\nX-ODD:1\n"
                )
                .replace("SUMMARY:odd", "SUMMARY:other")
            )),
            ALL,
        ),
        raw(
            "an exception first",
            &calendar(&format!(
                "{}{}",
                component("VEVENT", "first", "RECURRENCE-ID:20260322T120000Z\nDTSTART:20260322T150000Z\nDURATION:PT1H\n")
                    .replace("SUMMARY:odd", "SUMMARY:other"),
                component("VEVENT", "first", &format!("{START}RRULE:FREQ=DAILY\n"))
            )),
            ALL,
        ),
        raw(
            "an exception alone",
            &calendar(&component("VEVENT", "alone", "RECURRENCE-ID:20260322T120000Z\nDTSTART:20260322T150000Z\nDURATION:PT1H\n")),
            ALL,
        ),
        raw("two events", &calendar(&format!("{}{}", bare("one"), bare("two"))), [NotTaken, Unread("several events"), NotTaken]),
        raw(
            "a task",
            &calendar(&component(
                "VTODO",
                "task",
                "DUE:20260321T120000Z\nPERCENT-COMPLETE:50\nSTATUS:IN-PROCESS\nPRIORITY:1\nX-APPLE-SORT-ORDER:3\nRELATED-TO;RELTYPE=PARENT:other\n",
            )),
            ALL,
        ),
        raw("a task of nothing", &calendar("BEGIN:VTODO\nUID:nothing\nSUMMARY:odd\nEND:VTODO\n"), ALL),
        raw(
            "a journal",
            &calendar(&component("VJOURNAL", "journal", "DTSTART;VALUE=DATE:20260320\nDESCRIPTION:words\n")),
            [Unread("no event"), Unread("no event"), NotTaken],
        ),
        raw(
            "busy times",
            &calendar("BEGIN:VFREEBUSY\nUID:busy\nDTSTAMP:20260101T000000Z\nFREEBUSY:20260320T120000Z/PT1H\nEND:VFREEBUSY\n"),
            [NotTaken, Unread("no event"), NotTaken],
        ),
        raw(
            "names in small letters",
            "begin:vcalendar\nversion:2.0\nprodid:x\nbegin:vevent\nuid:small\ndtstamp:20260101T000000Z\nSUMMARY:odd\ndtstart:20260320T120000Z\nend:vevent\nend:vcalendar\n",
            [Edited, Edited, NotTaken],
        ),
        exact("ends of LF", &calendar(&bare("lf")), ALL),
        exact(
            "ends of both",
            &calendar(&bare("mixed")).replace("SUMMARY:odd\n", "SUMMARY:odd\r\n").replace("VERSION:2.0\n", "VERSION:2.0\r\n"),
            ALL,
        ),
        exact(
            "empty lines",
            &format!("\r\n{}\r\n\r\n", calendar(&bare("lines")).replace('\n', "\r\n").replace("SUMMARY", "\r\nSUMMARY")),
            ALL,
        ),
        raw(
            "two calendars",
            &format!("{}{}", calendar(&bare("twice")), calendar(&bare("twice"))),
            [NotTaken, NotTaken, Unread("several cards")],
        ),
        raw("nothing inside", &calendar(""), [Unread("no event"), Unread("no event"), NotTaken]),
        raw(
            "no end",
            "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\nBEGIN:VEVENT\nUID:noend\nSUMMARY:odd\nEND:VEVENT\n",
            [NotTaken, NotTaken, NotTaken],
        ),
        raw(
            "ends in disorder",
            "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\nBEGIN:VEVENT\nUID:disorder\nSUMMARY:odd\nEND:VCALENDAR\nEND:VEVENT\n",
            [NotTaken, Edited, NotTaken],
        ),
    ]
}
