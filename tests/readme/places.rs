//! Owns: that links lead somewhere, that files which are named are there, that the map is the house, and that a file which is printed is the file.
//! Must never know: what stands in them.

use std::path::Path;

use crate::pages::{self, Page, page, root};

/// What a path of ours begins with.
const OURS: [&str; 8] = ["client/", "daemon/", "launchd/", "proto/", "systemd/", "tests/", ".ci/", ".cargo/"];

/// Links of a page: what stands between `](` and `)`.
fn links(page: &Page) -> Vec<(usize, String)> {
    let of_line = |(at, line): (usize, &str)| {
        line.split("](").skip(1).filter_map(move |rest| Some((at + 1, rest.split_once(')')?.0.to_owned()))).collect::<Vec<_>>()
    };
    page.text.lines().enumerate().flat_map(of_line).filter(|(_, link)| !link.starts_with("https://")).collect()
}

/// The anchors that a page's headings have.
fn anchors(page: &Page) -> Vec<String> {
    let headings = page.text.lines().filter_map(|line| Some(line.strip_prefix('#')?.trim_start_matches('#').trim()));
    let plain = |heading: &str| {
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '-' || *c == '_');
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    };
    headings.map(plain).collect()
}

fn broken(page: &Page) -> Vec<String> {
    let folder = root().join(&page.path).parent().expect("in a folder").to_path_buf();
    let mut breaches = Vec::new();
    for (line, link) in links(page) {
        let (path, anchor) = link.split_once('#').map_or((link.as_str(), None), |(path, anchor)| (path, Some(anchor)));
        let target = if path.is_empty() { root().join(&page.path) } else { folder.join(path) };
        let missing_anchor = |anchor: &str| {
            let text = std::fs::read_to_string(&target).unwrap_or_default();
            !anchors(&Page { path: String::new(), text }).iter().any(|known| known == anchor)
        };
        if !target.exists() || anchor.is_some_and(missing_anchor) {
            breaches.push(format!("{}:{line}: the link {link} leads nowhere", page.path));
        }
    }
    breaches
}

#[test]
fn links_lead_somewhere() {
    let breaches: Vec<String> = pages::all().iter().flat_map(broken).collect();
    crate::none(&breaches);
}

#[test]
fn a_broken_link_is_seen() {
    let text = "# A b, c\n[x](#a-b-c) [y](#d) [z](README.md) [w](nowhere.md) [v](https://example.org)\n";
    let found = broken(&Page { path: "CHANGELOG.md".into(), text: text.into() });
    assert_eq!(found.len(), 3, "{found:?}: only the file is looked into for anchors, and it is another here");
}

#[test]
fn files_that_are_named_are_there() {
    let mut breaches = Vec::new();
    for page in pages::all() {
        for (line, span) in page.spans() {
            let path = span.split(['*', '<']).next().unwrap_or_default();
            let is_path = OURS.iter().any(|ours| path.starts_with(ours)) && !path.contains(char::is_whitespace);
            if is_path && !root().join(path).exists() {
                breaches.push(format!("{}:{line}: there is no {span}", page.path));
            }
        }
    }
    crate::none(&breaches);
}

/// The paths of a tree that is drawn by indenting.
fn drawn(map: &str) -> Vec<String> {
    let mut above: Vec<(usize, String)> = Vec::new();
    let mut found = Vec::new();
    for line in map.lines().filter(|line| !line.trim().is_empty()) {
        let indent = line.len() - line.trim_start().len();
        above.retain(|(depth, _)| *depth < indent);
        // Words behind at least two blanks say what it is; several names may stand before them.
        let names = line.trim_start().split("   ").next().unwrap_or_default();
        for name in names.split_whitespace().filter(|name| name.contains(['/', '.'])) {
            let parent = above.last().map_or("", |(_, path)| path.as_str());
            let path = format!("{parent}{name}");
            if name.ends_with('/') {
                above.push((indent, path.clone()));
            }
            found.push(path);
        }
    }
    found
}

#[test]
fn the_map_is_the_house() {
    let readme = page("README.md");
    let map = readme.blocks().into_iter().find(|block| block.kind == "text").expect("README has a map");
    let drawn = drawn(&map.text);
    assert!(drawn.len() > 15, "{drawn:?}");
    let missing: Vec<String> =
        drawn.iter().filter(|path| !root().join(path).exists()).map(|path| format!("{path} is not there")).collect();
    crate::none(&missing);
    let folders = |of: &str| {
        let entries = std::fs::read_dir(root().join(of)).expect("readable").flatten();
        let named = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        entries.map(|entry| entry.path()).filter(|path| path.is_dir()).map(|path| named(&path)).collect::<Vec<_>>()
    };
    let ours = |name: &String| !name.starts_with('.') && name != "target" && name != "data";
    let undrawn: Vec<String> = ["", "tests/"]
        .iter()
        .flat_map(|of| folders(of).into_iter().filter(ours).map(move |name| format!("{of}{name}/")))
        .filter(|path| !drawn.contains(path))
        .map(|path| format!("{path} is not on the map"))
        .collect();
    crate::none(&undrawn);
}

#[test]
fn the_app_that_is_printed_is_the_file() {
    let app = std::fs::read_to_string(root().join("daemon/docs/app.py")).expect("daemon/docs/app.py");
    let printed = page("README.md").blocks().into_iter().find(|block| block.kind == "python").expect("README prints the app");
    assert_eq!(printed.text, app, "README prints another app than daemon/docs/app.py");
    assert!(app.lines().count() <= 40, "forty lines, it says");
}
