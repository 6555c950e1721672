//! Owns: checking what lies at the top. Must never know: what is in it.

use std::fs;

use crate::{house::TOP, tree::root};

pub fn top(names: &[String]) -> Vec<String> {
    let stranger = |name: &&String| !name.starts_with('.') && *name != "target" && !TOP.contains(&name.as_str());
    let mut breaches: Vec<String> = names
        .iter()
        .filter(stranger)
        .map(|name| format!("{name}: does not belong at the top; see design of the house"))
        .collect();
    let missing = TOP.iter().filter(|name| **name != "README.md").filter(|name| !names.iter().any(|there| there == *name));
    breaches.extend(missing.map(|name| format!("{name}: belongs at the top, and is not there")));
    breaches
}

#[test]
fn the_top_tells_the_story() {
    let names: Vec<String> = fs::read_dir(root())
        .expect("readable")
        .map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned())
        .collect();
    crate::none(&top(&names));
}
