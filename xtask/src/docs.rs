//! `cargo xtask docs`: writes the files that follow from others. `tidy` fails when one differs.

mod architecture;
mod constants;
mod log;
mod parameters;
mod porting;

use crate::failure::Outcome;
use crate::workspace;

/// A file that is generated: its path from the root, and what it must contain.
pub struct Generated {
    pub path: String,
    pub text: String,
}

/// Writes all that differ.
pub fn run() -> Outcome {
    for file in generated()? {
        let path = workspace::root().join(&file.path);
        if std::fs::read_to_string(&path).is_ok_and(|text| text == file.text) {
            continue;
        }
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&path, &file.text)?;
        println!("wrote {}", file.path);
    }
    Ok(())
}

/// All generated files as they should be.
pub fn generated() -> Outcome<Vec<Generated>> {
    let mut files = parameters::generated()?;
    files.extend(architecture::generated()?);
    files.push(log::generated());
    files.push(porting::generated());
    Ok(files)
}
