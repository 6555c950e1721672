//! Owns: odd cards. Must never know: what reads them.

use super::{
    Becomes::{self, Edited, NotTaken, Unread},
    Odd,
};

/// A card of these lines, with a name, a note and a uid of its own before them.
fn card(what: &'static str, lines: &str, becomes: [Becomes; 3]) -> Odd {
    let uid = what.replace(' ', "-");
    raw(
        what,
        &format!(
            "BEGIN:VCARD\nVERSION:3.0\nUID:{uid}\nFN:Odd One\nN:One;Odd;;;\nNOTE:odd\n{}\nEND:VCARD\n",
            lines.trim_end_matches('\n')
        ),
        becomes,
    )
}

/// A card that is all this, with line ends as they should be.
fn raw(what: &'static str, text: &str, becomes: [Becomes; 3]) -> Odd {
    exact(what, &text.replace('\n', "\r\n"), becomes)
}

/// A card that is exactly this.
fn exact(what: &'static str, text: &str, becomes: [Becomes; 3]) -> Odd {
    Odd { what, text: text.to_owned(), becomes }
}

/// The beginning and the end of a card around its lines.
fn around(version: &str, lines: &str) -> String {
    format!("BEGIN:VCARD\nVERSION:{version}\n{lines}END:VCARD\n")
}

const ALL: [Becomes; 3] = [Edited; 3];

pub fn all() -> Vec<Odd> {
    let long = |count: usize| "0123456789".repeat(count);
    vec![
        card("names of others", "X-ODD;X-A=b;X-C=\"d;e:f\":g\\,h\nX-EMPTY:\nX-ANDROID-CUSTOM:vnd/x;1;;;", ALL),
        card(
            "groups of Apple",
            "item1.URL:https://example.com/\nitem1.X-ABLabel:_$!<HomePage>!$_\nitem2.X-ABDATE;TYPE=pref:2020-01-02",
            ALL,
        ),
        card("folds in words", "X-FOLD:one tw\n o three\nEMAIL;TYPE=HO\n ME:x@exam\n ple.com\nX-TAB:one\n\ttwo", ALL),
        card("a long line", &format!("X-LONG:{}\nNICKNAME:{}", long(200), long(30)), ALL),
        card("empty lines of values", "NICKNAME:\nORG:\nTITLE:\nADR:;;;;;;\nTEL:\nEMAIL:", ALL),
        card(
            "two of what is one",
            "FN:Other One\nNOTE:another\nBDAY:2001-02-03\nBDAY:2002-03-04\nREV:20260101T000000Z\nREV:20260102T000000Z",
            ALL,
        ),
        card("escapes", "X-E:a\\nb\\Nc\\;d\\,e\\\\f\\x\nTITLE:a\\;b\\\\c\\,d\nORG:a\\;b;c\\,d", ALL),
        card("values in quotes", "ADR;TYPE=HOME;LABEL=\"a:b;c, d\":;;1 Street;Town;;;\nTEL;TYPE=\"voice,home\":+1 555", ALL),
        card("a value of carets", "X-C;A=\"b^nc^'d^^\":e", ALL),
        card("letters of the world", "NICKNAME:Ünï ☃ 🦀 \u{202e}abc\nX-NEL:a\u{85}b\u{2028}c\u{a0}", ALL),
        card("a line without a colon", "just some words", [NotTaken, NotTaken, NotTaken]),
        card("blanks at the end", "NICKNAME:blanks   \nTITLE: before and after \nX-TABS:a\t\t", ALL),
        card("a picture", &format!("PHOTO;ENCODING=b;TYPE=JPEG:{}", long(50)), ALL),
        card(
            "a key and a sound",
            "KEY;ENCODING=b:AAAA\nSOUND;VALUE=uri:https://example.com/a.ogg\nLOGO;VALUE=uri:https://example.com/l",
            ALL,
        ),
        card(
            "a group of people",
            "X-ADDRESSBOOKSERVER-KIND:group\nX-ADDRESSBOOKSERVER-MEMBER:urn:uuid:1\nX-ADDRESSBOOKSERVER-MEMBER:urn:uuid:2",
            ALL,
        ),
        card(
            "messengers",
            "IMPP;X-SERVICE-TYPE=Jabber:xmpp:a@example.com\nX-JABBER:b@example.com\nX-SOCIALPROFILE;type=x:https://example.com/u",
            ALL,
        ),
        card("days without a year", "BDAY:--0203\nX-ANNIVERSARY:2020-02-30\nANNIVERSARY:not a day", ALL),
        card("many of a kind", &(0..40).map(|n| format!("EMAIL;TYPE=HOME:a{n}@example.com\n")).collect::<String>(), ALL),
        card("a card inside", "AGENT:BEGIN:VCARD\\nFN:Agent\\nEND:VCARD", ALL),
        raw(
            "a component inside",
            &around("3.0", "UID:inside\nFN:Odd\nN:;;;;\nNOTE:odd\nBEGIN:VCARD\nFN:Inner\nEND:VCARD\n"),
            ALL,
        ),
        raw(
            "quoted printable",
            &around(
                "2.1",
                "UID:qp\nN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:M=C3=BCller;J=C3=BCrgen\nFN:J M\nADR;HOME;ENCODING=QUOTED-PRINTABLE:;;1 Long=0D=0A=\n Street;Town\nNOTE:odd\nTEL;CELL;PREF:123\n",
            ),
            ALL,
        ),
        raw(
            "version four",
            &around(
                "4.0",
                "UID:urn:uuid:4fbe8971-0bc3-424c-9c26-36c3e1eff6b1\nFN;PID=1.1:Odd\nN;SORT-AS=\"One,Odd\":One;Odd;;;\nN;ALTID=1;LANGUAGE=ja:x;y;;;\nCLIENTPIDMAP:1;urn:uuid:x\nGENDER:O;it\nNOTE:odd\nRELATED;TYPE=friend:urn:uuid:y\nKIND:individual\n",
            ),
            [NotTaken, NotTaken, Edited],
        ),
        raw(
            "names in small letters",
            "begin:vcard\nversion:3.0\nuid:small\nfn:Odd\nn:One;Odd;;;\nNOTE:odd\nx-odd:1\nend:vcard\n",
            [Edited, NotTaken, NotTaken],
        ),
        raw("no version", "BEGIN:VCARD\nUID:noversion\nFN:Odd\nN:One;Odd;;;\nNOTE:odd\nEND:VCARD\n", [Edited, NotTaken, Edited]),
        raw("no uid", &around("3.0", "FN:Odd\nN:One;Odd;;;\nNOTE:odd\n"), [NotTaken, Edited, Edited]),
        raw("an empty uid", &around("3.0", "UID:\nFN:Odd\nN:One;Odd;;;\nNOTE:odd\n"), [NotTaken, Edited, Edited]),
        raw("no name", &around("3.0", "UID:noname\nNOTE:odd\n"), [NotTaken, NotTaken, Edited]),
        raw("a uid like a path", &around("3.0", "UID:../a/b c?d=e#f%2Fg\nFN:Odd\nN:One;Odd;;;\nNOTE:odd\n"), ALL),
        raw("a uid of the world", &around("3.0", "UID:tëst @ foo ☃ град\nFN:Odd\nN:One;Odd;;;\nNOTE:odd\n"), ALL),
        raw("a long uid", &around("3.0", &format!("UID:{}\nFN:Odd\nN:One;Odd;;;\nNOTE:odd\n", long(100))), ALL),
        raw("a uid in folds", &around("3.0", "UID:folded-0123456789\n 0123456789\nFN:Odd\nN:One;Odd;;;\nNOTE:odd\n"), ALL),
        exact("ends of LF", &around("3.0", "UID:lf\nFN:Odd\nN:One;Odd;;;\nNOTE:odd\nX-ODD:1\n"), ALL),
        exact(
            "ends of both",
            "BEGIN:VCARD\r\nVERSION:3.0\nUID:mixed\r\nFN:Odd\nN:One;Odd;;;\r\nNOTE:odd\nX-ODD:1\r\nEND:VCARD",
            ALL,
        ),
        exact(
            "empty lines around",
            "\r\n\r\nBEGIN:VCARD\r\nVERSION:3.0\r\nUID:around\r\nFN:Odd\r\nN:One;Odd;;;\r\nNOTE:odd\r\nEND:VCARD\r\n\r\n\r\n",
            ALL,
        ),
        exact(
            "empty lines inside",
            "BEGIN:VCARD\r\nVERSION:3.0\r\n\r\nUID:within\r\nFN:Odd\r\nN:One;Odd;;;\r\n\r\nNOTE:odd\r\nEND:VCARD\r\n",
            ALL,
        ),
        exact(
            "a mark of order",
            "\u{feff}BEGIN:VCARD\r\nVERSION:3.0\r\nUID:bom\r\nFN:Odd\r\nN:One;Odd;;;\r\nNOTE:odd\r\nEND:VCARD\r\n",
            [NotTaken, NotTaken, NotTaken],
        ),
        card("a control character", "X-BELL:a\u{7}b", ALL),
        card("a vertical tab", "TITLE:a\u{b}b", ALL),
        raw(
            "two cards",
            &around("3.0", "UID:two\nFN:Odd\nN:One;Odd;;;\nNOTE:odd\n").repeat(2),
            [NotTaken, Unread("several cards"), Unread("several cards")],
        ),
        raw(
            "words behind the end",
            &format!("{}and more\n", around("3.0", "UID:behind\nFN:Odd\nN:One;Odd;;;\nNOTE:odd\n")),
            [NotTaken, NotTaken, Unread("several cards")],
        ),
        raw("no end", "BEGIN:VCARD\nVERSION:3.0\nUID:noend\nFN:Odd\nN:One;Odd;;;\nNOTE:odd\n", [NotTaken, NotTaken, NotTaken]),
        raw(
            "ends of another",
            "BEGIN:VCARD\nVERSION:3.0\nUID:other\nFN:Odd\nNOTE:odd\nEND:VCALENDAR\n",
            [NotTaken, NotTaken, NotTaken],
        ),
    ]
}
