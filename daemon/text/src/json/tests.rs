//! Owns: tests of reading and writing JSON. Must never know: whose text it is.

use super::*;

#[track_caller]
fn check(text: &str, expect: &str) {
    let written = parse(text).map_or_else(|error| format!("! {error}"), |value| write_value(&value));
    assert!(written == expect || (expect == "!" && written.starts_with("! ")), "{text} gave {written}, not {expect}");
}

#[test]
fn elements_come_one_by_one() {
    #[derive(Default)]
    struct Kept(Vec<String>);
    impl Elements for Kept {
        fn begin(&mut self) {
            self.0.clear();
        }
        fn element(&mut self, value: Value) -> usize {
            self.0.push(write_value(&value));
            16
        }
        fn unreadable(&mut self, rest: Value, why: JsonError) -> usize {
            self.0.push(format!("!{why}:{}", write_value(&rest)));
            16
        }
    }
    #[track_caller]
    fn check(path: &[&str], text: &str, expect: &str) {
        let path: Vec<String> = path.iter().map(|name| (*name).to_owned()).collect();
        let mut kept = Kept::default();
        let read = parse_elements(text, 4096, &path, &mut kept);
        let rest = read.map_or_else(|error| format!("! {error}"), |(value, _)| write_value(&value));
        assert_eq!(format!("{} {rest}", kept.0.join(" ")), expect, "{text}");
    }
    check(&[], r#"[1,"a",{"b":[2]}]"#, r#"1 "a" {"b":[2]} []"#);
    check(&["rows"], r#"{"rows":[1,[2]],"next":"x"}"#, r#"1 [2] {"next":"x","rows":[]}"#);
    check(
        &["a", "rows"],
        r#"{"rows":[1],"a":{"rows":[2],"b":{"rows":[3]}}}"#,
        r#"2 {"a":{"b":{"rows":[3]},"rows":[]},"rows":[1]}"#,
    );
    check(&["1", "rows"], r#"[{"rows":[1]},{"rows":[2]}]"#, r#"2 [{"rows":[1]},{"rows":[]}]"#);
    // Of a name written twice the last counts.
    check(&["rows"], r#"{"rows":[1,2],"rows":[3]}"#, r#"3 {"rows":[]}"#);
    check(&["rows"], r#"{"rows":[1,2],"rows":7}"#, r#" {"rows":7}"#);
    check(&["a", "rows"], r#"{"a":{"rows":[1]},"a":{}}"#, r#" {"a":{}}"#);
    check(&["rows"], r#"{"other":[1]}"#, r#" {"other":[1]}"#);
    check(&["rows"], "5", " 5");
    check(&["rows"], r#"{"rows":[1,2"#, "1 2 ! the JSON text ends too early (line 1, column 12)");
    // One that cannot be read costs the others nothing where each is read by itself; what is no JSON costs them all.
    let singly = |text: &str| {
        let mut kept = Kept::default();
        let read = parse_elements_singly(text, 4096, &["rows".into()], &mut kept);
        format!("{} {}", kept.0.join(" "), read.map_or_else(|error| format!("! {error}"), |(value, _)| write_value(&value)))
    };
    assert_eq!(singly(r#"{"rows":[1,{"a":2}],"next":3}"#), r#"1 {"a":2} {"next":3,"rows":[]}"#);
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    assert_eq!(
        singly(&format!(r#"{{"rows":[{{"id":1,"in":{{"id":2,"v":{deep}}},"w":{deep}}},"\ud800",{{"id":3}}]}}"#)),
        r#"!the JSON value is too deep (line 1, column 151):{"id":1,"in":{"id":2,"v":null},"w":null} !half a character stands in a JSON text (line 1, column 8):null {"id":3} {"rows":[]}"#
    );
    assert_eq!(singly(r#"{"rows":[1,{"a":2"#), "1 ! the JSON text ends too early (line 1, column 17)");
    assert_eq!(singly(r#"{"rows":[1,nonsense]}"#), "1 ! not JSON (line 1, column 13)");
    // Many that are kept small fit, where all of them at once would not; one that is large does not.
    let many = format!("[{}]", vec![r#"{"a":{}}"#; 100].join(","));
    assert!(parse_within(&many, 4096).unwrap_err().heavy);
    assert_eq!(parse_elements(&many, 4096, &[], &mut Kept::default()).unwrap().1, 1600);
    let large = format!(r#"[{{"a":"{}"}}]"#, "x".repeat(5000));
    assert!(parse_elements(&large, 4096, &[], &mut Kept::default()).unwrap_err().heavy);
    let kept = format!("[{}]", vec!["1"; 300].join(","));
    assert!(parse_elements(&kept, 4096, &[], &mut Kept::default()).unwrap_err().heavy, "what is kept counts");
}

#[test]
fn what_is_read_is_written() {
    check("null", "null");
    check(" [true, false , null] ", "[true,false,null]");
    check(r#"{"b":1,"a":{"d":[],"c":{}}}"#, r#"{"a":{"c":{},"d":[]},"b":1}"#);
    check(r#"{"a":1,"b":2,"a":3}"#, r#"{"a":3,"b":2}"#);
    check(r#""\u00e4\ud83d\ude00\/\b\f\n\r\t\\\"\u0000""#, "\"ä😀/\\u0008\\u000c\\n\\r\\t\\\\\\\"\\u0000\"");
}

#[test]
fn a_name_written_twice_is_named_where_it_can_be_mended() {
    let check = |text: &str, twice: Option<&str>| {
        let told = parse_once(text).err().map(|error| error.to_string());
        let expected = twice.map(|name| format!("the name {name:?} is written twice in one object"));
        assert_eq!(told, expected, "{text}");
    };
    check(r#"{"a":1,"b":{"a":1},"c":[{"a":1},{"a":1}]}"#, None);
    check(r#"{"a":1,"b":2,"a":1}"#, Some("a"));
    check(r#"{"x":[{"n":{"b":1,"\u0062":2}}]}"#, Some("b"));
    check(&format!(r#"{{"{0}":1,"{0}":2}}"#, "n".repeat(1_000)), Some(&"n".repeat(64)));
    assert_eq!(parse_object_once("[]").unwrap_err().to_string(), "a list where an object was expected");
}

#[test]
fn what_values_take_in_memory_is_bounded() {
    let check = |text: &str, takes: Range<usize>| {
        let (_, bytes) = parse_within(text, usize::MAX).unwrap();
        assert!(takes.contains(&bytes), "{text} takes {bytes}");
        assert!(parse_within(text, bytes).unwrap_err().heavy, "{text}");
        assert!(parse_within(text, bytes + 1).is_ok(), "{text}");
    };
    check(r#"{"":0}"#, 500..1_000);
    check(r#"[1,1.5,"x"]"#, 200..400);
    check(r#"{"text":"0123456789"}"#, 500..1_000);
    assert!(!parse_within("[", 1_000).unwrap_err().heavy);
    // An app's record: seven characters that take six hundred bytes, again and again.
    let many = format!("[{}0]", r#"{"":0},"#.repeat(100_000));
    let told = parse_once(&many).unwrap_err();
    assert!(told.heavy && told.to_string().starts_with("the JSON text has too many values"), "{told}");
    assert!(parse_once(&format!("[{}0]", "0.12345,".repeat(50_000))).is_ok());
    assert!(parse(&many).is_ok(), "what is ours already is read whatever it takes");
}

#[test]
fn numbers_keep_their_form() {
    for number in ["0", "-0", "1.50", "1e-5", "1e+5", "1e+999", "-12345678901234567890123.0001", "9007199254740993"] {
        check(number, number);
    }
    check("[1E5,1e5]", "[1e+5,1e+5]");
    check(&format!("[{},{}]", u64::MAX, i64::MIN), "[18446744073709551615,-9223372036854775808]");
}

#[test]
fn a_name_like_the_librarys_own_is_a_name() {
    check(r#"{"$serde_json::private::Number":"12"}"#, r#"{"$serde_json::private::Number":"12"}"#);
    check(r#"{"\u0024serde_json::private::Number":"12"}"#, r#"{"$serde_json::private::Number":"12"}"#);
}

#[test]
fn what_is_not_json_is_an_error() {
    for text in ["", "{", "[1,]", "nul", "1 2", "01", "+1", ".5", "\"\\ud800\"", "'a'", "{\"a\":1", "NaN", "\u{feff}1"] {
        check(text, "!");
    }
    check(&format!("{}{}", "[".repeat(127), "]".repeat(127)), &format!("{}{}", "[".repeat(127), "]".repeat(127)));
    check(&format!("{}{}", "[".repeat(200), "]".repeat(200)), "!");
    assert!(parse_object("[]").is_err());
    assert_eq!(parse("{\"secret\": sesame}").unwrap_err().to_string(), "not JSON (line 1, column 12)");
}

/// A record that is JSON and cannot be read is told by what can be read of it; what is no JSON is told by nothing.
#[test]
fn of_what_is_too_deep_the_rest_is_read() {
    let deep = format!("{}1{}", "[".repeat(300), "]".repeat(300));
    let read = parse_what_can_be(&format!(r#"{{"data":{{"id":"b","v":{deep}}}}}"#), 1_000).expect("it is JSON");
    assert_eq!(write_value(&read), r#"{"data":{"id":"b","v":null}}"#);
    assert_eq!(parse_what_can_be(r#"{"data":{"id":"b","#, 1_000), None);
}
