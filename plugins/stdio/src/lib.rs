//! The standard streams of the process and its log: input `stdin`, outputs `stdout` and `log`.

mod log_output;
#[cfg(test)]
mod process_tests;
mod stdin;
mod stdout;

use heka_plugin_api::export_plugin;
use log_output::LogOutput;
use stdin::StdinInput;
use stdout::StdoutOutput;

export_plugin! {
    input "stdin" => StdinInput,
    output "stdout" => StdoutOutput,
    output "log" => LogOutput,
}
