//! All plugins that a router can use: those of the plugin directories, and those linked into the program.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use heka_plugin_api::abi::{self, Entry};

use super::kind::Kind;
use super::loader::{self, LoadedFile};
use super::metadata::{Metadata, PluginMetadata};
use super::problem::PluginProblem;
use super::{file, unknown};
use heka_plugin_api::cause;

/// Knows which plugins there are, and loads a file when the first of its plugins is asked for.
///
/// Looking at files and explaining their plugins runs none of their code; only [`find`](Registry::find) and
/// [`find_in_file`](Registry::find_in_file) load.
#[derive(Debug, Default)]
pub struct Registry {
    owners: Vec<u32>,
    files: Vec<PluginFile>,
    problems: Vec<PluginProblem>,
}

/// A plugin file as it was found, or a crate that is linked into the program.
#[derive(Debug)]
pub struct PluginFile {
    /// Where it is; `None` if it is linked into the program.
    pub path: Option<PathBuf>,
    /// What is in it, one for each crate; or why it can't be used.
    pub contents: Result<Vec<Metadata>, PluginProblem>,
    loaded: OnceLock<Result<Arc<LoadedFile>, PluginProblem>>,
}

/// A plugin that is ready to be used.
#[derive(Clone)]
pub struct Plugin {
    /// Its functions.
    pub table: &'static abi::Plugin,
    /// What it says about itself.
    pub metadata: PluginMetadata,
    /// The file that it is in; `None` if it is linked into the program.
    pub file: Option<PathBuf>,
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name) = (self.metadata.kind, &self.metadata.name);
        f.debug_struct("Plugin").field("kind", &kind).field("name", name).finish_non_exhaustive()
    }
}

impl Plugin {
    /// Tells whether it is linked into the program, with whose logger and panic hook it then lives.
    pub fn is_static(&self) -> bool {
        self.file.is_none()
    }
}

impl Registry {
    /// Makes one that knows no plugin.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the users, beside root and ourselves, that may own plugin files; before directories are added.
    pub fn owners(&mut self, uids: impl IntoIterator<Item = u32>) -> &mut Self {
        self.owners.extend(uids);
        self
    }

    /// Looks at the files `*.so` of a directory, in the order of their names. One that is known already, also by
    /// another path, is passed over.
    pub fn add_directory(&mut self, directory: &Path) -> &mut Self {
        match plugin_files(directory) {
            Ok(paths) => paths.into_iter().for_each(|path| self.add_file(path)),
            Err(error) => {
                let why = format!("failed to read: {}; create it, or name another one", cause(&error));
                self.problems.push(PluginProblem::of_directory(directory, why));
            }
        }
        self
    }

    fn add_file(&mut self, path: PathBuf) {
        if self.known_file(&path).is_none() {
            self.files.push(PluginFile::scan(path, &self.owners));
        }
    }

    /// Adds the plugins of a crate that is linked into the program: the `PLUGIN_FILE` that `export_plugin!` makes.
    pub fn add_static(&mut self, entry: &'static Entry) -> &mut Self {
        let loaded = loader::take_static(entry).map(Arc::new);
        let contents = match &loaded {
            Ok(loaded) => Ok(loaded.crates.iter().map(|loaded| loaded.metadata.clone()).collect()),
            Err(problem) => Err(problem.clone()),
        };
        let file = PluginFile { path: None, contents, loaded: OnceLock::from(loaded) };
        if !self.files.iter().any(|other| other.path.is_none() && other.is_same(&file)) {
            self.files.push(file);
        }
        self
    }

    /// All files that were looked at, usable or not.
    pub fn files(&self) -> &[PluginFile] {
        &self.files
    }

    /// What is wrong with the directories themselves.
    pub fn problems(&self) -> &[PluginProblem] {
        &self.problems
    }

    /// Explains a plugin without loading it.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub fn describe(&self, kind: Kind, name: &str) -> Result<&PluginMetadata, PluginProblem> {
        self.locate(kind, name).map(|(_, plugin)| plugin)
    }

    /// Finds a plugin by its name, and loads its file if that didn't happen yet.
    ///
    /// # Errors
    /// If no file has it, if several different ones have it, or if the file can't be loaded. The text of the first
    /// two reads on after ``input `web`: ``.
    pub fn find(&self, kind: Kind, name: &str) -> Result<Plugin, PluginProblem> {
        self.locate(kind, name)?.0.plugin(kind, name, &self.owners)
    }

    /// Explains a plugin of a file, which need not be in a plugin directory, without loading it.
    ///
    /// # Errors
    /// As [`find_in_file`](Self::find_in_file).
    pub fn describe_in_file(
        &self,
        path: &Path,
        kind: Kind,
        name: &str,
    ) -> Result<PluginMetadata, PluginProblem> {
        match self.known_file(path) {
            Some(file) => file.describe(path, kind, name).cloned(),
            None => PluginFile::scan(path.to_owned(), &self.owners).describe(path, kind, name).cloned(),
        }
    }

    /// Finds a plugin in a file, which need not be in a plugin directory, and loads the file.
    ///
    /// # Errors
    /// If the file can't be used or has no such plugin.
    pub fn find_in_file(&self, path: &Path, kind: Kind, name: &str) -> Result<Plugin, PluginProblem> {
        let scanned;
        let file = match self.known_file(path) {
            Some(file) => file,
            None => {
                scanned = PluginFile::scan(path.to_owned(), &self.owners);
                &scanned
            }
        };
        file.describe(path, kind, name)?;
        file.plugin(kind, name, &self.owners)
    }

    fn known_file(&self, path: &Path) -> Option<&PluginFile> {
        let real = path.canonicalize().ok()?;
        let is_there = |known: &Path| known.canonicalize().is_ok_and(|known| known == real);
        self.files.iter().find(|file| file.path.as_deref().is_some_and(is_there))
    }

    /// Finds the one file that has a plugin.
    fn locate(&self, kind: Kind, name: &str) -> Result<(&PluginFile, &PluginMetadata), PluginProblem> {
        let has = |file: &&PluginFile| file.metadata(kind, name).is_some();
        let holders: Vec<&PluginFile> = self.files.iter().filter(has).collect();
        // A copy of what the program holds anyway needs no loading.
        let chosen = holders.iter().find(|file| file.path.is_none()).or(holders.first());
        let Some((file, plugin)) = chosen.and_then(|file| Some((*file, file.metadata(kind, name)?))) else {
            return Err(PluginProblem::of_name(unknown::explain(kind, name, &self.files)));
        };
        if holders.iter().all(|other| file.is_same(other)) {
            return Ok((file, plugin));
        }
        let places: Vec<String> = holders.iter().map(|file| file.place()).collect();
        let path = holders.iter().find_map(|file| file.path.as_deref()).unwrap_or(Path::new("FILE"));
        Err(PluginProblem::of_name(format!(
            "{kind} `{name}` is in {}; remove one, or name the file: `plugin = \"{}:{name}\"`",
            places.join(" and in "),
            path.display()
        )))
    }
}

impl PluginFile {
    /// Looks into a file.
    fn scan(path: PathBuf, owners: &[u32]) -> Self {
        let contents = file::inspect(&path, owners);
        PluginFile { path: Some(path), contents, loaded: OnceLock::new() }
    }

    /// All plugins in it; none if it can't be used.
    pub fn plugins(&self) -> impl Iterator<Item = &PluginMetadata> {
        self.contents.iter().flatten().flat_map(|metadata| &metadata.plugins)
    }

    fn metadata(&self, kind: Kind, name: &str) -> Option<&PluginMetadata> {
        self.plugins().find(|plugin| plugin.kind == kind && plugin.name == name)
    }

    fn describe(&self, path: &Path, kind: Kind, name: &str) -> Result<&PluginMetadata, PluginProblem> {
        self.contents.as_ref().map_err(PluginProblem::clone)?;
        let why = || unknown::explain(kind, name, std::slice::from_ref(self));
        self.metadata(kind, name).ok_or_else(|| PluginProblem::of_file(path, why()))
    }

    /// Loads the file, once, and takes a plugin out of it.
    fn plugin(&self, kind: Kind, name: &str, owners: &[u32]) -> Result<Plugin, PluginProblem> {
        let path = self.path.as_deref().unwrap_or(Path::new("static"));
        let loaded = self.loaded.get_or_init(|| loader::load(path, owners));
        let loaded = loaded.as_ref().map_err(PluginProblem::clone)?;
        let Some((table, metadata)) = loaded.plugin(kind, name) else {
            let why = format!("it was changed and has no {kind} `{name}` any more; start again");
            return Err(PluginProblem::of_file(path, why));
        };
        Ok(Plugin { table, metadata: metadata.clone(), file: self.path.clone() })
    }

    /// Tells whether it makes no difference which of the two is used.
    fn is_same(&self, other: &PluginFile) -> bool {
        match (&self.path, &other.path) {
            (Some(path), Some(other_path)) => path == other_path || file::is_same(path, other_path),
            _ => self.contents == other.contents,
        }
    }

    fn place(&self) -> String {
        self.path.as_ref().map_or("this program itself".to_owned(), |path| format!("`{}`", path.display()))
    }
}

/// The files `*.so` of a directory, in the order of their names.
fn plugin_files(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in directory.read_dir()? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "so") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
