//! Copies the border with one field of the record changed.

use std::{env, fs, path::PathBuf};

/// The field, as it is and as this plugin has it; of the same size, so that only the layout check can see it.
const CHANGE: [&str; 2] = ["pub severity: i32,", "pub severity: u32,"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../../heka-plugin-api");
    let source = root.join("src/abi.rs");
    let abi = fs::read_to_string(&source)?;
    let Some((before, after)) = abi.split_once(CHANGE[0]) else {
        return Err("the record has no field to change; name another one".into());
    };
    // Text that is included can't begin with a doc comment of the whole.
    let lines = before.lines().filter(|line| !line.starts_with("//!"));
    let before: String = lines.flat_map(|line| [line, "\n"]).collect();
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("abi.rs"), format!("{before}{}{after}", CHANGE[1]))?;
    let codes = root.join("src/abi/codes.rs");
    fs::copy(&codes, PathBuf::from(env::var("OUT_DIR")?).join("codes.rs"))?;
    for file in [source, codes] {
        println!("cargo::rerun-if-changed={}", file.display());
    }
    // The layout names the package, and the same type of another package would be refused for that alone.
    println!("cargo::rustc-env=CARGO_PKG_NAME=heka-plugin-api");
    Ok(())
}
