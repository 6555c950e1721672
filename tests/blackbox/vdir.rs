//! Owns: `mingle vdir` from outside: a folder of files between khal, khard, todoman and a real server. Must never know: how it remembers.

mod back;
mod cards;
mod down;
mod events;
mod large;
mod odd;
mod page;

/// Lines of one text that the other has not, each way, without their ends.
fn changed(before: &str, after: &str) -> (Vec<String>, Vec<String>) {
    let only = |one: &str, other: &str| {
        let mut other: Vec<&str> = other.lines().collect();
        let left = one.lines().filter(|line| match other.iter().position(|other| other == line) {
            Some(at) => {
                other.swap_remove(at);
                false
            }
            None => true,
        });
        left.map(str::to_owned).collect()
    };
    (only(before, after), only(after, before))
}

/// The text has these lines, whatever parameters stand between name and value.
#[track_caller]
fn holds(text: &str, lines: &[&str]) {
    for line in lines {
        let (name, value) = line.split_once(':').expect("name:value");
        let fits = |one: &str| one == *line || (one.starts_with(&format!("{name};")) && one.ends_with(&format!(":{value}")));
        assert!(text.lines().any(fits), "no line {line:?} in\n{text}");
    }
}
