//! Plugins: finding them in directories, explaining them, checking their options, and loading them.
//!
//! A [`Registry`] looks at plugin files without running their code: each file's `.heka_plugin` section says what
//! is in it ([`Metadata`]), and [`check_options`] checks a section of a configuration against that. Only
//! [`Registry::find`] loads: the file is copied into sealed memory, so that nobody can write over running code,
//! then opened, and its tables are compared with this host's before anything in them is called. What was loaded
//! stays for the life of the process: unloading code that may still be in use can't be made safe.

mod elf;
mod file;
mod kind;
mod layout;
mod loader;
mod memory_file;
mod metadata;
mod options;
mod permission;
mod problem;
mod registry;
mod table;
#[cfg(test)]
mod tests;
mod unknown;

pub use kind::Kind;
pub use loader::{LoadedCrate, LoadedFile, load};
pub use metadata::{Language, Metadata, OptionMetadata, PluginMetadata};
pub use options::check_options;
pub use permission::uid_of_user;
pub use problem::PluginProblem;
pub use registry::{Plugin, PluginFile, Registry};
