//! Owns: handing a question to the `mingled` program itself: what needs no daemon. Must never know: its answers.

use std::{
    ffi::OsString,
    os::unix::process::CommandExt,
    process::{Command, Stdio},
};

use mingle_client::{ConnectError, connect};

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

/// What `mingled` prints with these arguments. Where it fails, it has said why.
pub fn output(arguments: &[OsString]) -> Result<String, Failure> {
    let output = command(arguments)?.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(Failure::said(Exit::Failed, format!("mingled ended with {}", output.status), ""));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
