//! Where things lie in the repository, and folders to work in.

use std::path::{Path, PathBuf};

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests package lies in the repository")
        .to_owned()
}

/// A file or folder of `tests/fixtures/`.
pub fn fixture(relative: &str) -> PathBuf {
    root().join("tests/fixtures").join(relative)
}

/// A model's folder: one of the tiny ones by name, or `starter`.
pub fn model(name: &str) -> PathBuf {
    match name {
        "starter" => root().join("assets/starter/model"),
        name => fixture("models").join(name),
    }
}

/// Every tiny model and the starter model.
pub const MODELS: [&str; 12] = [
    "sd1",
    "sd2",
    "inpainting",
    "lcm",
    "mixed",
    "plain",
    "starter",
    "xl",
    "xl_inpainting",
    "xl_refiner",
    "sd1_edit",
    "xl_edit",
];

/// Copies a folder with everything in it; the copy may be broken at will.
pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("folder can be made");
    for entry in std::fs::read_dir(from).expect("folder can be read") {
        let entry = entry.expect("entry can be read");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("entry has a type").is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("file can be copied");
        }
    }
}
