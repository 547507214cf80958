//! The program that reads the journal for us.

use heka_plugin_api::PluginError;
use heka_socket::{Waited, Wake, cause};
use rustix::event::PollFlags;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::time::Instant;

/// Of what the program says about its failure, so much is passed on.
const SAID_BYTES_MAX: usize = 1 << 10;

/// A running `journalctl`. It ends with this value.
pub struct Journal {
    child: Child,
    stdout: ChildStdout,
    stderr: ChildStderr,
    program: String,
}

/// What a read found.
pub enum Found {
    /// So many bytes.
    Bytes(usize),
    /// Nothing within the time.
    Nothing,
    /// The program has ended.
    End,
}

impl Journal {
    /// Starts the program.
    ///
    /// # Errors
    /// [`PluginError::Retry`] if it can't be started.
    pub fn start(program: &str, arguments: &[String]) -> Result<Journal, PluginError> {
        let failed = |error: &io::Error| {
            PluginError::retry(format!("failed to start `{program}`: {}; is systemd installed?", said(error)))
        };
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| failed(&error))?;
        match (child.stdout.take(), child.stderr.take()) {
            (Some(stdout), Some(stderr)) => {
                let journal = Journal { child, stdout, stderr, program: program.to_owned() };
                journal.set_nonblocking().map_err(|errno| failed(&errno.into()))?;
                Ok(journal)
            }
            _ => Err(PluginError::retry(format!("failed to start `{program}`: no pipes"))),
        }
    }

    fn set_nonblocking(&self) -> rustix::io::Result<()> {
        for pipe in [self.stdout.as_fd(), self.stderr.as_fd()] {
            fcntl_setfl(pipe, fcntl_getfl(pipe)? | OFlags::NONBLOCK)?;
        }
        Ok(())
    }

    /// Reads what is there, waiting for it until `deadline` or until `wake` strikes.
    ///
    /// # Errors
    /// [`PluginError::Retry`] if the pipe can't be read.
    pub fn read(&mut self, buffer: &mut [u8], wake: &Wake, deadline: Instant) -> Result<Found, PluginError> {
        loop {
            match self.stdout.read(buffer) {
                Ok(0) => return Ok(Found::End),
                Ok(len) => return Ok(Found::Bytes(len)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(self.failed(&said(&error))),
            }
            // A program that says much, and is not listened to, would stop.
            while matches!(self.stderr.read(&mut [0; 4096]), Ok(1..)) {}
            match wake.wait(self.stdout.as_fd(), PollFlags::IN, Some(deadline)) {
                Ok(Waited::Ready) => {}
                Ok(Waited::TimedOut | Waited::Stopped) => return Ok(Found::Nothing),
                Err(errno) => return Err(self.failed(&cause(errno))),
            }
        }
    }

    /// Waits for the program that has ended; says how, unless it ended well.
    ///
    /// # Errors
    /// [`PluginError::Retry`] with what it said.
    pub fn end(mut self) -> Result<(), PluginError> {
        let mut text = Vec::new();
        let mut buffer = [0; SAID_BYTES_MAX];
        if let Ok(len) = self.stderr.read(&mut buffer) {
            text.extend_from_slice(&buffer[..len]);
        }
        let status = self.child.wait().map_err(|error| self.failed(&said(&error)))?;
        let text = String::from_utf8_lossy(&text);
        let line = text.lines().last().unwrap_or("it said nothing");
        if status.success() { Ok(()) } else { Err(self.failed(&format!("{status}: {line}"))) }
    }

    fn failed(&self, why: &str) -> PluginError {
        PluginError::retry(format!("`{}` failed: {why}", self.program))
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // One that has ended can't be killed; it is only waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn said(error: &io::Error) -> String {
    heka_plugin_api::cause(error)
}
