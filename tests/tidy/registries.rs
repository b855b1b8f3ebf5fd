//! Registries: one file an entry, and every entry listed.

use crate::source::code;
use crate::tree;

/// (folder, slice's name in its `mod.rs`)
pub(crate) const REGISTRIES: &[(&str, &str)] = &[
    ("engine/src/families", "FAMILIES"),
    ("engine/src/samplers", "SAMPLERS"),
    ("engine/src/schedules", "SCHEDULES"),
    ("app/src/canvas/tools", "TOOLS"),
    ("app/src/panels", "PANELS"),
    ("app/src/cli", "COMMANDS"),
];

#[test]
fn every_registry_is_a_static_slice() {
    let files = tree::files();
    let mut wrong = Vec::new();
    for (folder, name) in REGISTRIES {
        let path = format!("{folder}/mod.rs");
        let Some(file) = files.iter().find(|file| file.path == path) else {
            wrong.push(format!("{path} is missing"));
            continue;
        };
        let code = code(file.text(), false);
        let is_slice = [format!("static {name}: &["), format!("const {name}: &[")]
            .iter()
            .any(|text| code.contains(text.as_str()));
        if !is_slice {
            wrong.push(format!("{path}: no static slice {name}"));
        }
    }
    tree::expect_none("registries", &wrong);
}
