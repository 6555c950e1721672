//! Owns: handing a question to the `mingled` program itself: what needs no daemon. Must never know: its answers.

use std::{
    ffi::OsString,
    os::unix::process::CommandExt,
    process::{Command, Stdio},
};

use mingle_client::{ConnectError, connect};
use serde_json::Value;

use crate::exit::{Exit, Failure};

fn command(arguments: &[OsString]) -> Result<Command, Failure> {
    let (program, _) = connect::mingled().ok_or(ConnectError::NotInstalled)?;
    let mut command = Command::new(program);
    command.args(arguments);
    Ok(command)
}

/// Becomes `mingled` with these arguments: its output and its exit code are ours.
pub fn become_it(arguments: &[OsString]) -> Result<Exit, Failure> {
    let error = command(arguments)?.exec();
    Err(Failure::said(Exit::NoDaemon, format!("mingled cannot be run: {error}"), "install it again"))
}

/// The one JSON object that `mingled` prints with these arguments, however it ends.
pub fn facts(arguments: &[OsString]) -> Result<Value, Failure> {
    let output = command(arguments)?.output()?;
    serde_json::from_slice(&output.stdout).map_err(|_| {
        let said = String::from_utf8_lossy(&output.stderr);
        let what = said.lines().next().unwrap_or("it says nothing").trim_start_matches("mingled: ").to_owned();
        Failure::said(
            Exit::Failed,
            format!("mingled {}: {what}", arguments[0].display()),
            "install mingle and mingled of one release",
        )
    })
}

/// What `mingled` prints with these arguments. Where it fails, it has said why.
pub fn output(arguments: &[OsString]) -> Result<String, Failure> {
    let output = command(arguments)?.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(Failure::said(Exit::Failed, format!("mingled ended with {}", output.status), ""));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
