//! Clients and servers of others, installed unmodified from their registries below `target/clients`.

use crate::directory::repository;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// One installation at a time.
static INSTALLING: Mutex<()> = Mutex::new(());

/// Installs packages from npm; returns the directory that has `node_modules`.
///
/// # Errors
/// Why this machine can't.
pub fn install_npm(packages: &[&str]) -> Result<PathBuf, String> {
    install("npm", packages, |directory| {
        run(Command::new("node").arg("--version"))?;
        fs::write(directory.join("package.json"), "{}").map_err(|error| error.to_string())?;
        run(Command::new("npm")
            .args(["install", "--no-audit", "--no-fund", "--ignore-scripts"])
            .args(packages)
            .current_dir(directory))
    })
}

/// Installs packages from PyPI into an environment of their own; returns its Python.
///
/// # Errors
/// Why this machine can't.
pub fn install_python(packages: &[&str]) -> Result<PathBuf, String> {
    let directory = install("python", packages, |directory| {
        run(Command::new("python3").args(["-m", "venv"]).arg(directory))?;
        run(Command::new(directory.join("bin/pip")).args(["install", "--quiet"]).args(packages))
    })?;
    Ok(directory.join("bin/python"))
}

/// Installs unless that was done before.
fn install(
    registry: &str,
    packages: &[&str],
    steps: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let _one = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    let name = packages.join("+").replace(['/', '@', '='], "_");
    let directory = repository().join("target/clients").join(registry).join(name);
    let done = directory.join("installed");
    if done.exists() {
        return Ok(directory);
    }
    let _ = fs::remove_dir_all(&directory);
    let failed = |why: String| format!("{} can't be installed here: {why}", packages.join(", "));
    fs::create_dir_all(&directory).map_err(|error| failed(error.to_string()))?;
    steps(&directory).map_err(failed)?;
    fs::write(done, "").map_err(|error| error.to_string())?;
    Ok(directory)
}

fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("`{program}`: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let told = String::from_utf8_lossy(&output.stderr);
    Err(format!("`{program}`: {}", told.trim().lines().last().unwrap_or("failed")))
}
