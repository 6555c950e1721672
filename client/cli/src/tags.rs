//! Owns: which syncs a command means that names them, or a tag of theirs. Must never know: what is done with them.

use mingle_client::call;

use crate::{
    at::At,
    exit::{Exit, Failure},
};

/// One sync, or all with a tag.
#[derive(Debug, clap::Args)]
pub struct Which {
    /// The sync.
    #[arg(required_unless_present = "tag", conflicts_with = "tag")]
    sync: Option<String>,
    /// Every sync with this tag.
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
}

impl Which {
    /// Their names.
    pub fn names(self, at: &mut At) -> Result<Vec<String>, Failure> {
        match self.tag {
            Some(tag) => tagged(at, &tag),
            None => Ok(self.sync.into_iter().collect()),
        }
    }
}

/// The syncs with a tag, by name; that there is none is no answer to whoever named it.
pub fn tagged(at: &mut At, tag: &str) -> Result<Vec<String>, Failure> {
    let syncs = at.call(call::SyncList {})?.syncs;
    let names: Vec<String> =
        syncs.iter().filter(|sync| sync.tags.iter().any(|one| one == tag)).map(|sync| sync.sync.clone()).collect();
    if names.is_empty() {
        let mut tags: Vec<&str> = syncs.iter().flat_map(|sync| &sync.tags).map(String::as_str).collect();
        tags.sort_unstable();
        tags.dedup();
        let hint = if tags.is_empty() {
            "`tags = [\"NAME\"]` in a [sync.NAME] gives it one".to_owned()
        } else {
            format!("the tags are {}", tags.join(", "))
        };
        return Err(Failure::said(Exit::Usage, format!("no sync has the tag {tag:?}"), hint));
    }
    Ok(names)
}
