//! Where plugin files are looked for.

use heka_lib::config::{HostConfig, PluginOwner};
use heka_lib::plugin::{Registry, uid_of_user};
use std::path::{Path, PathBuf};

/// Where distributions install plugin files.
const SYSTEM_DIRECTORY: &str = "/usr/lib/heka/plugins";

/// Directories with plugin files.
#[derive(Clone, clap::Args)]
pub(crate) struct PluginDirs {
    /// Look for plugin files in DIR; may be given several times. Without it: `plugin_dirs` of the config; without
    /// that: the program's own directory, `plugins` in it, and /usr/lib/heka/plugins
    #[arg(long = "plugin-dir", value_name = "DIR")]
    plugin_dir: Vec<PathBuf>,
}

impl PluginDirs {
    /// Looks through the directories, without loading anything.
    pub(crate) fn registry(&self, host: &HostConfig) -> Registry {
        let mut registry = Registry::new();
        registry.owners(host.plugin_owners.iter().filter_map(|owner| match owner {
            PluginOwner::Uid(uid) => Some(*uid),
            PluginOwner::Name(name) => uid_of_user(name),
        }));
        for directory in self.directories(host) {
            registry.add_directory(&directory);
        }
        for problem in registry.problems() {
            log::warn!("{problem}");
        }
        registry
    }

    fn directories(&self, host: &HostConfig) -> Vec<PathBuf> {
        let given = [&self.plugin_dir, &host.plugin_dirs].into_iter().find(|given| !given.is_empty());
        given.cloned().unwrap_or_else(default_directories)
    }
}

fn default_directories() -> Vec<PathBuf> {
    let program = std::env::current_exe().and_then(std::fs::canonicalize).ok();
    let own = program.as_deref().and_then(Path::parent).map(Path::to_owned);
    let beside = own.iter().map(|own| own.join("plugins"));
    let all = own.iter().cloned().chain(beside).chain([PathBuf::from(SYSTEM_DIRECTORY)]);
    all.filter(|directory| directory.is_dir()).collect()
}
