//! Starts the programs of a run.

use crate::group::Group;
use heka_plugin_api::{PluginError, cause};
use nix::unistd::{Gid, Uid, User, getgrouplist, setgid, setgroups, setuid};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Signal, set_parent_process_death_signal};
use std::collections::BTreeMap;
use std::ffi::CString;
use std::io::{self, PipeReader, PipeWriter};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// What is started, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Launch {
    /// The programs with their arguments.
    pub programs: Vec<Vec<String>>,
    pub working_dir: Option<PathBuf>,
    pub environment: BTreeMap<String, String>,
    pub clear_environment: bool,
    pub user: Option<Account>,
    pub stdout: bool,
    pub stderr: bool,
}

/// As whom it runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Account {
    name: String,
    home: String,
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
}

/// Programs that run, and the ends of the pipes that they write to.
pub struct Launched {
    /// The first one leads the group. None of them is reaped before the group is forgotten.
    pub children: Vec<Child>,
    pub stdout: Option<PipeReader>,
    pub stderr: Option<PipeReader>,
}

impl Account {
    /// Looks a user up, by name or number.
    ///
    /// # Errors
    /// [`PluginError::Config`] if there is none.
    pub fn find(name: &str) -> Result<Account, PluginError> {
        let found = match name.parse::<u32>() {
            Ok(uid) => User::from_uid(Uid::from_raw(uid)),
            Err(_) => User::from_name(name),
        };
        let failed = |why| PluginError::config(format!("user: failed to look up `{name}`: {why}"));
        let user = found.map_err(|errno| failed(cause(&errno.into())))?;
        let user = user.ok_or_else(|| failed("there is no such user".to_owned()))?;
        let c_name = CString::new(user.name.as_str()).map_err(|why| failed(why.to_string()))?;
        let groups = getgrouplist(&c_name, user.gid).map_err(|errno| failed(cause(&errno.into())))?;
        let home = user.dir.to_string_lossy().into_owned();
        Ok(Account { name: user.name, home, uid: user.uid, gid: user.gid, groups })
    }

    /// Makes the calling process this user's for good.
    fn become_it(&self) -> io::Result<()> {
        setgroups(&self.groups)?;
        setgid(self.gid)?;
        setuid(self.uid)?;
        Ok(())
    }
}

impl Launch {
    /// Starts all programs, in a process group of their own.
    ///
    /// # Errors
    /// Says which program could not be started and why; then none is left running.
    pub fn start(&self, group: &Group) -> Result<Launched, String> {
        let mut children = Vec::with_capacity(self.programs.len());
        match self.start_all(group, &mut children) {
            Ok((stdout, stderr)) => Ok(Launched { children, stdout, stderr }),
            Err(why) => {
                group.kill();
                group.end();
                children.iter_mut().for_each(|child| _ = child.wait());
                Err(why)
            }
        }
    }

    fn start_all(
        &self,
        group: &Group,
        children: &mut Vec<Child>,
    ) -> Result<(Option<PipeReader>, Option<PipeReader>), String> {
        let failed = |why: io::Error| format!("failed to make a pipe: {}", cause(&why));
        let stdout = self.stdout.then(output_pipe).transpose().map_err(failed)?;
        let stderr = self.stderr.then(output_pipe).transpose().map_err(failed)?;
        let mut input = Stdio::null();
        let mut leader = 0;
        for (index, words) in self.programs.iter().enumerate() {
            let mut command = self.command(words, leader);
            command.stdin(std::mem::replace(&mut input, Stdio::null()));
            let is_last = index + 1 == self.programs.len();
            command.stdout(match &stdout {
                _ if !is_last => Stdio::piped(),
                stdout => writer(stdout.as_ref()).map_err(failed)?,
            });
            command.stderr(writer(stderr.as_ref()).map_err(failed)?);
            let mut child = command.spawn().map_err(|why| self.failure(words, &why))?;
            input = child.stdout.take().map_or_else(Stdio::null, Stdio::from);
            if index == 0 {
                leader = child.id().cast_signed();
                Pid::from_raw(leader).into_iter().for_each(|leader| group.begin(leader));
            }
            children.push(child);
        }
        Ok((stdout.map(|(reader, _)| reader), stderr.map(|(reader, _)| reader)))
    }

    fn command(&self, words: &[String], group: i32) -> Command {
        let mut words = words.iter();
        let mut command = Command::new(words.next().map_or("", String::as_str));
        command.args(words).process_group(group);
        if self.clear_environment {
            command.env_clear();
        }
        if let Some(user) = &self.user {
            command.env("HOME", &user.home).env("USER", &user.name).env("LOGNAME", &user.name);
        }
        command.envs(&self.environment);
        if let Some(directory) = &self.working_dir {
            command.current_dir(directory);
        }
        let user = self.user.clone();
        // SAFETY: between fork and exec only system calls are made: nothing is allocated, no lock is taken.
        unsafe {
            command.pre_exec(move || {
                user.as_ref().map_or(Ok(()), Account::become_it)?;
                // When the thread that started it is gone, also because the host was killed, so is it.
                set_parent_process_death_signal(Some(Signal::KILL))?;
                Ok(())
            });
        }
        command
    }

    fn failure(&self, words: &[String], why: &io::Error) -> String {
        let program = words.first().map_or("", String::as_str);
        let text = format!("failed to run `{program}`: {}", cause(why));
        match (why.kind(), &self.working_dir, &self.user) {
            (io::ErrorKind::NotFound, Some(directory), _) if !directory.is_dir() => {
                format!("{text}; there is no `working_dir` `{}`", directory.display())
            }
            (io::ErrorKind::PermissionDenied, _, Some(user)) => {
                format!("{text}; only root may run it as `{}`", user.name)
            }
            _ => text,
        }
    }
}

/// Makes a pipe whose reader never blocks.
fn output_pipe() -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = io::pipe()?;
    let flags = fcntl_getfl(&reader)?;
    fcntl_setfl(&reader, flags | OFlags::NONBLOCK)?;
    Ok((reader, writer))
}

fn writer(pipe: Option<&(PipeReader, PipeWriter)>) -> io::Result<Stdio> {
    pipe.map_or(Ok(Stdio::null()), |(_, writer)| Ok(Stdio::from(writer.try_clone()?)))
}
