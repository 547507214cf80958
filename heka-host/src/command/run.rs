//! `heka-host run`: the daemon.

use super::config;
use crate::admin::{Admin, Options};
use crate::plugin_dirs::PluginDirs;
use crate::status;
use heka_lib::config::{Config, Faults};
use heka_lib::{Router, RouterOptions, RouterStats};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::flag;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the main thread looks at its signals.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(50);

/// Run a router from a config until it is told to stop.
///
/// SIGINT or SIGTERM: read no more, deliver what is under way, print the counts, end; a second one ends at once.
/// SIGHUP: read the config again and go over to it, if nothing is wrong with it; then outputs open their files anew.
/// SIGUSR1: print the counts.
/// The status is 0 when everything read was delivered, 3 when the rest waits on the disk for the next run, 1 when something
/// was left or could not be started, 75 when another process uses the state directory, and 78 when the config is wrong.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  heka-host run heka.toml --once")]
pub(crate) struct Arguments {
    /// A TOML or JSON file, or a directory of them
    config: PathBuf,
    /// Read what is there, to the end, deliver it, and end
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    plugins: PluginDirs,
}

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    config::set_up_logging();
    let signals = match Signals::catch() {
        Ok(signals) => signals,
        Err(error) => {
            eprintln!("heka-host: failed to catch signals: {error}");
            return status::FAILED;
        }
    };
    match start(arguments) {
        Ok(Started { config, router, admin }) => match start_admin(admin, &router, arguments) {
            Ok(_admin) => {
                report_start(&config);
                end(&serve(&router, &signals, arguments))
            }
            Err(why) => {
                router.stop();
                eprintln!("heka-host: {why}");
                status::FAILED
            }
        },
        Err(faults) => {
            config::print(&faults);
            if faults.is_in_use() { status::in_use() } else { status::bad_config() }
        }
    }
}

struct Started {
    config: Config,
    router: Arc<Router>,
    admin: Options,
}

fn start(arguments: &Arguments) -> Result<Started, Faults> {
    let (config, registry) = config::read_and_check(&arguments.config, &arguments.plugins)?;
    let admin = Options::read(&config.host).map_err(|why| {
        let mut faults = Faults::new();
        faults.add_unplaced(why);
        faults
    })?;
    let mut options = RouterOptions::default();
    options.once = arguments.once;
    let router = Arc::new(Router::start(&config, &registry, &options)?);
    Ok(Started { config, router, admin })
}

/// Starts the admin endpoint; it answers until what is returned is dropped, also while the router stops.
fn start_admin(options: Options, router: &Arc<Router>, arguments: &Arguments) -> Result<Admin, String> {
    let (reloaded, path, plugins) = (router.clone(), arguments.config.clone(), arguments.plugins.clone());
    let reload = move || reload(&reloaded, &path, &plugins).map_err(|faults| faults.to_string());
    Admin::start(options, router.clone(), Box::new(reload))
}

fn report_start(config: &Config) {
    for warning in &config.warnings {
        log::warn!("{warning}");
    }
    let (inputs, chains, outputs) = (config.inputs.len(), config.chains.len(), config.outputs.len());
    log::info!("running: {inputs} inputs, {chains} chains, {outputs} outputs");
}

fn serve(router: &Arc<Router>, signals: &Signals, arguments: &Arguments) -> RouterStats {
    let mut reloading: Option<JoinHandle<()>> = None;
    while !signals.stop.load(Ordering::Acquire) && !router.wait(SIGNAL_INTERVAL) {
        let is_free = reloading.as_ref().is_none_or(JoinHandle::is_finished);
        if is_free && signals.reload.swap(false, Ordering::AcqRel) {
            reloading = reload_aside(router, arguments);
        }
        if signals.report.swap(false, Ordering::AcqRel) {
            eprint!("{}", router.stats());
        }
    }
    if signals.stop.load(Ordering::Acquire) {
        log::info!("stopping; once more to end at once");
    }
    router.stop()
}

/// Reloads on a thread of its own, so that the other signals are still seen.
fn reload_aside(router: &Arc<Router>, arguments: &Arguments) -> Option<JoinHandle<()>> {
    let (router, path, plugins) = (router.clone(), arguments.config.clone(), arguments.plugins.clone());
    let reload = move || {
        match reload(&router, &path, &plugins) {
            Ok(done) => log::info!("{done}"),
            Err(faults) => {
                log::error!("not reloaded, everything goes on as before:");
                faults.iter().for_each(|fault| log::error!("{fault}"));
            }
        }
        log::info!("reopening files");
        router.reopen();
    };
    let spawned = std::thread::Builder::new().name("reload".to_owned()).spawn(reload);
    spawned.map_err(|error| log::error!("not reloaded: failed to start a thread: {error}")).ok()
}

/// Reads the config again and goes over to it.
///
/// # Errors
/// All faults; then everything goes on as before.
pub(crate) fn reload(router: &Router, path: &Path, plugins: &PluginDirs) -> Result<String, Faults> {
    let (config, registry) = config::read_and_check(path, plugins)?;
    let reloaded = router.reload(&config, &registry)?;
    config.warnings.iter().for_each(|warning| log::warn!("{warning}"));
    Ok(format!("reloaded: {reloaded}"))
}

fn end(stats: &RouterStats) -> ExitCode {
    eprint!("{stats}{}", stats.accounting());
    let kept = stats.kept();
    if kept > 0 {
        eprintln!("heka-host: {kept} messages wait on the disk for the next run");
    }
    match stats.left() {
        0 if kept > 0 => status::kept(),
        0 => status::DONE,
        left => {
            eprintln!("heka-host: {left} messages were not delivered");
            status::FAILED
        }
    }
}

/// What the process was signalled.
struct Signals {
    stop: Arc<AtomicBool>,
    reload: Arc<AtomicBool>,
    report: Arc<AtomicBool>,
}

impl Signals {
    fn catch() -> std::io::Result<Signals> {
        let new = || Arc::new(AtomicBool::new(false));
        let signals = Signals { stop: new(), reload: new(), report: new() };
        for signal in [SIGINT, SIGTERM] {
            // In this order: the second signal finds the flag set by the first.
            flag::register_conditional_shutdown(signal, 128 + signal, signals.stop.clone())?;
            flag::register(signal, signals.stop.clone())?;
        }
        flag::register(SIGHUP, signals.reload.clone())?;
        flag::register(SIGUSR1, signals.report.clone())?;
        Ok(signals)
    }
}
