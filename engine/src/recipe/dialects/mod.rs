//! Recipes as other programs write them, each dialect in a file. What a file holds is told by the
//! names of its texts first, then by how they begin.

pub mod a1111;
mod a1111_add_ons;
mod a1111_knobs;
mod a1111_network;
mod a1111_refiner;
mod comfyui;
mod comfyui_workflow;
mod fooocus;
mod invokeai;
pub(crate) mod names;
mod novelai;
mod swarmui;

use serde_json::{Map, Value};

use super::metadata::{Dialect, Texts};
use super::{
    AddOnUse, AddOns, FinalDecoder, Knobs, MAX_JSON_BYTES, ModelRef, NetworkOptions, NoiseKind,
    PROMPT_REVISION, Precision, Prompting, RECIPE_VERSION, Recipe, Refiner, SAMPLER_REVISION,
};
use crate::prompt::Weighting;

/// A recipe that another program wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct Foreign {
    /// What it says, in our terms.
    pub recipe: Recipe,
    /// A sentence for each setting that could not be honoured.
    pub notes: Vec<String>,
}

/// A way of writing recipes.
pub struct DialectSpec {
    /// Which.
    pub dialect: Dialect,
    /// The recipe, if these texts are of this dialect.
    pub read: fn(&Texts) -> Option<Foreign>,
}

/// Every foreign dialect. The order is that of certainty: A1111's plain text comes last.
pub static DIALECTS: &[DialectSpec] = &[
    invokeai::SPEC,
    swarmui::SPEC,
    fooocus::SPEC,
    novelai::SPEC,
    comfyui::SPEC,
    a1111::SPEC,
];

/// Every name of a text that any dialect reads.
pub(super) const KEYWORDS: &[&str] = &[
    "parameters",
    "prompt",
    "workflow",
    "invokeai_metadata",
    "sd-metadata",
    "Dream",
    "fooocus_scheme",
    "Software",
    "Source",
    "Description",
    "Comment",
];

/// A recipe in which nothing is said yet, of the picture's size.
fn blank(size_px: [u32; 2]) -> Recipe {
    Recipe {
        version: RECIPE_VERSION,
        model: ModelRef::default(),
        prompt: String::new(),
        negative_prompt: String::new(),
        // Whatever was to be chosen by chance was chosen before the picture was made.
        prompting: Prompting {
            dynamic: false,
            ..Prompting::default()
        },
        width_px: size_px[0],
        height_px: size_px[1],
        seed: 0,
        steps: 20,
        guidance: 7.0,
        guidance_rescale: 0.0,
        sampler: "dpmpp_2m".to_owned(),
        schedule: "model".to_owned(),
        knobs: Knobs::default(),
        network: NetworkOptions::default(),
        noise_source: NoiseKind::TorchCpu,
        precision: Precision::Auto,
        add_ons: AddOns::default(),
        image_guidance: None,
        refiner: None,
        start: None,
        sampler_revision: SAMPLER_REVISION,
        prompt_revision: PROMPT_REVISION,
        unknown: Map::new(),
    }
}

/// JSON of a bounded size; serde bounds its depth. Python writes `NaN`, which is none.
fn json(text: &str) -> Option<Value> {
    if text.len() > MAX_JSON_BYTES {
        return None;
    }
    let parsed = serde_json::from_str(text);
    let mended = || serde_json::from_str(&text.replace(": NaN", ": null").replace("[NaN", "[null"));
    parsed.or_else(|_| mended()).ok()
}

/// A recipe being put together from another program's fields, each of which is either taken or
/// told about.
struct Reader {
    recipe: Recipe,
    notes: Vec<String>,
}

impl Reader {
    fn new(texts: &Texts) -> Self {
        Self {
            recipe: blank(texts.size_px),
            notes: Vec::new(),
        }
    }

    /// As [`Self::new`], for programs that weigh words as ComfyUI does and read brackets alike, but
    /// know no `[ ]`, `AND` or `BREAK`.
    fn comfy(texts: &Texts) -> Self {
        let mut reader = Self::new(texts);
        reader.recipe.prompting.weighting = Weighting::ComfyUi;
        reader
    }

    fn finish(self) -> Option<Foreign> {
        Some(Foreign {
            recipe: self.recipe,
            notes: self.notes,
        })
    }

    /// `what: why`.
    fn note(&mut self, what: &str, why: impl AsRef<str>) {
        let note = format!("{what}: {}", why.as_ref());
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Says that a setting has no counterpart here, if it is there and not off.
    fn no_counterpart(&mut self, object: &Value, keys: &[&str]) {
        for key in keys {
            let Some(value) = object.get(key).filter(|value| says_something(value)) else {
                continue;
            };
            self.note(key, format!("“{}” has no counterpart here", short(value)));
        }
    }

    fn steps(&mut self, value: Option<&Value>) {
        match value.and_then(number) {
            Some(steps) if (1.0..=1000.0).contains(&steps) => self.recipe.steps = steps as u32,
            _ => self.note("steps", "not in the file, 20 is taken"),
        }
    }

    fn guidance(&mut self, value: Option<&Value>) {
        match value.and_then(number) {
            Some(scale) if (0.0..=100.0).contains(&scale) => self.recipe.guidance = scale,
            _ => self.note("guidance", "not in the file, 7 is taken"),
        }
    }

    fn seed(&mut self, value: Option<&Value>) {
        match value.and_then(whole) {
            Some(seed) => self.recipe.seed = seed,
            None => self.note("seed", "not in the file"),
        }
    }

    fn size(&mut self, width: Option<&Value>, height: Option<&Value>) {
        let side = |value: Option<&Value>| u32::try_from(value.and_then(whole)?).ok();
        if let (Some(width), Some(height)) = (side(width), side(height)) {
            (self.recipe.width_px, self.recipe.height_px) = (width, height);
        }
    }

    /// Sampler and schedule by any program's names.
    fn sampler(&mut self, name: Option<&str>) {
        let Some(name) = name else {
            self.note("sampler", "not in the file, DPM++ 2M is taken");
            return;
        };
        match names::sampler(name) {
            Some(id) => self.recipe.sampler = id.to_owned(),
            None => self.note(
                "sampler",
                format!("“{name}” is not known here, DPM++ 2M is taken instead"),
            ),
        }
    }

    fn schedule(&mut self, name: Option<&str>) {
        let Some(name) = name else { return };
        match names::schedule(name) {
            Some(id) => self.recipe.schedule = id.to_owned(),
            None => self.note(
                "schedule",
                format!("“{name}” is not known here, the model's own is taken instead"),
            ),
        }
    }

    /// The text encoder's layer, counted from its last, 1; programs differ in sign and origin.
    fn clip_skip(&mut self, layer: Option<i64>) {
        match layer.map(u32::try_from) {
            None => {}
            Some(Ok(layer @ 1..=24)) => self.recipe.network.clip_skip = layer,
            Some(_) => self.note("CLIP skip", "is not understood"),
        }
    }

    /// The VAE by its file's name. ComfyUI takes its tiny decoders for such.
    fn vae(&mut self, name: &str) {
        if ["taesd", "taesdxl"].contains(&name) {
            self.recipe.network.decoder = FinalDecoder::Tiny { file: None };
        } else {
            self.recipe.network.vae = names::vae(name);
        }
    }

    /// The model by its file's name, and the hash of whatever length.
    fn model(&mut self, name: Option<&str>, hash: Option<&str>) {
        match name {
            Some(name) => self.recipe.model.id = names::stem(name).to_owned(),
            None => self.note("model", "not in the file"),
        }
        self.recipe.model.short_hash = hash
            .map(|hash| hash.trim_start_matches("0x").to_ascii_lowercase())
            .filter(|hash| hash.len() >= 8 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }

    /// A LoRA with its weights in the network and in the text encoders.
    fn lora(&mut self, name: Option<&str>, unet: Option<f64>, text: Option<f64>) {
        let Some(name) = name else {
            self.note("LoRA", "one without a name is not applied");
            return;
        };
        let name = names::stem(name).to_owned();
        let used = &mut self.recipe.add_ons.used;
        if used.iter().all(|one| one.name != name) {
            let unet = unet.unwrap_or(1.0);
            let text = text.unwrap_or(unet);
            used.push(AddOnUse { name, unet, text });
        }
    }

    /// The model that takes over, by its file's name, and the share of the noise before it does.
    fn refiner(&mut self, name: &str, switch_at: Option<&Value>) {
        let switch_at = switch_at.and_then(number);
        let usual = Refiner::USUAL_SWITCH;
        self.recipe.refiner = Some(Refiner {
            model: ModelRef {
                id: names::stem(name).to_owned(),
                ..ModelRef::default()
            },
            switch_at: switch_at.map_or(usual, |at| at.clamp(0.0, 1.0)),
            parts_from: None,
        });
    }

    /// An add-on that is not applied.
    fn add_on(&mut self, kind: &str, name: &str) {
        self.note(kind, format!("“{name}” is not applied"));
    }
}

/// Whether a value is more than “off”.
fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Bool(true) => true,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => {
            let text = text.trim();
            !(text.is_empty() || text.eq_ignore_ascii_case("none") || text == "False")
        }
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

/// A value in a few letters.
fn short(value: &Value) -> String {
    const MOST: usize = 60;
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// A number, also one that is written as text.
fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_f64(),
    };
    number.filter(|number: &f64| number.is_finite())
}

/// A whole number that is not negative, also one that is written as text.
fn whole(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        other => other
            .as_u64()
            .or_else(|| other.as_f64().filter(|n| *n >= 0.0).map(|n| n as u64)),
    }
}

/// A text of that name.
fn text<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.get(key)?.as_str()
}

/// Text of programs without `[ ]`, `AND` and `BREAK`, written so that it reads the same here.
fn without_our_words(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    let mut escaped = false;
    for letter in text.chars() {
        if matches!(letter, '[' | ']') && !escaped {
            written.push('\\');
        }
        escaped = letter == '\\' && !escaped;
        written.push(letter);
    }
    // Words are read in lower case anyway.
    let words = written.split_inclusive(|letter: char| !letter.is_alphanumeric() && letter != '_');
    words
        .map(|word| {
            let bare = word.trim_end_matches(|letter: char| !letter.is_alphanumeric());
            if matches!(bare, "AND" | "BREAK") {
                word.to_lowercase()
            } else {
                word.to_owned()
            }
        })
        .collect()
}
