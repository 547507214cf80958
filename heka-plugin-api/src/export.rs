//! Exports plugins from a plugin file: the entry constant, the metadata section, the layout function.

use crate::abi;
use crate::schema::{OptionSchema, Schema};
use crate::{Decoder, Encoder, Filter, Input, Output};

pub use crate::decoder::decoder;
pub use crate::encoder::encoder;
pub use crate::filter::filter;
pub use crate::input::input;
pub use crate::output::output;

/// Version of the crate whose layout tables travel with a Rust plugin; both sides must have the same.
pub const LAYOUT_CHECKER: &str = "0.11.3";

/// What metadata says about one plugin.
#[derive(Clone, Copy)]
pub struct Description {
    kind: &'static str,
    name: &'static str,
    doc: &'static str,
    options: &'static [OptionSchema],
}

/// Describes plugins by kind, for [`export_plugin!`](crate::export_plugin).
pub mod describe {
    use super::*;

    macro_rules! describe {
        ($($kind:ident $trait:ident)*) => {$(
            #[doc = concat!("Describes an exported ", stringify!($kind), ".")]
            pub const fn $kind<P: $trait>(name: &'static str) -> Description {
                Description {
                    kind: stringify!($kind),
                    name,
                    doc: <P::Config as Schema>::DOC,
                    options: <P::Config as Schema>::OPTIONS,
                }
            }
        )*};
    }

    describe! { input Input decoder Decoder filter Filter encoder Encoder output Output }
}

/// Exports one or more plugins from a plugin file: `export_plugin! { filter "grep" => GrepFilter }`.
///
/// Kinds are `input`, `decoder`, `filter`, `encoder` and `output`; the text is the plugin's name in configs. Used
/// once, in a crate's `lib.rs`. It also makes `PLUGIN_FILE`, by which the crate can be linked into a program and
/// registered there by value.
#[macro_export]
macro_rules! export_plugin {
    ($($kind:ident $name:literal => $type:ty),+ $(,)?) => {
        /// The plugins of this crate, for programs that link it in.
        #[unsafe(export_name = concat!("heka_plugin_entry_", env!("CARGO_CRATE_NAME")))]
        pub static PLUGIN_FILE: $crate::abi::Entry = $crate::abi::Entry {
            magic: $crate::abi::ENTRY_MAGIC,
            api_version: $crate::abi::API_VERSION,
            struct_size: size_of::<$crate::abi::Entry>() as u32,
            metadata: $crate::abi::Slice::new(&HEKA_METADATA),
            plugins: HEKA_PLUGINS.as_ptr(),
            plugin_count: HEKA_PLUGINS.len(),
        };

        static HEKA_PLUGINS: [&$crate::abi::Plugin; [$($name),+].len()] = [$({
            static TABLE: $crate::abi::Plugin = $crate::export::$kind::<$type>($name);
            &TABLE
        }),+];

        const HEKA_DESCRIPTIONS: &[$crate::export::Description] =
            &[$($crate::export::describe::$kind::<$type>($name)),+];

        const HEKA_CRATE: [&str; 2] = [env!("CARGO_CRATE_NAME"), env!("CARGO_PKG_VERSION")];

        #[used]
        #[unsafe(link_section = ".heka_plugin")]
        static HEKA_METADATA: [u8; $crate::export::metadata_len(HEKA_CRATE, HEKA_DESCRIPTIONS)] =
            $crate::export::metadata(HEKA_CRATE, HEKA_DESCRIPTIONS);

        const _: () = {
            #[unsafe(export_name = concat!("heka_plugin_layout_", env!("CARGO_CRATE_NAME")))]
            extern "C" fn heka_plugin_layout() -> $crate::abi::Layout {
                $crate::abi::Layout::current()
            }
        };
    };
}

/// Length of the metadata of a plugin file.
pub const fn metadata_len(crate_facts: [&str; 2], plugins: &[Description]) -> usize {
    let mut sink = Sink::<0> { bytes: [], len: 0 };
    write_metadata(&mut sink, crate_facts, plugins);
    sink.len
}

/// Metadata of a plugin file: `key=value` texts, each ended by a NUL, in the order that the host documents.
pub const fn metadata<const N: usize>(crate_facts: [&str; 2], plugins: &[Description]) -> [u8; N] {
    let mut sink = Sink::<N> { bytes: [0; N], len: 0 };
    write_metadata(&mut sink, crate_facts, plugins);
    sink.bytes
}

/// Counts, and keeps as much as it has room for.
struct Sink<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Sink<N> {
    const fn put(&mut self, text: &str) {
        let text = text.as_bytes();
        let mut index = 0;
        while index < text.len() {
            if self.len < N {
                self.bytes[self.len] = text[index];
            }
            self.len += 1;
            index += 1;
        }
    }

    const fn line(&mut self, key: &str, value: &str) {
        self.put(key);
        self.put("=");
        self.put(value);
        self.put("\0");
    }
}

const fn write_metadata<const N: usize>(
    sink: &mut Sink<N>,
    [name, version]: [&str; 2],
    plugins: &[Description],
) {
    sink.line("heka_plugin_api", API_VERSION_TEXT);
    sink.line("language", "rust");
    sink.line("layout", LAYOUT_CHECKER);
    sink.line("name", name);
    sink.line("version", version);
    let mut index = 0;
    while index < plugins.len() {
        let plugin = &plugins[index];
        sink.line("kind", plugin.kind);
        sink.line("plugin", plugin.name);
        sink.line("doc", plugin.doc);
        write_options(sink, plugin.options);
        index += 1;
    }
}

const fn write_options<const N: usize>(sink: &mut Sink<N>, options: &[OptionSchema]) {
    let mut index = 0;
    while index < options.len() {
        let option = &options[index];
        sink.line("option", option.name);
        sink.line("type", option.type_name);
        if !option.unit.is_empty() {
            sink.line("unit", option.unit);
        }
        if let Some(default) = option.default {
            sink.line("default", default);
        }
        sink.line("doc", option.doc);
        index += 1;
    }
}

const API_VERSION_TEXT: &str = {
    assert!(abi::API_VERSION == 0, "keep the text in step with the number");
    "0"
};
