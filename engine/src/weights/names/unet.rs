//! LDM's UNet (`openaimodel.UNetModel`) to diffusers' `UNet2DConditionModel`. LDM numbers blocks from
//! one end to the other; levels show in where the down- and upsampling convolutions lie.

use std::collections::{BTreeMap, BTreeSet};

use super::{Entries, replace_start, split_after};

/// Tensors outside the blocks.
const FIXED: &[(&str, &str)] = &[
    ("time_embed.0", "time_embedding.linear_1"),
    ("time_embed.2", "time_embedding.linear_2"),
    ("time_embed.cond_proj", "time_embedding.cond_proj"),
    ("label_emb.0.0", "add_embedding.linear_1"),
    ("label_emb.0.2", "add_embedding.linear_2"),
    ("label_emb", "class_embedding"),
    ("input_blocks.0.0", "conv_in"),
    ("out.0", "conv_norm_out"),
    ("out.2", "conv_out"),
];

/// Parts of a residual block.
const RESNET: &[(&str, &str)] = &[
    ("in_layers.0", "norm1"),
    ("in_layers.2", "conv1"),
    ("emb_layers.1", "time_emb_proj"),
    ("out_layers.0", "norm2"),
    ("out_layers.3", "conv2"),
    ("skip_connection", "conv_shortcut"),
];

/// A downsampling convolution.
const DOWNSAMPLE: &[(&str, &str)] = &[("op", "conv")];

/// LDM's names of the modules of a network that has these under diffusers' names: the other way round,
/// for what was trained on LDM's network.
pub(crate) fn ldm_modules<'a>(modules: &BTreeSet<&'a str>) -> Vec<(String, &'a str)> {
    let places = ldm_places(modules);
    let back = |name: &str, table: &[(&str, &str)]| {
        let turned: Vec<_> = table.iter().map(|(ldm, ours)| (*ours, *ldm)).collect();
        replace_start(name, &turned)
    };
    let rename = |module: &str| {
        let placed = places.iter().find_map(|(prefix, place, table)| {
            let part = module.strip_prefix(prefix)?.strip_prefix('.')?;
            let part = match table {
                Some(table) => back(part, table)?,
                None => part.to_owned(),
            };
            Some(format!("{place}.{part}"))
        });
        placed.or_else(|| back(module, FIXED))
    };
    let modules = modules.iter();
    modules
        .filter_map(|module| Some((rename(module)?, *module)))
        .collect()
}

/// A layer of a block and the attention behind it, where `at` holds both in LDM.
fn pair(block: &str, layer: usize, at: &str) -> [LdmPlace; 2] {
    [
        (
            format!("{block}.resnets.{layer}"),
            format!("{at}.0"),
            Some(RESNET),
        ),
        (
            format!("{block}.attentions.{layer}"),
            format!("{at}.1"),
            None,
        ),
    ]
}

/// Diffusers' prefixes with LDM's, and how parts below are renamed if they are.
fn ldm_places(modules: &BTreeSet<&str>) -> Vec<LdmPlace> {
    let has = |place: &str| {
        let below = format!("{place}.");
        let next = modules.range(below.as_str()..).next();
        next.is_some_and(|module| module.starts_with(&below))
    };
    let mut places: Vec<LdmPlace> = vec![
        (
            "mid_block.resnets.0".into(),
            "middle_block.0".into(),
            Some(RESNET),
        ),
        (
            "mid_block.attentions.0".into(),
            "middle_block.1".into(),
            None,
        ),
        (
            "mid_block.resnets.1".into(),
            "middle_block.2".into(),
            Some(RESNET),
        ),
    ];
    let mut number = 1;
    for block in (0..)
        .map(|level| format!("down_blocks.{level}"))
        .take_while(|at| has(at))
    {
        for layer in (0..).take_while(|layer| has(&format!("{block}.resnets.{layer}"))) {
            places.extend(pair(&block, layer, &format!("input_blocks.{number}")));
            number += 1;
        }
        let down = format!("{block}.downsamplers.0");
        if has(&down) {
            places.push((down, format!("input_blocks.{number}.0"), Some(DOWNSAMPLE)));
            number += 1;
        }
    }
    let mut number = 0;
    for block in (0..)
        .map(|level| format!("up_blocks.{level}"))
        .take_while(|at| has(at))
    {
        let layers = (0..).take_while(|layer| has(&format!("{block}.resnets.{layer}")));
        for layer in layers {
            places.extend(pair(&block, layer, &format!("output_blocks.{number}")));
            number += 1;
        }
        // Behind the level's last blocks.
        let inner = if has(&format!("{block}.attentions.0")) {
            2
        } else {
            1
        };
        let at = format!("output_blocks.{}.{inner}", number - 1);
        places.push((format!("{block}.upsamplers.0"), at, None));
    }
    places
}

/// Diffusers' prefix, LDM's, and how parts below are renamed if they are.
type LdmPlace = (
    String,
    String,
    Option<&'static [(&'static str, &'static str)]>,
);

/// What a numbered place becomes: diffusers' prefix, and how its parts are renamed if they are.
type Places = BTreeMap<String, (String, Option<&'static [(&'static str, &'static str)]>)>;

/// Renames all tensors; the names of those that fit nowhere go to `rest`.
pub(super) fn from_ldm(stored: Entries, rest: &mut Vec<String>) -> Entries {
    let places = places(&stored);
    let rename = |name: &str| {
        let in_block = |count| {
            let (place, part) = split_after(name, count)?;
            let (prefix, table) = places.get(place)?;
            let part = match table {
                Some(table) => replace_start(part, table)?,
                None => part.to_owned(),
            };
            Some(format!("{prefix}.{part}"))
        };
        replace_start(name, FIXED)
            .or_else(|| in_block(2))
            .or_else(|| in_block(3))
    };
    let mut entries = Entries::new();
    for (name, entry) in stored {
        match rename(&name) {
            Some(renamed) => {
                entries.insert(renamed, entry);
            }
            None => rest.push(format!("model.diffusion_model.{name}")),
        }
    }
    entries
}

fn places(stored: &Entries) -> Places {
    let mut places = Places::new();
    let is_resnet = |at: &str| stored.contains_key(&format!("{at}.in_layers.0.weight"));
    let is_attention = |at: &str| stored.contains_key(&format!("{at}.norm.weight"));

    let (mut level, mut layer) = (0, 0);
    for number in 1.. {
        let (at, inner) = (
            format!("input_blocks.{number}.0"),
            format!("input_blocks.{number}.1"),
        );
        let block = format!("down_blocks.{level}");
        if stored.contains_key(&format!("{at}.op.weight")) {
            places.insert(at, (format!("{block}.downsamplers.0"), Some(DOWNSAMPLE)));
            (level, layer) = (level + 1, 0);
        } else if is_resnet(&at) {
            places.insert(at, (format!("{block}.resnets.{layer}"), Some(RESNET)));
            if is_attention(&inner) {
                places.insert(inner, (format!("{block}.attentions.{layer}"), None));
            }
            layer += 1;
        } else {
            break;
        }
    }

    let (mut resnets, mut attentions) = (0, 0);
    for number in 0.. {
        let at = format!("middle_block.{number}");
        if is_resnet(&at) {
            places.insert(at, (format!("mid_block.resnets.{resnets}"), Some(RESNET)));
            resnets += 1;
        } else if is_attention(&at) {
            places.insert(at, (format!("mid_block.attentions.{attentions}"), None));
            attentions += 1;
        } else {
            break;
        }
    }

    let (mut level, mut layer) = (0, 0);
    for number in 0.. {
        let at = format!("output_blocks.{number}.0");
        if !is_resnet(&at) {
            break;
        }
        let block = format!("up_blocks.{level}");
        places.insert(at, (format!("{block}.resnets.{layer}"), Some(RESNET)));
        let mut last = false;
        for inner in 1..=2 {
            let at = format!("output_blocks.{number}.{inner}");
            if is_attention(&at) {
                places.insert(at, (format!("{block}.attentions.{layer}"), None));
            } else if stored.contains_key(&format!("{at}.conv.weight")) {
                places.insert(at, (format!("{block}.upsamplers.0"), None));
                last = true;
            }
        }
        (level, layer) = if last {
            (level + 1, 0)
        } else {
            (level, layer + 1)
        };
    }
    places
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::weights::element::{ElementType, Entry};

    /// Modules of the UNet in a full-size checkpoint, under LDM's names.
    fn stored(list: &str) -> Entries {
        let prefix = "model.diffusion_model.";
        let names = list.lines().filter_map(|line| line.split_once(' '));
        let names = names.filter_map(|(name, _)| name.strip_prefix(prefix));
        let entry = Entry {
            element: ElementType::F16,
            shape: Vec::new(),
            offset: 0,
            len: 0,
            strides: None,
        };
        names.map(|name| (name.to_owned(), entry.clone())).collect()
    }

    #[test]
    fn every_module_of_published_networks_finds_its_way_back() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/layouts");
        let mut networks = 0;
        for file in std::fs::read_dir(fixtures).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if !(name.starts_with("full_") && name.ends_with(".txt")) {
                continue;
            }
            let ldm = stored(&std::fs::read_to_string(path).unwrap());
            let module = |tensor: &str| {
                let (module, _) = tensor.rsplit_once('.').unwrap();
                module.to_owned()
            };
            let want: BTreeSet<String> = ldm.keys().map(|name| module(name)).collect();
            let mut rest = Vec::new();
            let ours = from_ldm(ldm, &mut rest);
            assert!(rest.is_empty(), "{name}: {rest:?}");
            let ours: BTreeSet<String> = ours.keys().map(|name| module(name)).collect();
            let ours: BTreeSet<&str> = ours.iter().map(String::as_str).collect();
            let back: BTreeSet<String> =
                ldm_modules(&ours).into_iter().map(|(ldm, _)| ldm).collect();
            assert_eq!(back, want, "{name}");
            networks += 1;
        }
        assert!(networks >= 2, "{networks} networks");
    }
}
