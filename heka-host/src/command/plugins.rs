//! `heka-host plugins`: what plugin files offer, without loading them.

use super::config;
use crate::plugin_dirs::PluginDirs;
use crate::status;
use heka_lib::config::HostConfig;
use heka_lib::plugin::{OptionMetadata, PluginFile, PluginMetadata, Registry};
use std::path::PathBuf;
use std::process::ExitCode;

/// List the plugins that there are, or explain one: its kinds and options.
///
/// No plugin's code is run. Files that can't be used are listed with the reason.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  heka-host plugins file")]
pub(crate) struct Arguments {
    /// Explain the plugins with this name
    name: Option<String>,
    /// Take the plugin directories of this config
    #[arg(long)]
    config: Option<PathBuf>,
    #[command(flatten)]
    plugins: PluginDirs,
}

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    config::set_up_logging();
    let host = match arguments.config.as_deref().map(config::read) {
        Some(Ok(config)) => config.host,
        Some(Err(faults)) => {
            config::print(&faults);
            return status::bad_config();
        }
        None => HostConfig::default(),
    };
    let registry = arguments.plugins.registry(&host);
    match &arguments.name {
        Some(name) => explain(&registry, name),
        None => list(&registry),
    }
}

fn list(registry: &Registry) -> ExitCode {
    for file in registry.files() {
        match &file.contents {
            Ok(_) => {
                for plugin in file.plugins() {
                    println!("{:<8} {:<12} {}", plugin.kind.name(), plugin.name, plugin.doc);
                }
            }
            Err(problem) => println!("unusable {problem}"),
        }
    }
    status::DONE
}

fn explain(registry: &Registry, name: &str) -> ExitCode {
    let mut found = false;
    for file in registry.files() {
        for plugin in file.plugins().filter(|plugin| plugin.name == name) {
            if found {
                println!();
            }
            found = true;
            print_plugin(file, plugin);
        }
    }
    if found {
        return status::DONE;
    }
    let names = registry.files().iter().flat_map(PluginFile::plugins).map(|plugin| plugin.name.as_str());
    let hint = heka_lib::config::nearest(name, names).map(|near| format!("; did you mean `{near}`?"));
    eprintln!("heka-host: no plugin `{name}`{}", hint.unwrap_or_default());
    status::FAILED
}

fn print_plugin(file: &PluginFile, plugin: &PluginMetadata) {
    println!("{} `{}`: {}", plugin.kind.name(), plugin.name, plugin.doc);
    if let (Some(path), Ok(contents)) = (&file.path, &file.contents) {
        let crates: Vec<String> =
            contents.iter().map(|metadata| format!("{} {}", metadata.name, metadata.version)).collect();
        println!("  {} ({})", path.display(), crates.join(", "));
    }
    if plugin.options.is_empty() {
        println!("  no options");
    }
    plugin.options.iter().for_each(print_option);
}

fn print_option(option: &OptionMetadata) {
    let unit = if option.unit.is_empty() { String::new() } else { format!(", {}", option.unit) };
    let default = match option.default.as_deref() {
        None => "required".to_owned(),
        Some("") => "optional".to_owned(),
        Some(default) => format!("default {default}"),
    };
    println!("  {:<20} {}{unit}; {default}", option.name, option.type_name);
    println!("  {:<20}   {}", "", option.doc);
}
