//! Output `file`: a template gives each message its path, and open files take whole records.

mod commit;
mod commits;
mod config;
mod directory;
mod file_output;
mod lock;
mod open_file;
mod open_files;
mod path_template;
mod rotation;
#[cfg(test)]
mod tests;

pub use file_output::FileOutput;
