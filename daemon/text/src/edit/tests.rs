//! Owns: tables of edits: what a change writes of a card, an event and a task with odd lines, and what it refuses. Must never know: where a
//! text lies.

use super::*;
use crate::json;

const CARD: &str = "BEGIN:VCARD\nVERSION:3.0\nPRODID:-//Odd//1//EN\nUID:u1\nN:Doe;Jane;;;\nFN:Jane Doe\nTEL;TYPE=CELL,VOICE:+1 555 0100\n\
    item1.EMAIL;TYPE=INTERNET:jane@example.com\nitem1.X-ABLabel:_$!<Other>!$_\nEMAIL;TYPE=home;X-SEEN=yes:jane@home.example\n\
    X-SOCIALPROFILE;TYPE=twitter:http://twitter.com/jane\nADR;TYPE=HOME:;;1 Street;Town;;123;Land\n\
    PHOTO;ENCODING=b;TYPE=JPEG:aGVsbG8=\nNOTE:a long note that somebody folded right he\n re and nowhere else\nX-ODD;A=\"b;c\":d\\,e\nREV:2026-01-01T00:00:00Z\nEND:VCARD\n";

const EVENT: &str = "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//Odd//1//EN\nX-WR-CALNAME:Work\nBEGIN:VTIMEZONE\nTZID:Europe/Berlin\n\
    BEGIN:STANDARD\nDTSTART:19701025T030000\nTZOFFSETFROM:+0200\nTZOFFSETTO:+0100\nEND:STANDARD\nEND:VTIMEZONE\nBEGIN:VEVENT\n\
    UID:e1\nDTSTAMP:20260102T030405Z\nDTSTART;TZID=Europe/Berlin:20260320T090000\nDTEND;TZID=Europe/Berlin:20260320T100000\n\
    RRULE:FREQ=WEEKLY;COUNT=6;BYDAY=FR\nEXDATE;TZID=Europe/Berlin:20260327T090000\nSUMMARY;LANGUAGE=de:Standup\nLOCATION:Room 5\n\
    X-FOO;X-PAR=1;X-PAR=2:bar\nATTENDEE;CN=\"Max; M\";PARTSTAT=ACCEPTED;RSVP=TRUE:mailto:max@example.com\nBEGIN:VALARM\n\
    ACTION:DISPLAY\nTRIGGER:-PT15M\nDESCRIPTION:Reminder\nX-SNOOZE:1\nEND:VALARM\nEND:VEVENT\nBEGIN:VEVENT\nUID:e1\n\
    RECURRENCE-ID;TZID=Europe/Berlin:20260403T090000\nDTSTAMP:20260102T030405Z\nDTSTART;TZID=Europe/Berlin:20260403T110000\n\
    DTEND;TZID=Europe/Berlin:20260403T120000\nSUMMARY:moved\nX-INNER:1\nEND:VEVENT\nEND:VCALENDAR\n";

const TASK: &str = "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\nBEGIN:VTODO\nUID:t1\nDTSTAMP:20260101T000000Z\nSUMMARY:Buy\n\
    DUE;VALUE=DATE:20260105\nPERCENT-COMPLETE:20\nSTATUS:IN-PROCESS\nX-OC-HIDESUBTASKS:1\nEND:VTODO\nEND:VCALENDAR\n";

fn of(text: &str) -> (Holds, String) {
    let holds = if text.starts_with("BEGIN:VCARD") { Holds::Cards } else { Holds::Events };
    (holds, text.replace('\n', "\r\n"))
}

fn patch(text: &str) -> BTreeMap<String, Option<Value>> {
    let props = json::parse_object(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    props.into_iter().map(|(name, value)| (name, Some(value).filter(|value| *value != Value::Null))).collect()
}

/// The lines that differ, those that went before those that came; or why it is refused.
fn diff(text: &str, change: &str) -> Result<String, String> {
    let (holds, text) = of(text);
    let edited = edited(holds, &text, &patch(change))?;
    let lines = |text: &str| text.split("\r\n").map(str::to_owned).collect::<Vec<_>>();
    let (before, after) = (lines(&text), lines(&edited));
    let only = |one: &[String], other: &[String], sign: char| {
        let mut other = other.to_vec();
        let left = one.iter().filter(|line| match other.iter().position(|other| other == *line) {
            Some(at) => {
                other.swap_remove(at);
                false
            }
            None => true,
        });
        left.map(|line| format!("{sign}{line}")).collect::<Vec<_>>()
    };
    Ok([only(&before, &after, '-'), only(&after, &before, '+')].concat().join(" "))
}

#[track_caller]
fn check(text: &str, change: &str, expect: &str) {
    match diff(text, change) {
        Ok(diff) => assert_eq!(diff, expect, "{change}"),
        Err(why) => assert_eq!(format!("refused: {why}"), expect, "{change}"),
    }
}

const LOSES: &str = "cannot be written without losing something of what stands there";

#[test]
fn a_change_of_a_card_writes_its_own_lines_and_no_others() {
    check(
        CARD,
        r#"{"notes":{"k1":{"note":"short"}}}"#,
        "-NOTE:a long note that somebody folded right he - re and nowhere else +NOTE:short",
    );
    check(CARD, r#"{"notes":null}"#, "-NOTE:a long note that somebody folded right he - re and nowhere else");
    check(CARD, r#"{"phones":null}"#, "-TEL;TYPE=CELL,VOICE:+1 555 0100");
    check(CARD, r#"{"nicknames":{"k1":{"name":"JD"}}}"#, "+NICKNAME:JD");
    let at_work = CARD.replace("NOTE:", "ORG:Works\nNOTE:");
    check(&at_work, r#"{"titles":{"k1":{"kind":"role","name":"Chief"}}}"#, "+ROLE:Chief");
    check(&at_work, r#"{"titles":{"k1":{"kind":"title","name":"Dr"}}}"#, "+TITLE:Dr");
    check(CARD, r#"{"uid":"u1","vCard":{},"id":7}"#, "");
    check(
        CARD,
        r#"{"phones":{"k1":{"number":"+1 555 0100","features":{"mobile":true,"voice":true}},"k2":{"number":"2"}}}"#,
        "+TEL:2",
    );
}

#[test]
fn a_change_of_an_event_or_a_task_writes_its_own_lines_and_no_others() {
    check(EVENT, r#"{"title":"Weekly"}"#, "-SUMMARY;LANGUAGE=de:Standup +SUMMARY;LANGUAGE=de:Weekly");
    // In its exception too: that one says nothing else.
    check(EVENT, r#"{"description":"why"}"#, "+DESCRIPTION:why +DESCRIPTION:why");
    check(TASK, r#"{"percentComplete":60}"#, "-PERCENT-COMPLETE:20 +PERCENT-COMPLETE:60");
    check(TASK, r#"{"title":null}"#, "-SUMMARY:Buy");
    check(TASK, r#"{"progress":"completed"}"#, "-STATUS:IN-PROCESS +STATUS:COMPLETED");
}

#[test]
fn what_would_be_lost_is_refused_and_named() {
    // It is a photo in base64, and the library takes it for a text.
    check(
        CARD,
        r#"{"media":{"k1":{"kind":"photo","uri":"hello","label":"me"}}}"#,
        &format!("refused: the change of media {LOSES}"),
    );
    check(CARD, r#"{"notes":{"k1":{"note":"a\u000bb"}}}"#, &format!("refused: notes {ODD}"));
    check(CARD, r#"{"name":7}"#, &format!("refused: the change of name {LOSES}"));
}

#[test]
fn whatever_one_changes_and_changes_back_reads_as_it_did() {
    // What lies inside goes with what it lies in, and has its own odd lines.
    let inside = [("alerts", "X-SNOOZE"), ("recurrenceOverrides", "X-INNER")];
    for (text, least) in [(CARD, 3), (EVENT, 9), (TASK, 5)] {
        let (holds, text) = of(text);
        let before = item::read(holds, &text).unwrap().shown();
        let mut count = 0;
        for (name, value) in &before {
            let Ok(cleared) = edited(holds, &text, &BTreeMap::from([(name.clone(), None)])) else { continue };
            assert!(!item::read(holds, &cleared).unwrap().shown().contains_key(name), "{name}");
            let Ok(back) = edited(holds, &cleared, &BTreeMap::from([(name.clone(), Some(value.clone()))])) else { continue };
            assert!(item::alike_props(&item::read(holds, &back).unwrap().shown(), &before), "{name}: {back}");
            let goes = |line: &str| inside.iter().any(|(of, begins)| of == name && line.starts_with(begins));
            let odd = text.split("\r\n").filter(|line| line.starts_with("X-") && !goes(line));
            odd.for_each(|line| assert!(back.contains(line), "{name}: {line} of {back}"));
            count += 1;
        }
        assert!(count >= least, "of {count} properties a change and its way back were taken, not of {least}: {before:?}");
    }
}

#[test]
fn a_new_member_holds_what_was_wanted_or_is_refused() {
    #[track_caller]
    fn check(holds: Holds, whole: &str, expect: Result<&[&str], &str>) {
        let whole = json::parse_object(whole).unwrap();
        match (made(holds, &whole, "id-1", Timestamp::from_unix_ms(1_767_225_600_500)), expect) {
            (Ok(text), Ok(lines)) => {
                lines.iter().for_each(|line| assert!(text.contains(&format!("{line}\r\n")), "{line}: {text}"));
            }
            (Err(why), Err(part)) => assert!(why.contains(part), "{why}"),
            (got, expect) => panic!("{got:?}, not {expect:?}"),
        }
    }
    let card = r#"{"name":{"full":"A B"},"notes":{"k1":{"note":"x\ny"}},"odd":{"a":[1]},"id":3}"#;
    check(Holds::Cards, card, Ok(&["VERSION:3.0", "UID:id-1", "FN:A B", "JSPROP;JSPTR=odd:{\"a\":[1]}"]));
    check(Holds::Cards, r#"{"uid":"own","name":{"full":"A"}}"#, Ok(&["UID:own"]));
    check(Holds::Cards, r#"{"name":{"full":"Ä"},"emails":{"k1":{"address":"a@b"}}}"#, Ok(&["FN:Ä", "EMAIL:a@b"]));
    check(Holds::Cards, r#"{"name":{"full":"A"},"emails":{"home":{"address":"a@b"}}}"#, Ok(&["EMAIL;PROP-ID=home:a@b"]));
    check(Holds::Cards, r#"{"name":{"full":"A"},"notes":{"k1":{"note":"x\r\ny\tz"}}}"#, Ok(&["NOTE:x\\ny\tz"]));
    check(Holds::Cards, r#"{"name":{"full":"A"},"notes":{"k1":{"note":"x\ry"}}}"#, Ok(&["NOTE:x\\ny"]));
    check(Holds::Cards, r#"{"name":{"full":"A\u0085B"}}"#, Err("name holds control characters"));
    check(Holds::Cards, r#"{"name":"rust"}"#, Err("name has no place in a vCard"));
    let event = r#"{"title":"T","start":"2026-01-01T10:00:00","timeZone":"Europe/Berlin","duration":"PT1H"}"#;
    let lines =
        ["BEGIN:VEVENT", "UID:id-1", "SUMMARY:T", "DTSTART;TZID=Europe/Berlin:20260101T100000", "DTSTAMP:20260101T000000Z"];
    check(Holds::Events, event, Ok(&lines));
    check(
        Holds::Events,
        r#"{"title":"T","due":"2026-01-05T00:00:00","progress":"needs-action"}"#,
        Ok(&["BEGIN:VTODO", "SUMMARY:T"]),
    );
    check(Holds::Events, r#"{"title":"T","~/":1}"#, Err("~/ has no place in an iCalendar text"));
}

#[test]
fn an_exception_is_a_difference_here_and_a_whole_one_there() {
    let (holds, text) = of(EVENT);
    let shown = item::read(holds, &text).unwrap().shown();
    let Value::Map(all) = &shown["recurrenceOverrides"] else { panic!("{shown:?}") };
    let expect = r#"{"2026-03-27T09:00:00":{"excluded":true},"2026-04-03T09:00:00":{"alerts":null,"locale":null,"locations":null,"participants":null,"start":"2026-04-03T11:00:00","title":"moved"}}"#;
    assert_eq!(json::write(all), expect);
    let with = |more: &str| {
        let change = format!("{{\"recurrenceOverrides\":{},{more}}}}}", expect.trim_end_matches('}').to_owned() + "}");
        let (before, after) = (lines_of(&text), lines_of(&edited(holds, &text, &patch(&change)).unwrap()));
        assert!(before.iter().filter(|line| !line.starts_with("END:")).all(|line| after.contains(line)), "{after:?}");
        after[before.len() - 1..].to_vec()
    };
    // One that only moves, and one that has another title: each has all that an instance has.
    for (change, own) in [
        (r#""2026-04-10T09:00:00":{"start":"2026-04-10T15:00:00"}"#, [":Standup", "T150000"]),
        (r#""2026-04-10T09:00:00":{"title":"Other"}"#, [":Other", "T090000"]),
    ] {
        let lines = with(change).join("\n");
        for part in
            [own[0], own[1], "DTSTAMP:20260102T030405Z", "RECURRENCE-ID;TZID=Europe/Berlin:20260410T090000", "LOCATION", "Room 5"]
        {
            assert!(lines.contains(part), "{part}: {lines}");
        }
        assert!(lines.contains("BEGIN:VALARM") && lines.contains("DESCRIPTION:Reminder") && lines.contains("UID:e1"), "{lines}");
        assert!(["DTEND", "DURATION"].iter().any(|name| lines.contains(name)) && lines.contains("ATTENDEE"), "{lines}");
    }
    let leads = r#"{"recurrenceOverrides":{"2026-04-10T09:00:00":{"links/k7/href":"x"}}}"#;
    check(
        EVENT,
        leads,
        "refused: recurrenceOverrides/2026-04-10T09:00:00: links/k7/href leads to what the event has not: name the whole property",
    );
    let zoned =
        r#"{"recurrenceOverrides":{"2026-04-10T09:00:00":{"start":"2026-04-10T10:00:00","timeZone":"America/New_York"}}}"#;
    check(
        EVENT,
        zoned,
        "refused: recurrenceOverrides/2026-04-10T09:00:00: timeZone has no place in an exception here: leave it out",
    );
    // What the event changes changes in those that do not differ.
    check(EVENT, r#"{"title":"Weekly"}"#, "-SUMMARY;LANGUAGE=de:Standup +SUMMARY;LANGUAGE=de:Weekly");
    let new = r#"{"title":"T","start":"2026-01-02T10:00:00","timeZone":"Europe/Berlin","duration":"PT1H","recurrenceRule":{
        "frequency":"weekly"},"recurrenceOverrides":{"2026-01-09T10:00:00":{"start":"2026-01-09T12:00:00"},"2026-01-16T10:00:00":{"excluded":true}}}"#;
    let text =
        made(Holds::Events, &json::parse_object(new).unwrap(), "id-1", Timestamp::from_unix_ms(1_767_225_600_500)).unwrap();
    let second = text.split("BEGIN:VEVENT").find(|one| one.contains("RECURRENCE-ID")).unwrap_or_else(|| panic!("{text}"));
    for part in ["SUMMARY:T", "DTSTAMP:20260101T000000Z", "DTSTART;TZID=Europe/Berlin:20260109T120000", "UID:id-1"] {
        assert!(second.contains(part), "{part}: {text}");
    }
    let read = item::read(Holds::Events, &text).unwrap().shown();
    assert!(item::alike(&read["recurrenceOverrides"], &json::parse_object(new).unwrap()["recurrenceOverrides"]), "{text}");
}

/// A birthday, as phones write it: one is left out, one is another day, one has another title.
const BIRTHDAY: &str = "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\nBEGIN:VEVENT\nUID:b1\nDTSTAMP:20260101T000000Z\n\
    DTSTART;VALUE=DATE:20260320\nDTEND;VALUE=DATE:20260321\nRRULE:FREQ=YEARLY\nEXDATE;VALUE=DATE:20270320\nSUMMARY:Jane\nX-ODD:1\nEND:VEVENT\n\
    BEGIN:VEVENT\nUID:b1\nRECURRENCE-ID;VALUE=DATE:20280320\nDTSTAMP:20260101T000000Z\nDTSTART;VALUE=DATE:20280322\n\
    DTEND;VALUE=DATE:20280323\nSUMMARY:Jane\nX-INNER:1\nEND:VEVENT\nBEGIN:VEVENT\nUID:b1\nRECURRENCE-ID;VALUE=DATE:20290320\n\
    DTSTAMP:20260101T000000Z\nDTSTART;VALUE=DATE:20290320\nDTEND;VALUE=DATE:20290321\nSUMMARY:Jane is 30\nEND:VEVENT\nEND:VCALENDAR\n";

#[test]
fn exceptions_of_whole_days_are_by_their_day() {
    let (holds, text) = of(BIRTHDAY);
    let shown = item::read(holds, &text).unwrap_or_else(|why| panic!("{why}")).shown();
    let Value::Map(all) = &shown["recurrenceOverrides"] else { panic!("{shown:?}") };
    let expect = r#"{"2027-03-20T00:00:00":{"excluded":true},"2028-03-20T00:00:00":{"start":"2028-03-22T00:00:00"},"2029-03-20T00:00:00":{"title":"Jane is 30"}}"#;
    assert_eq!(json::write(all), expect);
    check(BIRTHDAY, r#"{"description":"cake"}"#, "+DESCRIPTION:cake +DESCRIPTION:cake +DESCRIPTION:cake");
    check(BIRTHDAY, r#"{"title":"Jane D"}"#, "-SUMMARY:Jane -SUMMARY:Jane +SUMMARY:Jane D +SUMMARY:Jane D");
    let with = |from: &str, to: &str| format!(r#"{{"recurrenceOverrides":{}}}"#, expect.replace(from, to));
    // One that is there moves, another is left out, and a new one comes: each by its day.
    check(
        BIRTHDAY,
        &with("2028-03-22", "2028-03-25"),
        "-DTSTART;VALUE=DATE:20280322 -DTEND;VALUE=DATE:20280323 +DTSTART;VALUE=DATE:20280325 +DTEND;VALUE=DATE:20280326",
    );
    check(
        BIRTHDAY,
        &with("{\"2027", "{\"2030-03-20T00:00:00\":{\"excluded\":true},\"2027"),
        "-EXDATE;VALUE=DATE:20270320 +EXDATE;VALUE=DATE:20270320,20300320",
    );
    check(
        BIRTHDAY,
        &with("{\"2027", "{\"2030-03-20T00:00:00\":{\"start\":\"2030-03-21T00:00:00\"},\"2027"),
        "+BEGIN:VEVENT +DTSTART;VALUE=DATE:20300321 +UID:b1 +DURATION:P1D +SUMMARY:Jane +DTSTAMP:20260101T000000Z \
         +RECURRENCE-ID;VALUE=DATE:20300320 +END:VEVENT",
    );
}

#[test]
fn a_day_says_nothing_of_an_event_that_has_an_hour() {
    let by_day = EVENT.replace("EXDATE;TZID=Europe/Berlin:20260327T090000", "EXDATE;VALUE=DATE:20260327");
    let (holds, text) = of(&by_day);
    let shown = item::read(holds, &text).unwrap_or_else(|why| panic!("{why}")).shown();
    let Value::Map(mut all) = shown["recurrenceOverrides"].clone() else { panic!("{shown:?}") };
    all.insert("2026-04-10T09:00:00".into(), Value::Map([("excluded".into(), Value::Bool(true))].into()));
    let change = format!(r#"{{"recurrenceOverrides":{}}}"#, json::write(&all));
    check(&by_day, &change, "+EXDATE;TZID=Europe/Berlin:20260410T090000");
}

fn lines_of(text: &str) -> Vec<String> {
    text.split("\r\n").map(str::to_owned).collect()
}

#[test]
fn what_the_library_keeps_is_not_shown_and_not_lost_wherever_it_lies() {
    let (holds, text) = of(EVENT);
    let shown = json::write(&item::read(holds, &text).unwrap().shown());
    assert!(!shown.contains("iCalendar") && !shown.contains("X-") && !shown.contains("x-"), "{shown}");
    let alert = |before: &str| {
        format!(
            r#"{{"alerts":{{"k1":{{"@type":"Alert","action":"display","trigger":{{"@type":"OffsetTrigger","offset":"{before}"}}}}}}}}"#
        )
    };
    check(EVENT, &alert("-PT15M"), "");
    check(EVENT, &alert("-PT30M"), "-TRIGGER:-PT15M +TRIGGER:-PT30M");
    check(EVENT, &alert("-PT15M").replace("k1", "k7"), "");
}

#[test]
fn a_made_up_key_is_found_again_by_what_it_holds() {
    let two = "BEGIN:VCARD\nVERSION:3.0\nUID:u1\nFN:Jane\nitem1.EMAIL;X-OWN=1:a@example.com\nEMAIL;X-SEEN=yes:b@example.com\nEND:VCARD\n";
    let gone = "-item1.EMAIL;X-OWN=1:a@example.com";
    check(two, r#"{"emails":{"k1":{"address":"b@example.com"}}}"#, gone);
    check(two, r#"{"emails":{"k1":{"address":"b@example.com"},"k2":{"address":"c"}}}"#, &format!("{gone} +EMAIL:c"));
    check(two, r#"{"emails":{"k1":{"address":"b@example.com"},"k2":{"address":"a@example.com"}}}"#, "");
}

#[test]
fn a_zone_that_is_named_stands_there() {
    let event = r#"{"title":"T","start":"2026-01-01T10:00:00","timeZone":"America/New_York","duration":"PT1H"}"#;
    let text = made(Holds::Events, &json::parse_object(event).unwrap(), "id-1", Timestamp::default()).unwrap();
    assert!(text.contains("BEGIN:VTIMEZONE\r\nTZID:America/New_York"), "{text}");
    let (holds, text) = of(EVENT);
    let text = edited(holds, &text, &patch(r#"{"timeZone":"America/New_York"}"#));
    assert!(
        text.as_ref().is_ok_and(|text| text.contains("TZID:America/New_York") && text.contains("TZID:Europe/Berlin")),
        "{text:?}"
    );
    // One that the text named before, without a zone beside it, is left so.
    let bare = "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\nBEGIN:VEVENT\nUID:e\nDTSTART;TZID=Europe/Berlin:20260320T090000\nSUMMARY:a\nEND:VEVENT\nEND:VCALENDAR\n";
    check(bare, r#"{"title":"b"}"#, "-SUMMARY:a +SUMMARY:b");
}

#[test]
fn many_alike_components_are_turned_soon() {
    let alarms = "BEGIN:VALARM\nACTION:AUDIO\nTRIGGER:-PT5M\nEND:VALARM\n".repeat(900);
    let text = EVENT.replacen("BEGIN:VALARM", &format!("{alarms}BEGIN:VALARM"), 1);
    check(&text, r#"{"title":"b"}"#, "-SUMMARY;LANGUAGE=de:Standup +SUMMARY;LANGUAGE=de:b");
}

/// The tables above find each bug that is planted here.
#[cfg(feature = "planted")]
#[test]
fn planted_bugs_are_found() {
    let small = r#"{"notes":{"k1":{"note":"short"}}}"#;
    planted::set_here(Some("a text is written anew"));
    let anew = diff(CARD, small).unwrap();
    planted::set_here(Some("an edited text is not read again"));
    let unread = diff(CARD, r#"{"name":7}"#);
    let lost = made(Holds::Cards, &json::parse_object(r#"{"name":"rust"}"#).unwrap(), "u", Timestamp::default());
    planted::set_here(Some("what the library keeps is let go"));
    let kept = std::panic::catch_unwind(what_the_library_keeps_is_not_shown_and_not_lost_wherever_it_lies).is_ok();
    planted::set_here(Some("an exception holds its difference alone"));
    let whole = std::panic::catch_unwind(an_exception_is_a_difference_here_and_a_whole_one_there).is_ok();
    planted::set_here(None);
    assert!(!kept && !whole, "{kept} {whole}");
    assert!(anew.contains("-PHOTO") && anew.contains("-TEL"), "{anew}");
    assert!(unread.is_ok() && lost.is_ok(), "{unread:?} {lost:?}");
}

#[test]
fn a_text_is_turned_into_a_record_by_the_lines_in_which_it_shows_another() {
    #[track_caller]
    fn check(text: &str, change: &str) {
        let (holds, text) = of(text);
        let mut record = crate::read(holds, &text).expect("it shows one");
        for (name, value) in patch(change) {
            record.insert(name, value.unwrap_or(Value::Null));
        }
        assert_eq!(turned(holds, &text, &record), edited(holds, &text, &patch(change)), "{change}");
    }
    check(CARD, "{}");
    check(CARD, r#"{"nicknames":{"k1":{"name":"JJ"}}}"#);
    check(CARD, r#"{"notes":null}"#);
    check(EVENT, r#"{"title":"Standup!","description":"a\r\nb"}"#);
    check(TASK, r#"{"progress":"completed","percentComplete":100}"#);
    // What the record never says of itself is no change.
    let (holds, text) = of(TASK);
    let mut record = crate::read(holds, &text).expect("it shows one");
    record.remove("uid");
    record.remove("@type");
    record.insert("updated".into(), Value::Text("2027-01-01T00:00:00Z".into()));
    assert_eq!(turned(holds, &text, &record), Ok(text));
}
