//! Owns: whose secret is meant by a login and a logout, and what is said where it cannot be. Must never know: where a secret is kept, the wire.

use mingle_core::ask::{LoginPlace, Refusal};

use super::{House, described};
use crate::{
    ipc::door::Later,
    remotes::{Problem, secret::put, settings::Secret},
};

impl House {
    /// Keeps the secret of a remote where the configuration has it.
    pub(super) fn logged_in(&self, remote: String, secret: String) -> Later<LoginPlace> {
        let (from, dir) = (self.secret_of(&remote), self.0.means.config_dir.clone());
        Box::pin(async move {
            let from = from?;
            let no = |problem| refused(&remote, problem);
            let place = put::place(&from, &dir).map_err(no)?;
            put::keep(&from, &secret, &dir).await.map_err(no)?;
            tracing::info!(%remote, place, "a secret was put in its place");
            Ok(LoginPlace { remote, place, done: true })
        })
    }

    /// Takes the secret of a remote out of there.
    pub(super) fn logged_out(&self, remote: String) -> Later<LoginPlace> {
        let (from, dir) = (self.secret_of(&remote), self.0.means.config_dir.clone());
        Box::pin(async move {
            let from = from?;
            let no = |problem| refused(&remote, problem);
            let place = put::place(&from, &dir).map_err(no)?;
            let done = put::take_out(&from, &dir).await.map_err(no)?;
            tracing::info!(%remote, place, done, "a secret was taken out");
            Ok(LoginPlace { remote, place, done })
        })
    }

    fn secret_of(&self, remote: &str) -> Result<Secret, Refusal> {
        let config = self.config();
        let settings = config.remotes.get(remote).ok_or_else(|| described::no_remote(remote, &config))?;
        settings.auth.secret().cloned().ok_or_else(|| {
            let hint = format!("`auth` in [remote.{remote}] says how it logs in");
            Refusal::WrongState(format!("{remote} has no login in the configuration"), Some(hint))
        })
    }
}

fn refused(remote: &str, Problem { what, hint }: Problem) -> Refusal {
    Refusal::WrongState(format!("{remote}: {what}"), hint)
}
