//! Clients and servers of others, installed unmodified from their registries below `target/clients`, and run.

use crate::directory::plugin_dir;
use crate::wait::wait_until;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// One installation at a time.
static INSTALLING: Mutex<()> = Mutex::new(());

/// Installs packages from npm; returns the directory that has `node_modules`.
///
/// # Errors
/// Why this machine can't.
pub fn install_npm(packages: &[&str]) -> Result<PathBuf, String> {
    install_npm_with(packages, "{}")
}

/// As [`install_npm`], with a `package.json` that overrides versions.
///
/// # Errors
/// As [`install_npm`].
pub fn install_npm_with(packages: &[&str], package_json: &str) -> Result<PathBuf, String> {
    install("npm", packages, |directory| {
        run(Command::new("node").arg("--version"))?;
        fs::write(directory.join("package.json"), package_json).map_err(|error| error.to_string())?;
        let install = ["install", "--no-audit", "--no-fund", "--ignore-scripts"];
        run(Command::new("npm").args(install).args(packages).current_dir(directory))
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

/// Installs packages from PyPI for Python 2.7 into a directory; returns that Python and the directory.
///
/// # Errors
/// Why this machine can't, such as that it has no Python 2.7.
pub fn install_python2(packages: &[&str]) -> Result<(PathBuf, PathBuf), String> {
    let python = find_python2()?;
    let directory = install("python2", packages, |directory| {
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"];
        run(Command::new(&python).args(pip).arg(directory).args(packages))?;
        // The namespace package that protobuf installs is found by site directories only.
        let google = directory.join("google");
        if !google.exists() {
            return Ok(());
        }
        fs::write(google.join("__init__.py"), "").map_err(|error| error.to_string())
    })?;
    Ok((python, directory))
}

/// Finds a Python 2.7 that runs, also among the versions of pyenv.
fn find_python2() -> Result<PathBuf, String> {
    let home = || std::env::home_dir().map(|home| home.join(".pyenv"));
    let pyenv = std::env::var_os("PYENV_ROOT").map(PathBuf::from).or_else(home);
    let versions = pyenv.and_then(|root| fs::read_dir(root.join("versions")).ok());
    let versions = versions.into_iter().flatten().flatten().map(|entry| entry.path());
    let candidates = [PathBuf::from("python2.7")].into_iter();
    let runs = |python: &PathBuf| {
        let check = "import sys; sys.exit(sys.version_info[:2] != (2, 7))";
        run(Command::new(python).args(["-c", check])).is_ok()
    };
    let is_2_7 =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("2.7"));
    candidates
        .chain(versions.filter(is_2_7).map(|version| version.join("bin/python2.7")))
        .find(runs)
        .ok_or_else(|| "no Python 2.7".to_owned())
}

/// Installs unless that was done before.
fn install(
    registry: &str,
    packages: &[&str],
    steps: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let _one = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    let name = packages.join("+").replace(['/', '@', '='], "_");
    let directory = plugin_dir().join("../clients").join(registry).join(name);
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

/// Says loudly, past the capture of the test program, that something was not tested on this machine.
pub fn say_skipped(what: &str, why: &str) {
    let line = format!("\n*** SKIPPED on this machine: {what}: {why}\n");
    // Nobody is left to be told if that fails.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// A client that runs, and is told lines on its standard input.
pub struct Client {
    child: Child,
}

impl Client {
    /// Starts it.
    ///
    /// # Panics
    /// If it can't be started; so do the others below when they fail.
    pub fn spawn(command: &mut Command) -> Client {
        let child = command.stdin(Stdio::piped()).spawn().expect("start a client");
        Client { child }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Tells it a line.
    pub fn tell(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().expect("a pipe");
        writeln!(stdin, "{line}").and_then(|()| stdin.flush()).expect("tell a client");
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("look at a client").is_some()
    }

    /// Waits for its end, which must be a good one.
    pub fn wait(mut self) {
        wait_until("the client ends", || self.has_ended());
        let status = self.child.wait().expect("wait for a client");
        assert!(status.success(), "the client failed: {status}");
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
