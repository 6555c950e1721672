//! Owns: checking that each bug which can be planted is planted somewhere, and by a test as well where a table has to find it. Must never know:
//! what a bug breaks.

use crate::tree::{File, files};

const LIST: &str = "daemon/core/src/planted.rs";

/// Every bug of the list that nobody plants: a table is told its name by a test, all others are planted by the list itself.
pub fn unplanted(files: &[File]) -> Vec<String> {
    let list = files.iter().filter(|file| file.path == LIST).flat_map(|file| file.text.lines());
    let bugs = list.filter_map(|line| line.trim().strip_prefix("(\"")?.strip_suffix("),")?.split_once("\", "));
    let count = |name: &str| -> usize {
        let quoted = format!("\"{name}\"");
        files.iter().filter(|file| file.is_rust() && file.path != LIST).map(|file| file.text.matches(&quoted).count()).sum()
    };
    let mut breaches = Vec::new();
    for (name, finder) in bugs {
        let (there, needed) = (count(name), if finder == "Tables" { 2 } else { 1 });
        if there < needed {
            breaches.push(format!(
                "{LIST}: {name:?} is named {there} times in the sources: the place that it breaks, and a test that finds it"
            ));
        }
    }
    breaches
}

#[test]
fn every_planted_bug_has_its_place_and_its_test() {
    crate::none(&unplanted(&files()));
}
