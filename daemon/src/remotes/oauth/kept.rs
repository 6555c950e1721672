//! Owns: where the tokens of a login lie, and in which form. Must never know: what they open, how they are asked for.
//!
//! A file of the state has whose login it is; the tokens lie in it too, or in the keyring. In the keyring they lie with the account, which
//! counts: a kill between the two writes must not give one account the tokens of another.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use mingle_core::{
    limits,
    replica::{Failure, RemoteError},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::remotes::{
    Problem, keyring, secret,
    settings::{OAuth2, Tokens},
};

/// A login, as it is kept.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// Names this login, over all renewals of its tokens.
    pub(super) login: String,
    /// Whose it is: the service's own name for the person; empty: it does not say.
    #[serde(default)]
    pub(super) account: String,
    /// Where it does not say: the login before, of whose person this one is, as somebody said; empty: nobody has.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) same_as: String,
    /// The program it was given to.
    pub(super) client_id: String,
    /// The service that gave it.
    pub(super) from: String,
    /// Where each remote with this login was when it was shown there first, by its name: it goes with none to another place.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) origins: BTreeMap<String, String>,
    /// None: it has ended, or they are in the keyring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) tokens: Option<Pair>,
    /// Somebody has logged out. (A file whose tokens are in the keyring has none either way.)
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) ended: bool,
}

/// What the service gave.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pair {
    /// What stands in requests.
    pub(super) access: String,
    /// When it is to be renewed, in ms; none: nobody said when it runs out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) renew_at_ms: Option<i64>,
    /// When it is over, in ms; none: nobody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) over_at_ms: Option<i64>,
    /// What another is given for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) refresh: Option<String>,
}

impl Kept {
    /// What names the service that logs in, in these settings.
    pub(super) fn giver(settings: &OAuth2) -> String {
        let named = settings.issuer.iter().chain(&settings.token_url);
        named.map(|one| one.trim_end_matches('/')).collect::<Vec<_>>().join(" ")
    }

    /// What tells the person from anybody else, over all renewals: the account; where the service names nobody, the login, or the one before
    /// that is said to be the same person's. So another login that names nobody is another person's.
    pub(super) fn who(&self) -> &str {
        match (&*self.account, &*self.same_as) {
            ("", "") => &self.login,
            ("", same_as) => same_as,
            (account, _) => account,
        }
    }

    /// Whether it may be shown to the service of these settings.
    pub(super) fn is_of(&self, settings: &OAuth2) -> bool {
        self.from == Self::giver(settings)
    }
}

impl Pair {
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.renew_at_ms.is_some_and(|at| now >= Timestamp::from_unix_ms(at))
    }

    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        self.over_at_ms.is_some_and(|at| now >= Timestamp::from_unix_ms(at))
    }
}

/// Where one login lies.
#[derive(Clone, Debug)]
pub(super) struct Place {
    file: PathBuf,
    tokens: Tokens,
}

impl Place {
    /// That of these settings, in the folder of logins.
    pub(super) fn of(settings: &OAuth2, folder: &Path) -> Self {
        let name = match &settings.tokens {
            Tokens::File(name) => name.clone(),
            // No file of a remote has a point in its name.
            Tokens::Keyring(item) => format!("keyring.{}", &blake3::hash(item.to_string().as_bytes()).to_hex()[..16]),
        };
        Self { file: folder.join(name + ".json"), tokens: settings.tokens.clone() }
    }

    /// The file, which tells one login from another.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// In words.
    pub(super) fn words(&self) -> String {
        match &self.tokens {
            Tokens::File(_) => format!("the file {}", self.file.display()),
            Tokens::Keyring(item) => format!("the keyring, as {item}"),
        }
    }

    /// What the file has, where it reads.
    pub(super) fn known(&self) -> Kept {
        self.read_file().ok().flatten().unwrap_or_default()
    }

    /// What lies there; none: nobody has logged in yet.
    pub(super) async fn read(&self) -> Result<Option<Kept>, RemoteError> {
        let in_file = self.read_file()?;
        let Tokens::Keyring(item) = &self.tokens else { return Ok(in_file) };
        // Without the file there was no login, and the keyring need not be there.
        let Some(in_file) = in_file.filter(|kept| !kept.login.is_empty()) else { return Ok(None) };
        let text = match keyring::read(item, secret::session_bus().as_deref()).await {
            Ok(text) => text,
            Err(lack) if lack.is_absent() => return Ok(Some(in_file)),
            Err(lack) => return Err(lack.told(item)),
        };
        let kept: Kept =
            serde_json::from_slice(&text).map_err(|_| no(format!("what the keyring has as {item} is no login of mingle")))?;
        if (&kept.login, kept.who(), kept.ended) != (&in_file.login, in_file.who(), in_file.ended) {
            self.write_file(Kept { tokens: None, ..kept.clone() }).await.map_err(broken)?;
        }
        Ok(Some(kept))
    }

    /// What the file has.
    pub(super) fn read_file(&self) -> Result<Option<Kept>, RemoteError> {
        let shown = self.file.display();
        let text = match secret::file(&self.file, true) {
            Ok(text) => text,
            Err(_) if !self.file.exists() => return Ok(None),
            Err(error) => return Err(error),
        };
        serde_json::from_str(&text).map(Some).map_err(|_| no(format!("{shown} is no login as mingle writes it")))
    }

    /// Keeps it, on the disk when this returns.
    pub(super) async fn write(&self, kept: &Kept) -> Result<(), Problem> {
        let Tokens::Keyring(item) = &self.tokens else { return self.write_file(kept.clone()).await };
        let text = serde_json::to_string(kept).map_err(|error| Problem::new(error.to_string()))?;
        let in_file = Kept { tokens: None, ..kept.clone() };
        if kept.tokens.is_some() {
            keyring::write(item, &text, secret::session_bus().as_deref()).await.map_err(|lack| lack.unkept(item))?;
            self.write_file(in_file).await
        } else {
            // Tokens go last: where one of both fails, they are still to be had, to be ended at the service.
            self.write_file(in_file).await?;
            keyring::remove(item, secret::session_bus().as_deref()).await.map_err(|lack| lack.unkept(item)).map(drop)
        }
    }

    /// Beside the runs, which share a thread: a disk takes its time.
    async fn write_file(&self, kept: Kept) -> Result<(), Problem> {
        let place = self.clone();
        let written = tokio::task::spawn_blocking(move || place.write_here(&kept)).await;
        written.unwrap_or_else(|_| Err(Problem::new("the writing of a login was cut off")))
    }

    fn write_here(&self, kept: &Kept) -> Result<(), Problem> {
        let not = |error: io::Error| {
            Problem::new(format!("{} is not written: {error}", self.file.display()))
                .hint("mingled needs to be able to write there")
        };
        let text = serde_json::to_string(kept).map_err(|error| Problem::new(error.to_string()))?;
        if text.len() as u64 >= limits::SECRET_BYTES_MAX {
            return Err(Problem::new("the tokens are too long to be kept"));
        }
        if let Some(folder) = self.file.parent()
            && !folder.is_dir()
        {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(not)?;
            // After a power cut it is there, as what lies in it.
            folder.parent().map_or(Ok(()), |above| fs::File::open(above)?.sync_all()).map_err(not)?;
        }
        secret::put::write(&self.file, &text).map_err(not)
    }
}

/// The disk or the keyring does not take it now: a later try may succeed.
pub(super) fn broken(Problem { what, hint }: Problem) -> RemoteError {
    RemoteError { hint, ..RemoteError::new(Failure::Broken, what) }
}

fn no(what: String) -> RemoteError {
    RemoteError::new(Failure::NeedsLogin, what)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test]
    async fn a_login_lies_in_a_file_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("logins");
        let settings: OAuth2 = toml::from_str("client_id = \"c\"\ntokens = { file = \"far\" }").unwrap();
        let place = Place::of(&settings, &folder);
        assert!(place.read().await.unwrap().is_none() && place.known() == Kept::default());
        let tokens = Some(Pair { access: "a".into(), renew_at_ms: Some(7), over_at_ms: None, refresh: None });
        let kept = Kept { login: "l".into(), account: "me".into(), client_id: "c".into(), tokens, ..Kept::default() };
        place.write(&kept).await.unwrap();
        assert!(place.read().await.unwrap() == Some(kept.clone()) && place.known().account == "me");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let file = folder.join("far.json");
        assert_eq!((mode(&folder), mode(&file)), (0o700, 0o600));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let told = place.read().await.err().unwrap();
        assert!(told.kind == Failure::NeedsLogin && told.hint.unwrap().contains("chmod 600"));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&file, "{\"login\":").unwrap();
        assert!(place.read().await.err().unwrap().what.contains("no login as mingle writes it"));
        place.write(&Kept { tokens: None, ..kept }).await.unwrap();
        assert!(place.read().await.unwrap().unwrap().tokens.is_none() && place.known().account == "me", "who it was stays known");
    }

    #[test]
    fn where_the_service_names_nobody_a_login_is_a_person() {
        #[track_caller]
        fn check(account: &str, same_as: &str, who: &str) {
            let kept = Kept { login: "l2".into(), account: account.into(), same_as: same_as.into(), ..Kept::default() };
            assert_eq!(kept.who(), who);
        }
        check("", "", "l2");
        check("", "l1", "l1");
        check("ada", "", "ada");
        check("ada", "l1", "ada");
        assert_eq!(Kept::default().who(), "", "nobody has logged in");
    }
}
