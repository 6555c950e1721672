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
fn raw(what: &'static str, text: &str, becomes: [Becomes; 2]) -> Odd {
    exact(what, &text.replace('\n', "\r\n"), becomes)
}

/// An item that is exactly this.
fn exact(what: &'static str, text: &str, becomes: [Becomes; 2]) -> Odd {
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
fn event(what: &'static str, lines: &str, becomes: [Becomes; 2]) -> Odd {
    raw(
        what,
        &calendar(&component("VEVENT", &what.replace(' ', "-"), &format!("{START}{}\n", lines.trim_end_matches('\n')))),
        becomes,
    )
}

const BOTH: [Becomes; 2] = [Edited, Edited];

pub fn all() -> Vec<Odd> {
    let long = |count: usize| "0123456789".repeat(count);
    let bare = |uid: &str| component("VEVENT", uid, START);
    vec![
        event("names of others", "X-ODD;X-A=b;X-C=\"d;e:f\":g\\,h\nX-EMPTY:\nX-MOZ-GENERATION:3", BOTH),
        event("folds in words", "DESCRIPTION:one tw\n o three\nX-TAB:one\n\ttwo\nLOCA\n TION:here\n", BOTH),
        event("a long line", &format!("X-LONG:{}\nDESCRIPTION:{}\n", long(200), long(30)), BOTH),
        event("empty values", "DESCRIPTION:\nLOCATION:\nCATEGORIES:\nX-A:\n", BOTH),
        event(
            "two of what is one",
            "DESCRIPTION:one\nDESCRIPTION:two\nLOCATION:a\nLOCATION:b\nSTATUS:CONFIRMED\n",
            [NotTaken, Edited],
        ),
        event("escapes", "DESCRIPTION:a\\nb\\Nc\\;d\\,e\\\\f\\x\nLOCATION:a\\;b\\,c\n", BOTH),
        event("blanks at the end", "DESCRIPTION:blanks   \nLOCATION: before and after \n", BOTH),
        event("letters of the world", "DESCRIPTION:Ünï ☃ 🦀 \u{202e}abc\nX-NEL:a\u{85}b\u{2028}c\n", BOTH),
        event("a line without a colon", "just some words\n", [NotTaken, Edited]),
        event(
            "people",
            "ORGANIZER;CN=\"A: B; C\":mailto:a@example.com\nATTENDEE;CN=D;PARTSTAT=NEEDS-ACTION;RSVP=TRUE;X-NUM-GUESTS=0:mailto:d@example.com\nATTENDEE:mailto:e@example.com\n",
            BOTH,
        ),
        event(
            "an attachment",
            "ATTACH;FMTTYPE=text/plain;ENCODING=BASE64;VALUE=BINARY:AAAA\nATTACH:https://example.com/a.pdf\n",
            BOTH,
        ),
        event(
            "alarms",
            "BEGIN:VALARM\nACTION:DISPLAY\nDESCRIPTION:d\nTRIGGER;RELATED=END:-PT5M\nX-ODD:1\nEND:VALARM\nBEGIN:VALARM\nACTION:AUDIO\nTRIGGER;VALUE=DATE-TIME:20260319T120000Z\nEND:VALARM\nBEGIN:VALARM\nACTION:X-ODD\nEND:VALARM\n",
            BOTH,
        ),
        event("a component of others", "BEGIN:X-ODD\nX-A:1\nEND:X-ODD\n", BOTH),
        event(
            "an odd rule",
            "RRULE:FREQ=MONTHLY;BYDAY=MO,TU;BYSETPOS=-1;WKST=SU;UNTIL=20261231T000000Z\nEXDATE:20260420T120000Z,20260520T120000Z\nRDATE:20260401T120000Z\n",
            BOTH,
        ),
        event("a rule that is none", "RRULE:FREQ=SOMETIMES;X=1\n", [NotTaken, Edited]),
        event(
            "a place on earth",
            "GEO:48.85;2.35\nLOCATION;ALTREP=\"https://example.com/a,b\":x\nX-APPLE-STRUCTURED-LOCATION;VALUE=URI;X-ADDRESS=\"a\\nb\":geo:1,2\n",
            BOTH,
        ),
        event("a control character", "X-BELL:a\u{7}b\n", BOTH),
        raw("no product", &format!("BEGIN:VCALENDAR\nVERSION:2.0\n{}END:VCALENDAR\n", bare("noprod")), BOTH),
        raw("no version", &format!("BEGIN:VCALENDAR\nPRODID:x\n{}END:VCALENDAR\n", bare("nover")), BOTH),
        raw(
            "words of a calendar",
            &calendar(&format!("METHOD:PUBLISH\nCALSCALE:GREGORIAN\nX-WR-CALNAME:Odd\n{}", bare("words"))),
            BOTH,
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
            BOTH,
        ),
        raw("a zone that is not needed", &calendar(&format!("{TOKYO}{}", bare("unneeded"))), BOTH),
        raw(
            "a zone behind",
            &calendar(&format!(
                "{}{TOKYO}",
                component("VEVENT", "behind", "DTSTART;TZID=/mozilla.org/20070129_1/Asia/Tokyo:20260320T120000\n")
            )),
            BOTH,
        ),
        raw(
            "a zone that is missing",
            &calendar(&component("VEVENT", "missing", "DTSTART;TZID=Nowhere/Town:20260320T120000\n")),
            BOTH,
        ),
        raw(
            "a zone without rules",
            &calendar(&format!(
                "BEGIN:VTIMEZONE\nTZID:Empty\nX-A:1\nEND:VTIMEZONE\n{}",
                component("VEVENT", "empty", "DTSTART;TZID=Empty:20260320T120000\n")
            )),
            [NotTaken, NotTaken],
        ),
        raw(
            "a whole day",
            &calendar(&component(
                "VEVENT",
                "day",
                "DTSTART;VALUE=DATE:20260320\nDTEND;VALUE=DATE:20260321\nTRANSP:TRANSPARENT\nX-MICROSOFT-CDO-ALLDAYEVENT:TRUE\n",
            )),
            BOTH,
        ),
        raw("a day that is none", &calendar(&component("VEVENT", "feb31", "DTSTART:20260231T120000Z\n")), [NotTaken, Edited]),
        raw("no start", &calendar(&component("VEVENT", "nostart", "")), [NotTaken, Edited]),
        raw("no stamp", &calendar(&format!("BEGIN:VEVENT\nUID:nostamp\nSUMMARY:odd\n{START}END:VEVENT\n")), BOTH),
        raw(
            "an end before its start",
            &calendar(&component("VEVENT", "back", "DTSTART:20260320T120000Z\nDTEND:20260319T120000Z\n")),
            BOTH,
        ),
        raw(
            "no uid",
            &calendar(&format!("BEGIN:VEVENT\nDTSTAMP:20260101T000000Z\nSUMMARY:odd\n{START}END:VEVENT\n")),
            [NotTaken, Edited],
        ),
        raw("a uid like a path", &calendar(&bare("../a/b c?d=e#f%2Fg")), BOTH),
        raw("a uid of the world", &calendar(&bare("UID:tëst @ foo ☃ град%0A.ics")), BOTH),
        raw("a uid in folds", &calendar(&bare("folded-0123456789\n 0123456789")), BOTH),
        raw("a long uid", &calendar(&bare(&long(100))), BOTH),
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
            BOTH,
        ),
        raw(
            "an exception first",
            &calendar(&format!(
                "{}{}",
                component("VEVENT", "first", "RECURRENCE-ID:20260322T120000Z\nDTSTART:20260322T150000Z\nDURATION:PT1H\n")
                    .replace("SUMMARY:odd", "SUMMARY:other"),
                component("VEVENT", "first", &format!("{START}RRULE:FREQ=DAILY\n"))
            )),
            BOTH,
        ),
        raw(
            "an exception alone",
            &calendar(&component("VEVENT", "alone", "RECURRENCE-ID:20260322T120000Z\nDTSTART:20260322T150000Z\nDURATION:PT1H\n")),
            BOTH,
        ),
        raw("two events", &calendar(&format!("{}{}", bare("one"), bare("two"))), [NotTaken, Unread("several events")]),
        raw(
            "a task",
            &calendar(&component(
                "VTODO",
                "task",
                "DUE:20260321T120000Z\nPERCENT-COMPLETE:50\nSTATUS:IN-PROCESS\nPRIORITY:1\nX-APPLE-SORT-ORDER:3\nRELATED-TO;RELTYPE=PARENT:other\n",
            )),
            BOTH,
        ),
        raw("a task of nothing", &calendar("BEGIN:VTODO\nUID:nothing\nSUMMARY:odd\nEND:VTODO\n"), BOTH),
        raw(
            "a journal",
            &calendar(&component("VJOURNAL", "journal", "DTSTART;VALUE=DATE:20260320\nDESCRIPTION:words\n")),
            [Unread("no event"), Unread("no event")],
        ),
        raw(
            "busy times",
            &calendar("BEGIN:VFREEBUSY\nUID:busy\nDTSTAMP:20260101T000000Z\nFREEBUSY:20260320T120000Z/PT1H\nEND:VFREEBUSY\n"),
            [NotTaken, Unread("no event")],
        ),
        raw(
            "names in small letters",
            "begin:vcalendar\nversion:2.0\nprodid:x\nbegin:vevent\nuid:small\ndtstamp:20260101T000000Z\nSUMMARY:odd\ndtstart:20260320T120000Z\nend:vevent\nend:vcalendar\n",
            BOTH,
        ),
        exact("ends of LF", &calendar(&bare("lf")), BOTH),
        exact(
            "ends of both",
            &calendar(&bare("mixed")).replace("SUMMARY:odd\n", "SUMMARY:odd\r\n").replace("VERSION:2.0\n", "VERSION:2.0\r\n"),
            BOTH,
        ),
        exact(
            "empty lines",
            &format!("\r\n{}\r\n\r\n", calendar(&bare("lines")).replace('\n', "\r\n").replace("SUMMARY", "\r\nSUMMARY")),
            BOTH,
        ),
        raw("two calendars", &format!("{}{}", calendar(&bare("twice")), calendar(&bare("twice"))), [NotTaken, NotTaken]),
        raw("nothing inside", &calendar(""), [Unread("no event"), Unread("no event")]),
        raw(
            "no end",
            "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\nBEGIN:VEVENT\nUID:noend\nSUMMARY:odd\nEND:VEVENT\n",
            [NotTaken, NotTaken],
        ),
        raw(
            "ends in disorder",
            "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\nBEGIN:VEVENT\nUID:disorder\nSUMMARY:odd\nEND:VCALENDAR\nEND:VEVENT\n",
            [NotTaken, Edited],
        ),
    ]
}
