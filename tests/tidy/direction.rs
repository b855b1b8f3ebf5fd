//! Who may know whom: the directions of the design, by the words a layer must not contain.

use crate::registries::REGISTRIES;
use crate::source::{code, lines_with};
use crate::tree::{self, File, expect_none};

/// In the files below `within` (but not below any of `except`), none of `words` may stand in code.
struct Rule {
    within: &'static str,
    except: &'static [&'static str],
    words: &'static [&'static str],
    why: &'static str,
}

const INTERFACE: &[&str] = &[
    "egui",
    "eframe",
    "rfd",
    "winit",
    "egui_notify",
    "directories",
    "pentimento",
];
const UPPER: &[&str] = &[
    "crate::worker",
    "crate::engine",
    "crate::pipeline",
    "crate::queue",
    "crate::library",
    "crate::catalog",
    "crate::preview",
    "crate::mailbox",
    "crate::client",
];

const RULES: &[Rule] = &[
    Rule {
        within: "engine",
        except: &[],
        words: INTERFACE,
        why: "the engine knows no interface and no home directory",
    },
    Rule {
        within: "app",
        except: &[],
        words: &[
            "candle_core",
            "candle_nn",
            "candle_transformers",
            "safetensors",
        ],
        why: "only the engine computes",
    },
    Rule {
        within: "app/src/studio",
        except: &[],
        words: &[
            "egui",
            "eframe",
            "egui_notify",
            "crate::panels",
            "crate::canvas",
            "crate::widgets",
            "crate::theme",
        ],
        why: "the studio's state is plain data",
    },
    Rule {
        within: "app/src",
        except: &["app/src/theme"],
        words: &[
            "Color32::from_",
            "Color32::RED",
            "Color32::GREEN",
            "Color32::BLUE",
            "Color32::YELLOW",
            "Rgba::from_",
        ],
        why: "colours are decided in the theme",
    },
    Rule {
        within: "engine/src/samplers",
        except: &[],
        words: &[
            "families",
            "stable_diffusion",
            "crate::nn",
            "crate::weights",
        ],
        why: "a sampler knows levels and a denoiser, no family",
    },
    Rule {
        within: "engine/src/schedules",
        except: &[],
        words: &[
            "families",
            "stable_diffusion",
            "crate::samplers",
            "crate::nn",
            "crate::weights",
        ],
        why: "a schedule is a list of levels, for any family and sampler",
    },
    Rule {
        within: "engine/src/guidance",
        except: &[],
        words: &["families", "stable_diffusion", "crate::samplers"],
        why: "guidance combines outputs of any family",
    },
    Rule {
        within: "engine/src/samplers",
        except: &[],
        words: UPPER,
        why: "a lower layer",
    },
    Rule {
        within: "engine/src/schedules",
        except: &[],
        words: UPPER,
        why: "a lower layer",
    },
    Rule {
        within: "engine/src/noise",
        except: &[],
        words: UPPER,
        why: "a lower layer",
    },
    Rule {
        within: "engine/src/nn",
        except: &[],
        words: UPPER,
        why: "a lower layer",
    },
    Rule {
        within: "engine/src/kernels",
        except: &[],
        words: UPPER,
        why: "a lower layer",
    },
    Rule {
        within: "engine/src/families",
        except: &[],
        words: &[
            "crate::worker",
            "crate::engine",
            "crate::pipeline",
            "crate::queue",
            "crate::library",
            "crate::samplers",
            "candle_nn",
            "candle_transformers",
        ],
        why: "a network calls nn::ops and knows no pipeline",
    },
    Rule {
        within: "engine/src",
        except: &["engine/src/backend.rs", "engine/src/kernels/cuda"],
        words: &["cfg(feature", "cfg!(feature"],
        why: "one file, and the kernels for cards, know the features that choose a device",
    },
    Rule {
        within: "engine/src",
        except: &["engine/src/kernels", "engine/src/lib.rs"],
        words: &["unsafe"],
        why: "unsafe code lives in the kernels",
    },
    Rule {
        within: "app/src",
        except: &[],
        words: &["unsafe"],
        why: "unsafe code lives in the engine's kernels",
    },
    Rule {
        within: "app/src",
        except: &[],
        words: &["std::process::exit"],
        why: "main returns its exit code",
    },
];

fn broken(rules: &[Rule], files: &[File]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        let rules: Vec<&Rule> = rules
            .iter()
            .filter(|rule| is_below(&file.path, rule.within))
            .filter(|rule| {
                !rule
                    .except
                    .iter()
                    .any(|except| is_below(&file.path, except))
            })
            .collect();
        if rules.is_empty() {
            continue;
        }
        let code = code(file.text(), false);
        for rule in rules {
            for word in rule.words {
                for line in lines_with(&code, word) {
                    found.push(format!("{}:{line}: {word} ({})", file.path, rule.why));
                }
            }
        }
    }
    found
}

fn is_below(path: &str, place: &str) -> bool {
    path.strip_prefix(place)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || rest == ".rs")
}

#[test]
fn layers_know_only_what_they_may() {
    let examples = [
        File::example("engine/src/a.rs", "//! egui\nuse egui::Ui;"),
        File::example("app/src/studio/a.rs", "use egui::Pos2;"),
        File::example("app/src/studio.rs", "use egui::Pos2;"),
        File::example(
            "app/src/panels/a.rs",
            "use egui::Ui; let c = Color32::from_rgb(1, 2, 3);",
        ),
        File::example("app/src/theme/a.rs", "let c = Color32::from_rgb(1, 2, 3);"),
        File::example(
            "engine/src/nn/a.rs",
            "#[cfg(feature = \"cuda\")] use crate::pipeline::Job;",
        ),
        File::example("engine/src/kernels/a.rs", "unsafe { x() }"),
        File::example("engine/src/noise/a.rs", "unsafe { x() }"),
    ];
    let found = broken(RULES, &examples);
    assert_eq!(found.len(), 7, "{found:#?}");
    expect_none(
        "directions of the design are broken",
        &broken(RULES, &tree::files()),
    );
}

/// Modules that a registry's slice names (`id::…` in `<folder>/mod.rs`).
fn entries(folder: &str, registry: &str, files: &[File]) -> Vec<String> {
    let path = format!("{folder}/mod.rs");
    let Some(file) = files.iter().find(|file| file.path == path) else {
        return Vec::new();
    };
    let code = code(file.text(), false);
    let slice = code
        .split_once(&format!("{registry}: &["))
        .and_then(|(_, rest)| rest.split_once(']')?.1.split_once(';'))
        .map_or("", |(slice, _)| slice);
    let mut ids: Vec<String> = slice
        .match_indices("::")
        .map(|(at, _)| {
            let before = &slice[..at];
            let start = before
                .rfind(|c: char| !c.is_alphanumeric() && c != '_')
                .map_or(0, |at| at + 1);
            before[start..].to_owned()
        })
        .collect();
    ids.sort();
    ids.dedup();
    ids
}

/// Entries of one registry that name each other.
fn siblings(folder: &str, registry: &str, files: &[File]) -> Vec<String> {
    let ids = entries(folder, registry, files);
    let last = folder.rsplit('/').next().unwrap_or(folder);
    let mut found = Vec::new();
    for file in tree::below(files, folder).filter(|file| file.is_rust()) {
        let rest = &file.path[folder.len() + 1..];
        let own = rest.split('/').next().unwrap_or("").trim_end_matches(".rs");
        if !ids.iter().any(|id| id == own) {
            continue;
        }
        let code = code(file.text(), false);
        for other in ids.iter().filter(|id| *id != own) {
            let mut words = vec![format!("{last}::{other}")];
            // In a folder of its own, `super::` means the folder itself.
            if !rest.contains('/') {
                words.push(format!("super::{other}"));
            }
            for word in &words {
                for line in lines_with(&code, word) {
                    found.push(format!("{}:{line}: {word}", file.path));
                }
            }
        }
    }
    found
}

#[test]
fn families_panels_and_tools_never_name_each_other() {
    let examples = [
        File::example("app/src/panels/a.rs", "use super::b::x; use super::shared;"),
        File::example("app/src/panels/b.rs", "use crate::panels::a;"),
        File::example("app/src/panels/shared.rs", ""),
        File::example(
            "app/src/panels/mod.rs",
            "use crate::panels::a; pub static PANELS: &[Panel] = &[panel(\"a\", a::a_ui), b::SPEC];",
        ),
    ];
    assert_eq!(entries("app/src/panels", "PANELS", &examples), ["a", "b"]);
    assert_eq!(siblings("app/src/panels", "PANELS", &examples).len(), 2);
    let files = tree::files();
    let mut found = Vec::new();
    // Samplers and schedules may share their arithmetic.
    let apart = |registry: &str| !matches!(registry, "SAMPLERS" | "SCHEDULES");
    for (folder, registry) in REGISTRIES.iter().filter(|(_, name)| apart(name)) {
        found.extend(siblings(folder, registry, &files));
    }
    expect_none("siblings that know each other", &found);
}
