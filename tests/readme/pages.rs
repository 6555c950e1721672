//! Owns: reading the pages: their blocks, their code in sentences, their headings. Must never know: what is checked.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The top of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the repository").to_owned()
}

/// One page.
pub struct Page {
    /// From the top.
    pub path: String,
    pub text: String,
}

/// A fenced block.
#[derive(Debug, PartialEq, Eq)]
pub struct Block {
    /// What stands behind the fence.
    pub kind: String,
    /// The line of its fence.
    pub line: usize,
    pub text: String,
}

/// Every page that people read first.
pub fn all() -> Vec<Page> {
    let mut paths = vec!["README.md".to_owned(), "daemon/ARCHITECTURE.md".to_owned()];
    let docs = fs::read_dir(root().join("daemon/docs")).expect("daemon/docs is there");
    for entry in docs {
        let name = entry.expect("readable").file_name().to_string_lossy().into_owned();
        if name.ends_with(".md") {
            paths.push(format!("daemon/docs/{name}"));
        }
    }
    paths.sort();
    paths.into_iter().map(|path| page(&path)).collect()
}

/// One page by its path from the top.
pub fn page(path: &str) -> Page {
    let text = fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    Page { path: path.to_owned(), text }
}

impl Page {
    /// Its fenced blocks, in order.
    pub fn blocks(&self) -> Vec<Block> {
        blocks(&self.text)
    }

    /// What stands between backticks in its sentences, with the line.
    pub fn spans(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        let mut fenced = false;
        for (at, line) in self.text.lines().enumerate() {
            if line.starts_with("```") {
                fenced = !fenced;
            } else if !fenced {
                found.extend(line.split('`').skip(1).step_by(2).map(|span| (at + 1, span.to_owned())));
            }
        }
        found
    }
}

fn blocks(text: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut open: Option<Block> = None;
    for (at, line) in text.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(kind)) => open = Some(Block { kind: kind.trim().to_owned(), line: at + 1, text: String::new() }),
            (Some(_), Some(_)) => found.extend(open.take()),
            (Some(block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is never closed: {open:?}");
    found
}

#[test]
fn blocks_and_spans_are_found() {
    let page = Page { path: "p".into(), text: "a `b c` d `e`\n```sh\nx `y`\n```\n`z`\n".into() };
    assert_eq!(page.blocks(), [Block { kind: "sh".into(), line: 2, text: "x `y`\n".into() }]);
    assert_eq!(page.spans(), [(1, "b c".into()), (1, "e".into()), (5, "z".into())]);
}
