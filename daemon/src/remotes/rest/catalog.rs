//! Owns: which profiles there are: those built in, and those in the configuration's folder.
//! Must never know: what a profile says.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

pub use super::profile::Wrong;
use super::profile::{Profile, wrongs};
use crate::remotes::{Problem, nearest};

/// Name and text of each profile that is built in, by name. `build.rs` makes the list from the folder.
const BUILT_IN: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/profiles.rs"));

/// A profile of this name may be looked for: it is a file's name and nothing more.
const NAME_CHARS_MAX: usize = 64;

/// Profiles as they were last read, each with its text. Thousands of syncs ask for the same few again and again, and reading one takes
/// longer than all the rest of a run's beginning.
static READ: Mutex<BTreeMap<String, (String, Arc<Profile>)>> = Mutex::new(BTreeMap::new());

/// So many of them are kept; more begin anew.
const READ_MAX: usize = 64;

/// A profile for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name, for `profile = "..."`.
    pub name: String,
    /// One line about it.
    pub about: String,
    /// Whether it is built in (or a file of the user's).
    pub built_in: bool,
}

/// Every profile there is: the user's own and those built in, by name. One of the user's that cannot be read says why in `about`;
/// one that has the name of a built-in one replaces it.
#[must_use]
pub fn profiles(config_dir: &Path) -> Vec<Listed> {
    let own: Vec<String> = std::fs::read_dir(config_dir.join("profiles")).map_or_else(
        |_| Vec::new(),
        |entries| {
            let names =
                entries.flatten().filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".toml").map(str::to_owned));
            names.filter(|name| is_name(name)).collect()
        },
    );
    let built_in =
        BUILT_IN.iter().map(|(name, _)| (*name).to_owned()).filter(|name| !own.contains(name)).map(|name| (name, true));
    let mut all: Vec<Listed> = own
        .iter()
        .cloned()
        .map(|name| (name, false))
        .chain(built_in)
        .map(|(name, built_in)| {
            let about = find(&name, config_dir).map_or_else(|problem| problem.what, |profile| profile.about.clone());
            Listed { name, about, built_in }
        })
        .collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// Some lines of configuration to start from.
///
/// # Errors
/// When there is no such profile, or it is not usable.
pub fn example(name: &str, config_dir: &Path) -> Result<String, Problem> {
    find(name, config_dir).map(|profile| profile.example.clone())
}

/// The text of a profile, as it was written.
///
/// # Errors
/// When there is no such profile, or its file cannot be read.
pub fn text(name: &str, config_dir: &Path) -> Result<String, Problem> {
    if !is_name(name) {
        return Err(Problem::new(format!("{name:?} is no name of a profile")).hint("a profile is named, not given by its path"));
    }
    let path = config_dir.join("profiles").join(format!("{name}.toml"));
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let found = BUILT_IN.iter().find(|(known, _)| *known == name);
            found.map(|(_, text)| (*text).to_owned()).ok_or_else(|| {
                let known: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
                let hint = format!("{}; one of your own goes to {}", nearest("profiles", name, &known), path.display());
                Problem::new(format!("there is no profile {name:?}")).hint(hint)
            })
        }
        Err(error) => Err(Problem::new(format!("the profile {} cannot be read: {error}", path.display()))),
    }
}

/// Which records a profile lists and how it reads them, in a few letters, where somebody wrote it: who edits a filter does not think of
/// versions. Empty of one that is built in: there the version says so, and an update of mingle compares nothing anew.
fn listing(text: &str) -> String {
    if BUILT_IN.iter().any(|(_, built_in)| *built_in == text) {
        return String::new();
    }
    // Without comments, and in one order. It was read as a profile before, so it can be read.
    let table: toml::Table = toml::from_str(text).unwrap_or_default();
    let mut hasher = blake3::Hasher::new();
    for part in ["list", "row"] {
        hasher.update(table.get(part).map(ToString::to_string).unwrap_or_default().as_bytes());
    }
    hasher.finalize().to_hex()[..16].to_owned()
}

/// Everything that is wrong with the profile in a file.
///
/// # Errors
/// When it cannot be read.
pub fn check(file: &Path) -> Result<Vec<Wrong>, Problem> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        let name = file.display().to_string();
        let hint = if BUILT_IN.iter().any(|(known, _)| *known == name) {
            format!(
                "{name} is a profile that is built in, and is good; `mingle profile show {name}` prints it: check takes a file"
            )
        } else {
            "give the file of a profile, such as ./mine.toml; `mingle profile list` names those that are there".to_owned()
        };
        Problem::new(format!("the profile {name} cannot be read: {error}")).hint(hint)
    })?;
    Ok(wrongs(&text))
}

/// The profile of this name: the user's own, else the one built in.
///
/// # Errors
/// When there is no such profile, or it is not usable.
pub fn find(name: &str, config_dir: &Path) -> Result<Arc<Profile>, Problem> {
    let text = text(name, config_dir)?;
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((as_before, profile)) = read.get(name)
        && *as_before == text
    {
        return Ok(Arc::clone(profile));
    }
    let profile = Arc::new(Profile { listing: listing(&text), ..Profile::read(name, &text)? });
    if read.len() >= READ_MAX {
        read.clear();
    }
    read.insert(name.to_owned(), (text, Arc::clone(&profile)));
    Ok(profile)
}

fn is_name(name: &str) -> bool {
    let fits = |one: char| one.is_ascii_alphanumeric() || one == '-' || one == '_';
    !name.is_empty() && name.len() <= NAME_CHARS_MAX && name.chars().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_profile_is_usable_and_has_an_example_that_is_read() {
        let nowhere = Path::new("/nonexistent");
        assert!(!BUILT_IN.is_empty());
        for (name, _) in BUILT_IN {
            let profile = find(name, nowhere).unwrap_or_else(|problem| panic!("{problem}"));
            let example: toml::Table = toml::from_str(&profile.example).unwrap_or_else(|error| panic!("{name}: {error}"));
            let (remote, settings) = example["remote"].as_table().and_then(|all| all.iter().next()).expect("a remote");
            let settings: crate::remotes::RemoteSettings =
                settings.clone().try_into().unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(settings.profile.as_deref(), Some(*name), "the example of {name} uses another profile");
            crate::remotes::look(&settings, nowhere).unwrap_or_else(|problem| panic!("{name}: {problem}"));
            let sync = example["sync"].as_table().and_then(|all| all.values().next()).expect("a sync");
            assert_eq!(sync["remote"].as_str(), Some(remote.as_str()), "{name}");
        }
    }

    #[test]
    fn mistakes_in_different_tables_are_all_told() {
        let text = r#"version = "one"
about = "a"
example = "e"
colour = "red"
[abilities]
cursor = "stampp"
errands_max = 1
page_rows = "many"
[row]
revision = "/rev"
[list]
path = "/{resource}"
rows = ""
[get]
path = "/{resource}/{id}"
[limits]
remaning = "x"
"#;
        let told: Vec<(usize, String)> = wrongs(text).into_iter().map(|wrong| (wrong.line, wrong.what)).collect();
        let lines: Vec<usize> = told.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 4, 6, 8, 9, 17], "{told:?}");
        for (word, (_, what)) in ["u32", "colour", "stampp", "usize", "id", "remaning"].iter().zip(&told) {
            assert!(what.contains(word), "{word}: {told:?}");
        }
        let once = text.replace("colour = \"red\"\n", "");
        assert_eq!(wrongs(&once).len(), 5);
    }

    /// A filter that is made wider or narrower is another history; words for people are not.
    #[test]
    fn what_a_profile_lists_and_reads_is_told_from_what_it_says_to_people() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("profiles")).unwrap();
        let (name, built_in) = BUILT_IN.iter().find(|(name, _)| *name == "github-issues").unwrap();
        let mapped = |text: Option<String>| {
            let file = dir.path().join("profiles").join(format!("{name}.toml"));
            match text {
                Some(text) => std::fs::write(&file, text).unwrap(),
                None => std::fs::remove_file(&file).unwrap_or_default(),
            }
            find(name, dir.path()).unwrap().listing.clone()
        };
        assert_eq!(mapped(None), "");
        let own = mapped(Some(format!("# mine\n{built_in}")));
        assert_eq!(own.len(), 16);
        assert_eq!(mapped(Some(format!("# yours\n{built_in}"))), own);
        let edited = |from: &str, to: &str| {
            assert!(built_in.contains(from), "{from}");
            mapped(Some(built_in.replace(from, to)))
        };
        assert_ne!(edited("state = \"all\"", "state = \"open\""), own);
        assert_ne!(edited("title = {}", "title = { at = \"/name\" }"), own);
        assert_eq!(edited("GitHub: the issues", "GitHub: our issues"), own);
    }

    #[test]
    fn profiles_of_ones_own_come_first_and_names_are_no_paths() {
        let dir = tempfile::tempdir().unwrap();
        let (name, built_in) = BUILT_IN[0];
        std::fs::create_dir(dir.path().join("profiles")).unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(dir.path().join("profiles").join(format!("{name}.toml")), text).unwrap();
        let mine = built_in.lines().map(|line| if line.starts_with("about") { "about = \"mine\"" } else { line });
        let mine_text = mine.collect::<Vec<_>>().join("\n");
        write(name, &mine_text);
        write("broken", "versoin = 1");
        assert_eq!(find(name, dir.path()).unwrap().about, "mine");
        // Another folder has another, and the same file may become another.
        assert_ne!(find(name, Path::new("/nonexistent")).unwrap().about, "mine");
        let yours = mine_text.replace("about = \"mine\"", "about = \"yours\"");
        write(name, &yours);
        assert_eq!(find(name, dir.path()).unwrap().about, "yours");
        write(name, &mine_text);
        let listed = profiles(dir.path());
        assert_eq!(listed.len(), BUILT_IN.len() + 1);
        assert!(listed.iter().any(|one| one.name == "broken" && !one.built_in && one.about.contains("versoin")));
        for wrong in ["../broken", "", "a/b", "a\0b", "."] {
            assert!(find(wrong, dir.path()).unwrap_err().what.contains("no name of a profile"), "{wrong:?}");
        }
        let problem = find(&format!("{name}x"), dir.path()).unwrap_err();
        assert!(problem.hint.unwrap().contains(name));
    }
}
