//! Reads the headers and the `.heka_plugin` section of an ELF file, and nothing else of it.
//!
//! A segment that lies beyond the file's end kills the process with SIGBUS inside `dlopen`: it must be found here.

use std::fs::File;
use std::os::unix::fs::FileExt;

use object::elf::{self, FileClass, FileHeader64, FileType, Machine};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};
use object::{LittleEndian, ReadCache};

use heka_plugin_api::cause;

/// Bigger metadata is a broken file.
const SECTION_BYTES_MAX: u64 = 1 << 20;
const SECTION_NAME: &[u8] = b".heka_plugin";

/// Class, byte order, type and machine are in these first bytes, at the same places in every ELF file.
const IDENTITY_BYTES: usize = 20;
const HEADER_BYTES: u64 = 64;
const PROGRAM_HEADER_BYTES: u64 = 56;

const MACHINE: Machine = if cfg!(target_arch = "x86_64") {
    elf::EM_X86_64
} else if cfg!(target_arch = "aarch64") {
    elf::EM_AARCH64
} else if cfg!(target_arch = "riscv64") {
    elf::EM_RISCV
} else if cfg!(target_arch = "powerpc64") {
    elf::EM_PPC64
} else {
    elf::EM_NONE
};

/// Checks that a file of `size` bytes is a whole shared object for this machine, and reads its metadata section.
///
/// # Errors
/// What is wrong with it, and what to do.
pub(super) fn read_metadata(file: &File, size: u64) -> Result<Vec<u8>, String> {
    check_identity(file, size)?;
    let inside = |what: &str, start: u64, len: u64| check_inside(size, what, start, len);
    inside("the header", 0, HEADER_BYTES)?;

    let data = &ReadCache::new(file);
    let header = FileHeader64::<LittleEndian>::parse(data).map_err(malformed)?;
    let (endian, count) = (LittleEndian, header.e_phnum.get(LittleEndian));
    inside("the segment table", header.e_phoff.get(endian), u64::from(count) * PROGRAM_HEADER_BYTES)?;
    for segment in header.program_headers(endian, data).map_err(malformed)? {
        if segment.p_type(endian) == elf::PT_LOAD {
            inside("a segment", segment.p_offset(endian), segment.p_filesz(endian))?;
        }
    }
    let (entries, entry_bytes) = (header.e_shnum.get(endian), header.e_shentsize.get(endian));
    inside("the section table", header.e_shoff.get(endian), u64::from(entries) * u64::from(entry_bytes))?;
    let sections = header.sections(endian, data).map_err(malformed)?;
    let Some((_, section)) = sections.section_by_name(endian, SECTION_NAME) else {
        return Err("not a Heka plugin (no `.heka_plugin` section)".to_owned());
    };
    let (start, len) = (section.sh_offset(endian), section.sh_size(endian));
    if len > SECTION_BYTES_MAX {
        return Err(format!("its metadata has {len} bytes; at most {SECTION_BYTES_MAX} are allowed"));
    }
    inside("the metadata", start, len)?;
    let mut bytes = vec![0; len as usize];
    file.read_exact_at(&mut bytes, start).map_err(|error| format!("failed to read: {}", cause(&error)))?;
    Ok(bytes)
}

/// Checks class, byte order, type and machine.
fn check_identity(file: &File, size: u64) -> Result<(), String> {
    let mut identity = [0; IDENTITY_BYTES];
    let have = size.min(IDENTITY_BYTES as u64) as usize;
    file.read_exact_at(&mut identity[..have], 0)
        .map_err(|error| format!("failed to read: {}", cause(&error)))?;
    if size == 0 {
        return Err("not an ELF shared object: it is empty; copy it again".to_owned());
    }
    if identity[..4] != elf::ELFMAG {
        return Err("not an ELF shared object".to_owned());
    }
    check_inside(size, "the header", 0, HEADER_BYTES)?;
    let big_endian = identity[5] == elf::ELFDATA2MSB.0;
    let number = |at: usize| {
        let bytes = [identity[at], identity[at + 1]];
        if big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
    };
    let (file_type, machine) = (FileType(number(16)), Machine(number(18)));
    if file_type != elf::ET_DYN {
        return Err(format!("not an ELF shared object, but {}", file_type_name(file_type)));
    }
    let built_for = machine_name(machine, FileClass(identity[4]) == elf::ELFCLASS64, big_endian);
    let host = machine_name(MACHINE, true, false);
    if built_for != host {
        return Err(format!("built for {built_for}, this host runs on {host}; rebuild the plugin"));
    }
    Ok(())
}

fn check_inside(size: u64, what: &str, start: u64, len: u64) -> Result<(), String> {
    let end = start.saturating_add(len);
    if end > size {
        return Err(format!("truncated: {what} ends at byte {end} but the file has {size}; copy it again"));
    }
    Ok(())
}

fn malformed(error: object::read::Error) -> String {
    let text = error.to_string();
    format!("malformed ELF file ({text}); copy it again or rebuild the plugin")
}

fn file_type_name(file_type: FileType) -> &'static str {
    match file_type {
        elf::ET_REL => "an object file",
        elf::ET_EXEC => "an executable",
        elf::ET_CORE => "a core dump",
        _ => "something else",
    }
}

fn machine_name(machine: Machine, wide: bool, big_endian: bool) -> String {
    let name = match machine {
        elf::EM_386 => "x86",
        elf::EM_X86_64 => "x86-64",
        elf::EM_ARM => "ARM",
        elf::EM_AARCH64 => "AArch64",
        elf::EM_RISCV => "RISC-V",
        elf::EM_PPC => "PowerPC",
        elf::EM_PPC64 => "PowerPC 64",
        elf::EM_S390 => "S/390",
        elf::EM_LOONGARCH => "LoongArch",
        elf::EM_MIPS => "MIPS",
        Machine(number) => return format!("machine number {number}"),
    };
    // Only where the name alone doesn't tell.
    let is_wide_by_name = matches!(machine, elf::EM_X86_64 | elf::EM_AARCH64 | elf::EM_PPC64);
    let width = match wide {
        true if matches!(machine, elf::EM_RISCV | elf::EM_LOONGARCH | elf::EM_MIPS) => ", 64 bits",
        false if is_wide_by_name => ", 32 bits",
        _ => "",
    };
    let order = if big_endian { ", big-endian" } else { "" };
    format!("{name}{width}{order}")
}
