//! `include/heka_plugin.h` says the same as the Rust side of the border, and compiles without a warning.

use heka_plugin_api::abi;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const HERE: &str = env!("CARGO_MANIFEST_DIR");
const STRICT: [&str; 5] = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"];

/// Runs the system's C compiler (`CC`, or `cc`) on files named from the `tests` folder.
fn compile(arguments: &[&str], source: &str, target: &Path) -> Output {
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let mut command = Command::new(&compiler);
    command.args(STRICT).args(arguments).arg("-I").arg(Path::new(HERE).join("../include"));
    command.arg(Path::new(HERE).join(source)).arg("-o").arg(target);
    command.output().unwrap_or_else(|error| panic!("`{compiler}` is needed to test the C header: {error}"))
}

/// Compiles a C file without a warning into a directory of its own, and hands the result to `then`.
fn compiled<T>(arguments: &[&str], source: &str, then: impl FnOnce(&Path) -> T) -> T {
    let name = source.replace('/', "-");
    let directory: PathBuf = std::env::temp_dir().join(format!("heka-header-{}-{name}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let target = directory.join("compiled");
    let output = compile(arguments, source, &target);
    assert!(output.status.success(), "{source}:\n{}", String::from_utf8_lossy(&output.stderr));
    let result = then(&target);
    fs::remove_dir_all(&directory).unwrap();
    result
}

/// The size of what `of` leads to.
fn size_at<S, F>(_: fn(&S) -> &F) -> usize {
    size_of::<F>()
}

/// Prints each struct and field as `layout.c` does. The pattern fails to compile when one is not listed.
macro_rules! struct_lines {
    ($($name:ident { $($field:ident),+ $(,)? })+) => {{
        $({
            #[expect(dead_code, reason = "only there to be compiled")]
            fn all_are_listed(abi::$name { $($field: _),+ }: &abi::$name) {}
        })+
        vec![$(
            format!("{} {}", stringify!($name), size_of::<abi::$name>()),
            $({
                let (offset, size) =
                    (std::mem::offset_of!(abi::$name, $field), size_at(|value: &abi::$name| &value.$field));
                format!("{}.{} {offset} {size}", stringify!($name), stringify!($field))
            }),+
        ),+]
    }};
}

macro_rules! constant_lines {
    ($($module:ident { $($name:ident),+ })+) => {
        vec![$($(
            format!("{}.{} {}", stringify!($module), stringify!($name), i64::from(abi::$module::$name))
        ),+),+]
    };
}

fn rust_lines() -> Vec<String> {
    let mut lines = struct_lines! {
        Slice { data, len }
        Span { offset, len }
        Record {
            size, field_count, flags, timestamp, uuid, severity, pid, message_type, logger, payload,
            env_version, hostname, raw, fields_offset, origin_index, origin_stream, origin_position, hops,
            reserved,
        }
        FieldEntry { name, representation, value_type, reserved, count, value }
        Item { record, marks }
        Batch { items, len, completed, ticket }
        Writer {
            cursor, end, items, len, capacity, record_bytes_max, reserved, marks, grow, grow_items,
            context,
        }
        Frame { bytes, position, flags, reserved }
        Frames { frames, len, completed, stream, timestamp, message_type, logger, hostname, severity, pid }
        Buffer { data, len, capacity, ends, grow, context }
        Delivery { batch, bytes, ends, queue, sequences }
        Reader {
            context, writer, open_stream, rename_stream, stream_buffer, stream_filled, datagrams,
            stream_position, stream_messages, close_stream,
        }
        Host {
            struct_size, api_version, flags, log_level, context, plugin, instance, hostname, state_dir, log,
            fail, fault, message_failed, counter, set_ticker, output_bit, acknowledge, extension,
        }
        Plugin {
            struct_size, kind, name, check, open, start, read, acknowledged, decode, process, encode,
            deliver, sync, reopen, tick, stop, destroy, extension,
        }
        Entry { magic, api_version, struct_size, metadata, plugins, plugin_count }
    };
    lines.extend(constant_lines! {
        kind { INPUT, DECODER, FILTER, ENCODER, OUTPUT }
        status { OK, IDLE, END, DEFERRED, CONFIG, MESSAGE, RETRY, FATAL, PANIC }
        host_flag { STATIC }
        record_flag { TRUNCATED, DEAD_LETTER, UNORDERED }
        value_type { STRING, BYTES, INTEGER, DOUBLE, BOOL }
    });
    lines.push(format!("API_VERSION {}", abi::API_VERSION));
    lines.push(format!("ENTRY_MAGIC {}", abi::ENTRY_MAGIC));
    lines
}

#[test]
fn the_header_has_the_layout_of_the_rust_side() {
    let printed = compiled(&[], "header/layout.c", |program| Command::new(program).output().unwrap().stdout);
    let printed = String::from_utf8(printed).unwrap();
    let c_lines: Vec<&str> = printed.lines().collect();
    for (c, rust) in c_lines.iter().zip(rust_lines()) {
        assert_eq!(**c, rust, "left: include/heka_plugin.h, right: heka_plugin_api::abi");
    }
    assert_eq!(c_lines.len(), rust_lines().len());
}

#[test]
fn the_filter_in_c_compiles_without_warnings() {
    let arguments = ["-O2", "-shared", "-fPIC", "-fvisibility=hidden"];
    compiled(&arguments, "plugins/grep_c/grep.c", |library| {
        assert!(fs::metadata(library).unwrap().len() > 0)
    });
}

#[test]
fn the_header_is_at_most_300_lines() {
    let header = fs::read_to_string(Path::new(HERE).join("../include/heka_plugin.h")).unwrap();
    assert!(header.lines().count() <= 300);
}
