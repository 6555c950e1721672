//! Owns: the gRPC anchor, a package of its own below `grpc/`: building it, its server, its apps. Must never know: what is measured
//! against it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};

use crate::{place, worker::Worker};

/// The program, built where it is not up to date. It lies beside the results, so that the bench's own build is as it was.
///
/// # Errors
/// It cannot be built: its crates are fetched on first use.
pub fn program() -> anyhow::Result<PathBuf> {
    let manifest = place::repository().join("tests/bench/grpc/Cargo.toml");
    let target = place::results()?.join("grpc");
    fs::create_dir_all(&target)?;
    let built = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--quiet", "--release", "--locked", "--manifest-path"])
        .arg(&manifest)
        .arg("--target-dir")
        .arg(&target)
        .status()
        .context("no cargo to build the gRPC anchor")?;
    if !built.success() {
        bail!("cargo built no gRPC anchor: {built}");
    }
    Ok(target.join("release/grpc-anchor"))
}

/// A server that answers each question with a record of so many bytes. It ends with its value.
pub fn serve(program: &Path, socket: &str, bytes: usize, core: Option<u32>) -> anyhow::Result<Worker> {
    let mut command = place::on_core(program, core);
    command.args(["serve", socket, &bytes.to_string()]);
    Worker::of(command).context("the gRPC server")
}

/// An app of it: `ask` calls one at a time, `heap` by 64 askers on one connection.
pub fn app(program: &Path, how: &str, socket: &str, calls: &str, core: Option<u32>) -> anyhow::Result<Worker> {
    let mut command = place::on_core(program, core);
    command.args([how, socket, calls]);
    Worker::of(command).context("the gRPC app")
}
