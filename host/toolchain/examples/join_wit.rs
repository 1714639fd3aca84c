//! `join_wit FOLDER FILE`: writes the package of a folder with all that it depends on as one file.
//!
//! `scripts/sdk-wit` runs it.

use std::error::Error;
use std::fs;
use std::path::Path;

use wit_component::{OutputToString, WitPrinter};
use wit_parser::Resolve;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, file] = arguments.as_slice() else {
        return Err("join_wit FOLDER FILE".into());
    };
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(Path::new(folder))?;
    let packages = resolve.packages.iter().map(|(id, _)| id);
    let others: Vec<_> = packages.filter(|id| *id != package).collect();
    let mut printer = WitPrinter::new(OutputToString::default());
    printer.emit_docs(false);
    printer.print(&resolve, package, &others)?;
    let text = String::from(printer.output);
    let head = "// Written by scripts/sdk-wit from wit/, sdk/wit/guests.wit and WASI.\n";
    Ok(fs::write(file, format!("{head}{text}"))?)
}
