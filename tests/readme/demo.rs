//! Owns: that `cargo demo` comes to its end with 0, without a terminal, and leaves what it says. Must never know: its story.

use std::process::{Command, Stdio};

#[test]
fn the_demo_comes_to_its_end() {
    let room = tempfile::tempdir().expect("a folder");
    let root = room.path().join("demo");
    let mut demo = Command::new(env!("CARGO_BIN_EXE_demo"));
    let output = demo.arg(&root).stdin(Stdio::null()).output().expect("the demo starts");
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}:\n{said}\n{complained}", output.status);
    for told in ["app.py: created", "merged property by property", "in conflict", "kill -9", "every step came out as told"] {
        assert!(said.contains(told), "it should have shown {told:?}:\n{said}");
    }
    for left in ["env", "config/mingle/config.toml", "data/mingle/store.db"] {
        assert!(root.join(left).exists(), "it should have left {left}");
    }
}
