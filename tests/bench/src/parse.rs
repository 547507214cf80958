//! Decoders: lines of a file become fields, and those JSON in another file.

use crate::cases::file_pipeline;
use crate::data::{self, LINES};
use crate::host::{Bench, show};

/// The regular expression of the combined format.
const COMBINED: &str = r#"^(?P<remote_addr>\S+) \S+ (?P<remote_user>\S+) \[(?P<time_local>[^\]]+)\] "(?P<method>\S+) (?P<path>\S+) (?P<protocol>[^"]+)" (?P<status>\d+) (?P<body_bytes_sent>\d+) "(?P<http_referer>[^"]*)" "(?P<http_user_agent>[^"]*)"$"#;

/// The same fields by patterns that have names.
const COMBINED_GROK: &str = r#"^%{IPORHOST:remote_addr} %{NOTSPACE} %{NOTSPACE:remote_user} \[%{HTTPDATE:time_local}\] "%{WORD:method} %{NOTSPACE:path} %{DATA:protocol}" %{INT:status:int} %{INT:body_bytes_sent:int} "%{DATA:http_referer}" "%{DATA:http_user_agent}"$"#;

pub(crate) fn parse(bench: &Bench) -> Result<(), String> {
    data::access(bench)?;
    data::csv(bench)?;
    data::syslog(bench)?;
    let access_log = measure(bench, "access.log", "plugin = \"access_log\"\nformat = \"combined\"\n");
    show("file -> access_log -> json -> file", bench.median(access_log)?, "M/s", "2");
    let regex = format!(
        "plugin = \"regex\"\npattern = '{COMBINED}'\ntimestamp_group = \"time_local\"\n\
         timestamp_format = \"%d/%b/%Y:%H:%M:%S %z\"\ntypes = {{ status = \"integer\", body_bytes_sent = \"integer\" }}\n"
    );
    let grok = format!(
        "plugin = \"grok\"\npattern = '{COMBINED_GROK}'\ntimestamp_field = \"time_local\"\n\
         timestamp_format = \"%d/%b/%Y:%H:%M:%S %z\"\n"
    );
    let (grok, regex, ratio) =
        bench.medians(measure(bench, "access.log", &grok), measure(bench, "access.log", &regex))?;
    show("file -> regex, the same fields -> json -> file", regex, "M/s", "0.6");
    show("file -> grok, the same fields -> json -> file", grok, "M/s", "");
    show("  grok against regex", ratio, "x", "0.5");
    let combined = "plugin = \"grok\"\npattern = \"%{COMBINEDAPACHELOG}\"\n";
    let rate = bench.median(measure(bench, "access.log", combined))?;
    show("file -> grok, %{COMBINEDAPACHELOG} -> json -> file", rate, "M/s", "");
    let csv = "plugin = \"csv\"\ncolumns = [\"time\", \"host\", \"method\", \"path\", \"status\", \"bytes\", \"took\", \"agent\"]\n\
               timestamp_column = \"time\"\ntypes = { status = \"integer\", bytes = \"integer\", took = \"double\" }\n";
    show("file -> csv, 8 columns -> json -> file", bench.median(measure(bench, "rows.csv", csv))?, "M/s", "");
    let syslog = "plugin = \"syslog\"\n";
    show(
        "file -> syslog, RFC 5424 -> json -> file",
        bench.median(measure(bench, "syslog.log", syslog))?,
        "M/s",
        "",
    );
    multiline(bench)
}

fn multiline(bench: &Bench) -> Result<(), String> {
    data::traces(bench)?;
    let lines = bench.scaled(LINES) as f64;
    for (name, splitter) in [
        ("by a pattern", "start = '^(?-u:\\d){4}-'"),
        ("by the presets java and python", "preset = [\"java\", \"python\"]"),
    ] {
        let input = format!("splitter = {{ kind = \"multiline\", {splitter} }}");
        let config = file_pipeline("traces.log", &input, "", "payload", "");
        let run = || bench.run_once("multiline", &config).map(|(seconds, _)| lines / seconds / 1e6);
        show(&format!("file -> lines joined {name} -> file"), bench.median(run)?, "M/s", "");
    }
    Ok(())
}

/// Measures a decoder on a file; millions of lines a second.
fn measure<'b>(
    bench: &'b Bench,
    input: &'b str,
    decoder: &str,
) -> impl FnMut() -> Result<f64, String> + use<'b> {
    let payload = if decoder.contains("\"syslog\"") { "" } else { "keep_payload = false\n" };
    let decoder = format!("[decoders.parsed]\n{decoder}{payload}");
    let config = file_pipeline(input, "decoder = \"parsed\"", "", "json", &decoder);
    let lines = bench.scaled(LINES) as f64;
    move || bench.run_once("parse", &config).map(|(seconds, _)| lines / seconds / 1e6)
}
