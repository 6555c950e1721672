//! Owns: texts merged line by line. Must never know: policies, which property it is.

use crate::{
    limits::TEXT_MERGE_LINES_MAX,
    record::{Value, with_lf},
};

/// Both sides' changes of lines in one text, with the truth's line ends. None: they overlap, a side is no text, there is no base
/// to tell changes by, or the texts are too long.
pub(super) fn three_way(agreed: Option<&Value>, truth: Option<&Value>, theirs: Option<&Value>) -> Option<String> {
    let (Some(Value::Text(agreed)), Some(Value::Text(truth)), Some(Value::Text(theirs))) = (agreed, truth, theirs) else {
        return None;
    };
    let (was, ours, others) = (with_lf(agreed), with_lf(truth), with_lf(theirs));
    if [&was, &ours, &others].iter().any(|text| text.lines().count() > TEXT_MERGE_LINES_MAX) {
        return None;
    }
    let merged = diffy::merge(&was, &ours, &others).ok()?;
    Some(if truth.contains("\r\n") { merged.replace('\n', "\r\n") } else { merged })
}
