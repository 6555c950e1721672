//! Owns: how deep lists and objects of a request may lie in each other, and what is left of a line where they lie deeper.
//! Must never know: what a line asks.

use crate::limits::REQUEST_DEPTH_MAX;

/// A line without what lies deeper than [`REQUEST_DEPTH_MAX`]: the lists and objects there are left empty. None: nothing does.
///
/// No value may lie so deep, so whoever reads what is left refuses it as the whole would have been refused, in the same words. Of
/// the rest nothing is looked at but where it ends: that costs a small part of reading it as JSON.
#[must_use]
pub fn shallow(line: &[u8]) -> Option<Vec<u8>> {
    shallower(line, REQUEST_DEPTH_MAX)
}

/// So many bytes are counted together.
const PIECE_BYTES: usize = 64;

fn shallower(line: &[u8], max: usize) -> Option<Vec<u8>> {
    // Nearly every line ends here: where so few begin, none can lie so deep.
    if line.len() <= max || !more_begin(line, max) {
        return None;
    }
    // What stays of the line before `from` is in `left`; where nothing is too deep at the moment, the line from there on stays too.
    let (mut left, mut from) = (Vec::new(), 0);
    let (mut depth, mut place) = (0_usize, Place::Outside);
    for (nth, piece) in line.chunks(PIECE_BYTES).enumerate() {
        let (begin, end) = (count(piece, begins), count(piece, ends));
        let quiet = count(piece, |byte| byte == b'"' || byte == b'\\') == 0;
        match place {
            Place::Text if quiet => continue,
            // It stays on its side of the bound, in whatever order they come.
            Place::Outside if quiet && end <= depth && (depth + begin <= max || depth - end > max) => {
                depth = depth + begin - end;
                continue;
            }
            _ => {}
        }
        for (at, byte) in (nth * PIECE_BYTES..).zip(piece) {
            match (place, *byte) {
                (Place::Escaped, _) | (Place::Outside, b'"') => place = Place::Text,
                (Place::Text, b'"') => place = Place::Outside,
                (Place::Text, b'\\') => place = Place::Escaped,
                (Place::Outside, byte) if begins(byte) => {
                    depth += 1;
                    if depth == max + 1 {
                        left.extend_from_slice(&line[from..=at]);
                    }
                }
                (Place::Outside, byte) if ends(byte) => {
                    if depth == max + 1 {
                        from = at;
                    }
                    depth = depth.saturating_sub(1);
                }
                _ => {}
            }
        }
    }
    if left.is_empty() {
        return None;
    }
    if depth <= max {
        left.extend_from_slice(&line[from..]);
    }
    Some(left)
}

/// Where a byte stands.
#[derive(Clone, Copy)]
enum Place {
    Outside,
    Text,
    /// In a text, behind a backslash.
    Escaped,
}

/// Whether more than `max` lists and objects begin in a line, were all of its bytes outside of texts.
fn more_begin(line: &[u8], max: usize) -> bool {
    let mut begun = 0;
    line.chunks(PIECE_BYTES).any(|piece| {
        begun += count(piece, begins);
        begun > max
    })
}

/// How many bytes of a piece, which has far fewer than 256, are so. Written so that many are looked at in one step.
fn count(piece: &[u8], what: impl Fn(u8) -> bool) -> usize {
    usize::from(piece.iter().fold(0_u8, |number, byte| number.wrapping_add(u8::from(what(*byte)))))
}

/// `[` and `{` differ in one bit, and no other byte is one of them but for that bit; so it is with their counterparts.
const fn begins(byte: u8) -> bool {
    byte | 0x20 == b'{'
}

const fn ends(byte: u8) -> bool {
    byte | 0x20 == b'}'
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left of a line, where three may lie in each other; `-`: all of it.
    #[track_caller]
    fn check(line: &str, expect: &str) {
        let left = shallower(line.as_bytes(), 3).map_or_else(|| "-".into(), |left| String::from_utf8(left).unwrap());
        assert_eq!(left, expect, "{line}");
    }

    #[test]
    fn what_lies_too_deep_is_left_out() {
        check("", "-");
        check("[[[1]]]", "-");
        check("[],[],[],[],[]", "-");
        check("[[[[1]]]]", "[[[[]]]]");
        check(r#"{"a":[{"b":{"c":[1]},"d":2}],"e":[[{}],[[{}]]]}"#, r#"{"a":[{"b":{},"d":2}],"e":[[{}],[[]]]}"#);
        check(r#"[[[[1,[2]],3,[4]],5],[[[6]]],7]"#, r#"[[[[],3,[]],5],[[[]]],7]"#);
        // In a text nothing begins and nothing ends.
        check(r#"["[[[[[[[[", 1]"#, "-");
        check(r#"[[["\"]]]", [{"a]}\\":"}\\\"]"}], 1]]]"#, r#"[[["\"]]]", [], 1]]]"#);
        // What is no JSON is left to whoever reads it.
        check("[[[[[[", "[[[[");
        check("[[[[[[]]", "[[[[");
        check("]]]][[[[[]", "]]]][[[[");
        check(r#"[[[["never ended]]]]"#, "[[[[");
        check(r#"[[[[1]]]"\"#, r#"[[[[]]]"\"#);
    }

    #[test]
    fn pieces_are_counted_as_their_bytes_would_be() {
        // One byte after the other, without a thought for speed.
        fn slowly(line: &[u8], max: usize) -> Vec<u8> {
            let (mut left, mut depth, mut text, mut escaped) = (Vec::new(), 0_usize, false, false);
            for byte in line {
                let was = depth;
                match byte {
                    _ if escaped => escaped = false,
                    b'\\' if text => escaped = true,
                    b'"' => text = !text,
                    b'[' | b'{' if !text => depth += 1,
                    b']' | b'}' if !text => depth = depth.saturating_sub(1),
                    _ => {}
                }
                if was.min(depth) <= max {
                    left.push(*byte);
                }
            }
            left
        }
        let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
        for round in 0..20_000 {
            let line: Vec<u8> = (0..round % 400)
                .map(|_| {
                    dice = dice.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
                    br#"[[[[{{]]]}}",:1 \ "#[(dice >> 33) as usize % 18]
                })
                .collect();
            for max in [1, 3, 40] {
                let left = shallower(&line, max).unwrap_or_else(|| line.clone());
                assert_eq!(
                    String::from_utf8(left),
                    String::from_utf8(slowly(&line, max)),
                    "{max}: {}",
                    String::from_utf8_lossy(&line)
                );
            }
        }
    }
}
