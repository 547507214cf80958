//! Checks the tables of a plugin file before anything in them is called.

use std::ffi::c_void;

use heka_plugin_api::abi::{API_VERSION, ENTRY_MAGIC, Entry, Plugin};

use super::kind::Kind;
use super::metadata::{Metadata, PLUGINS_MAX, PluginMetadata};

/// Checks the first words of an entry: what they are is the same in every version.
///
/// # Safety
/// `entry` must lead to readable memory that stays.
pub(super) unsafe fn check_head(entry: *const Entry) -> Result<(), String> {
    if entry.is_null() || !entry.is_aligned() {
        return Err("its entry is not at a valid address; rebuild the plugin".to_owned());
    }
    // SAFETY: the caller's promise; the entry is read field by field since the rest of it may be anything.
    let (magic, version) =
        unsafe { ((&raw const (*entry).magic).read(), (&raw const (*entry).api_version).read()) };
    if magic != ENTRY_MAGIC {
        return Err("its entry does not begin with `HEKAPLUG`; rebuild the plugin".to_owned());
    }
    if version != API_VERSION {
        return Err(format!(
            "built for plugin API {version}, this host speaks {API_VERSION}; rebuild the plugin"
        ));
    }
    Ok(())
}

/// Checks everything else of an entry against what the metadata section says: `section`, parsed `metadata`.
///
/// # Safety
/// `entry` must have passed [`check_head`], and stay.
pub(super) unsafe fn check(
    entry: *const Entry,
    metadata: &Metadata,
    section: &[u8],
) -> Result<&'static Entry, String> {
    // SAFETY: the caller's promise; an entry of this version is this struct, whose fields take any bits.
    let entry: &'static Entry = unsafe { &*entry };
    if entry.struct_size as usize != size_of::<Entry>() {
        return Err(other_size("entry", entry.struct_size, size_of::<Entry>()));
    }
    // SAFETY: the plugin's own slice; its length is checked before a byte of it is read.
    if entry.metadata.len != section.len() || unsafe { entry.metadata.bytes() } != section {
        return Err("its entry and its section `.heka_plugin` differ; rebuild the plugin".to_owned());
    }
    if entry.plugin_count > PLUGINS_MAX || entry.plugin_count != metadata.plugins.len() {
        return Err(format!(
            "its metadata names {} plugins, its entry has {}; rebuild the plugin",
            metadata.plugins.len(),
            entry.plugin_count
        ));
    }
    let tables = entry.plugins.cast::<*const Plugin>();
    for (index, described) in metadata.plugins.iter().enumerate() {
        // SAFETY: `plugin_count` says that there are as many; null is no reference, so pointers are read.
        unsafe {
            if tables.is_null() {
                return Err("its entry has no tables; rebuild the plugin".to_owned());
            }
            check_table(tables.add(index).read(), described)?;
        }
    }
    Ok(entry)
}

/// # Safety
/// `table` must be null or lead to memory that stays and begins with its own size.
unsafe fn check_table(table: *const Plugin, described: &PluginMetadata) -> Result<(), String> {
    let who = format!("{} `{}`", described.kind, described.name);
    if table.is_null() || !table.is_aligned() {
        return Err(format!("its table of {who} is not at a valid address; rebuild the plugin"));
    }
    // SAFETY: the caller's promise.
    let struct_size = unsafe { (&raw const (*table).struct_size).read() };
    if struct_size as usize != size_of::<Plugin>() {
        return Err(other_size(&format!("table of {who}"), struct_size, size_of::<Plugin>()));
    }
    // SAFETY: a table of this size is this struct; fields are read one by one since functions may be null.
    let (kind, name, functions) = unsafe {
        let required = [
            ("check", (&raw const (*table).check).cast::<*const c_void>().read()),
            ("open", (&raw const (*table).open).cast::<*const c_void>().read()),
            ("start", (&raw const (*table).start).cast::<*const c_void>().read()),
            ("stop", (&raw const (*table).stop).cast::<*const c_void>().read()),
            ("destroy", (&raw const (*table).destroy).cast::<*const c_void>().read()),
        ];
        ((&raw const (*table).kind).read(), (&raw const (*table).name).read(), required)
    };
    // SAFETY: the plugin's own slice; its length is checked before a byte of it is read.
    let same_name = name.len == described.name.len() && unsafe { name.bytes() } == described.name.as_bytes();
    if kind != described.kind.number() || !same_name {
        return Err(format!(
            "its metadata has {who}, its tables have another plugin there; rebuild the plugin"
        ));
    }
    if let Some((missing, _)) = functions.iter().find(|(_, function)| function.is_null()) {
        return Err(format!("{who} has no function `{missing}`; rebuild the plugin"));
    }
    // SAFETY: all functions that must be there are.
    match missing_of_kind(unsafe { &*table }, described.kind) {
        Some(missing) => Err(format!("{who} has no function `{missing}`; rebuild the plugin")),
        None => Ok(()),
    }
}

/// Names the function that a kind needs, if it is not there.
fn missing_of_kind(table: &Plugin, kind: Kind) -> Option<&'static str> {
    let (name, is_there) = match kind {
        Kind::Input => ("read", table.read.is_some()),
        Kind::Decoder => ("decode", table.decode.is_some()),
        Kind::Filter => ("process", table.process.is_some()),
        Kind::Encoder => ("encode", table.encode.is_some()),
        Kind::Output => ("deliver", table.deliver.is_some()),
    };
    (!is_there).then_some(name)
}

fn other_size(what: &str, found: u32, expected: usize) -> String {
    format!(
        "its {what} has {found} bytes, this host's {expected}; rebuild it with the heka-plugin-api of this host"
    )
}

/// The table at `index` of an entry that was checked.
///
/// # Safety
/// `entry` must come from [`check`].
pub(super) unsafe fn table(entry: &'static Entry, index: usize) -> Option<&'static Plugin> {
    // SAFETY: the check made sure that these are references, and that there are so many.
    (index < entry.plugin_count).then(|| unsafe { *entry.plugins.add(index) })
}

#[cfg(test)]
mod tests {
    use heka_plugin_api::abi::{Slice, kind};
    use heka_plugin_api::{Context, Delivered, Delivery, Output, PluginError, Schema, export};
    use serde::Deserialize;

    use super::*;
    use crate::plugin::loader::take_static;

    /// Forgets messages.
    #[derive(Deserialize, Schema)]
    struct Options {}

    struct Nowhere;

    impl Output for Nowhere {
        type Config = Options;

        fn open(_: Options, _: &mut Context) -> Result<Self, PluginError> {
            Ok(Nowhere)
        }

        fn deliver(&mut self, _: &mut Delivery<'_>, _: &mut Context) -> Result<Delivered, PluginError> {
            Ok(Delivered::Now)
        }
    }

    const SECTION: &[u8] = b"heka_plugin_api=0\0language=c\0name=x\0kind=output\0plugin=nowhere\0";

    /// Checks what is said about an entry with this table.
    fn check(change: impl FnOnce(*mut Plugin), expected: Option<&str>) {
        let table = Box::into_raw(Box::new(export::output::<Nowhere>("nowhere")));
        change(table);
        let tables: &'static [*mut Plugin] = Box::leak(Box::new([table]));
        let entry = Entry {
            magic: ENTRY_MAGIC,
            api_version: API_VERSION,
            struct_size: size_of::<Entry>() as u32,
            metadata: Slice::new(SECTION),
            plugins: tables.as_ptr().cast(),
            plugin_count: 1,
        };
        let problem =
            take_static(Box::leak(Box::new(entry))).err().map(|problem| problem.reason().to_owned());
        assert_eq!(problem.as_deref(), expected);
    }

    #[test]
    fn a_whole_table_is_taken() {
        check(|_| {}, None);
    }

    #[test]
    fn a_table_without_a_function_that_it_needs_is_refused() {
        // SAFETY: the table is valid memory, and what is no valid function is only read as a pointer.
        let no_deliver = |table: *mut Plugin| unsafe { (*table).deliver = None };
        check(no_deliver, Some("output `nowhere` has no function `deliver`; rebuild the plugin"));
        // SAFETY: as above.
        let no_stop = |table: *mut Plugin| unsafe {
            (&raw mut (*table).stop).cast::<*const c_void>().write(std::ptr::null());
        };
        check(no_stop, Some("output `nowhere` has no function `stop`; rebuild the plugin"));
    }

    #[test]
    fn a_table_of_another_plugin_or_size_is_refused() {
        let other =
            "its metadata has output `nowhere`, its tables have another plugin there; rebuild the plugin";
        // SAFETY: the table is valid memory.
        check(|table| unsafe { (*table).kind = kind::FILTER }, Some(other));
        // SAFETY: the table is valid memory.
        check(|table| unsafe { (*table).name = Slice::new(b"anywhere") }, Some(other));
        let size = size_of::<Plugin>();
        let other_size = format!(
            "its table of output `nowhere` has 8 bytes, this host's {size}; \
             rebuild it with the heka-plugin-api of this host"
        );
        // SAFETY: the table is valid memory.
        check(|table| unsafe { (*table).struct_size = 8 }, Some(&other_size));
    }
}
