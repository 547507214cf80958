//! Loads plugin files into this process, for good.

use std::error::Error;
use std::ffi::c_int;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use heka_plugin_api::abi::{Entry, LayoutFunction, Plugin};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

use super::file::{self, CheckedCopy};
use super::kind::Kind;
use super::memory_file::MemoryFile;
use super::metadata::{Language, Metadata, PluginMetadata};
use super::problem::{PluginProblem, file_name};
use super::{layout, metadata, table};

/// `RTLD_NODELETE` of Linux: nothing ever unmaps the file.
const RTLD_NODELETE: c_int = 0x1000;

/// A plugin file whose code is in this process, or a crate of plugins that is linked into the program.
#[derive(Debug)]
pub struct LoadedFile {
    /// Where it was loaded from first; `static` for what is linked into the program.
    pub path: PathBuf,
    /// What is in it.
    pub crates: Vec<LoadedCrate>,
}

/// One crate of a loaded file.
pub struct LoadedCrate {
    /// What it says about itself.
    pub metadata: Metadata,
    tables: Vec<&'static Plugin>,
}

impl LoadedFile {
    /// The plugin of a kind and name.
    pub fn plugin(&self, kind: Kind, name: &str) -> Option<(&'static Plugin, &PluginMetadata)> {
        self.crates.iter().find_map(|loaded| loaded.plugin(kind, name))
    }
}

impl fmt::Debug for LoadedCrate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadedCrate").field("metadata", &self.metadata).finish_non_exhaustive()
    }
}

impl LoadedCrate {
    fn plugin(&self, kind: Kind, name: &str) -> Option<(&'static Plugin, &PluginMetadata)> {
        let mut plugins = self.tables.iter().zip(&self.metadata.plugins);
        plugins
            .find(|(_, plugin)| plugin.kind == kind && plugin.name == name)
            .map(|(table, plugin)| (*table, plugin))
    }
}

/// Everything that this process ever loaded, also what was refused afterwards.
///
/// One for the process, as the dynamic linker is: it takes a path that it knows for the file that it knows, so
/// that the copies must stay open for ever, and a file that two routers use must be the same one.
static LOADED: Mutex<Vec<Loaded>> = Mutex::new(Vec::new());

struct Loaded {
    memory: MemoryFile,
    result: Result<Arc<LoadedFile>, String>,
}

/// Loads a plugin file, unless a file with the very same content was loaded before.
///
/// Runs the constructors of the file, and nothing else of it but its layout function. A file that was changed on
/// disk becomes another one beside the old. `owners` are the users beside root and ourselves that may own it.
///
/// # Errors
/// What is wrong with the file, and what to do.
pub fn load(path: &Path, owners: &[u32]) -> Result<Arc<LoadedFile>, PluginProblem> {
    load_file(path, owners).map_err(|reason| PluginProblem::of_file(path, reason))
}

fn load_file(path: &Path, owners: &[u32]) -> Result<Arc<LoadedFile>, String> {
    let CheckedCopy { memory, crates } = file::checked_copy(path, owners)?;
    // Nothing of another version is run, not even constructors.
    for (metadata, _) in crates.iter().filter(|(metadata, _)| metadata.language == Language::Rust) {
        layout::check_version(metadata)?;
    }
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(same) = loaded.iter().find(|other| other.memory.is_same(&memory)) {
        return same.result.clone();
    }
    let library = open(&memory, path)?;
    let crates: Result<_, String> = crates
        .into_iter()
        .map(|(metadata, section)| {
            let tables = tables(&library, &metadata, &section)?;
            Ok(LoadedCrate { metadata, tables })
        })
        .collect();
    // Closing it would be safe only if nothing of it were in use, which nobody can know.
    std::mem::forget(library);
    let result = crates.map(|crates| Arc::new(LoadedFile { path: path.to_owned(), crates }));
    loaded.push(Loaded { memory, result: result.clone() });
    result
}

/// Opens a copy with the dynamic linker. A failure leaves nothing of it behind.
fn open(memory: &MemoryFile, path: &Path) -> Result<Library, String> {
    let memory_path = memory.path();
    // SAFETY: this runs the file's constructors; that it is a plugin of someone who may run code here was checked.
    let opened = unsafe { Library::open(Some(&memory_path), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) };
    opened.map_err(|error| {
        // The error itself says only which call failed; the reason is behind it.
        let text = error.source().map_or_else(|| error.to_string(), ToString::to_string);
        let text = text.strip_prefix(&format!("{memory_path}: ")).unwrap_or(&text);
        let text = text.replace(&memory_path, &file_name(path));
        format!("failed to load: {text}; rebuild the plugin, or install what it needs")
    })
}

/// Finds and checks the tables of one crate.
fn tables(library: &Library, metadata: &Metadata, section: &[u8]) -> Result<Vec<&'static Plugin>, String> {
    let name = &metadata.name;
    let missing = |symbol: &str| format!("it has no symbol `{symbol}`; rebuild the plugin");
    let symbol = format!("heka_plugin_entry_{name}");
    // SAFETY: a symbol of this name is an entry; its first words are checked before anything else of it is used.
    let entry = unsafe { library.get::<*const Entry>(&symbol) }.map_err(|_| missing(&symbol))?;
    let entry: *const Entry = *entry;
    // SAFETY: the file is mapped and stays.
    unsafe { table::check_head(entry)? };
    if metadata.language == Language::Rust {
        let symbol = format!("heka_plugin_layout_{name}");
        // SAFETY: a symbol of this name is such a function; the version of what it returns was checked.
        let layout = unsafe { library.get::<LayoutFunction>(&symbol) }.map_err(|_| missing(&symbol))?;
        layout::check(*layout)?;
    }
    // SAFETY: the head was checked just now, and the file stays.
    checked_tables(unsafe { table::check(entry, metadata, section)? })
}

/// Collects the tables of an entry that was checked.
fn checked_tables(entry: &'static Entry) -> Result<Vec<&'static Plugin>, String> {
    // SAFETY: the callers checked it.
    Ok((0..).map_while(|index| unsafe { table::table(entry, index) }).collect())
}

/// Takes the plugins of a crate that is linked into the program, after the same checks as those of a file.
pub(super) fn take_static(entry: &'static Entry) -> Result<LoadedFile, PluginProblem> {
    let take = || {
        // SAFETY: a reference leads to an entry, and this one stays.
        unsafe { table::check_head(entry)? };
        // SAFETY: the entry's own bytes; it is a constant of this very program.
        let section = unsafe { entry.metadata.bytes() };
        let mut crates = metadata::parse(section)?;
        let (Some((metadata, _)), true) = (crates.pop(), crates.is_empty()) else {
            return Err("its metadata is that of several crates; rebuild the plugin".to_owned());
        };
        // SAFETY: the head was checked just now.
        let tables = checked_tables(unsafe { table::check(entry, &metadata, section)? })?;
        Ok(LoadedFile { path: PathBuf::from("static"), crates: vec![LoadedCrate { metadata, tables }] })
    };
    take().map_err(PluginProblem::of_static)
}
