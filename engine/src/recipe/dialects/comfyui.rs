//! ComfyUI: a graph of nodes as JSON. `prompt` holds what was run; `workflow`, what was drawn on the
//! screen, is read where that is all there is ([`super::comfyui_workflow`]).
//!
//! The walk begins at a node that saves or shows a picture and follows the links upstream to the
//! first sampler; settings are the nearest upstream of it that bear their usual names, so that nodes
//! of unknown kinds in between do no harm.

use std::collections::{HashSet, VecDeque};

use serde_json::{Map, Value};

use super::names::stem;
use super::{Dialect, DialectSpec, Foreign, Reader, Texts, comfyui_workflow, json, number, text};
use super::{whole, without_our_words};
use crate::recipe::ModelRef;

pub(super) const SPEC: DialectSpec = DialectSpec {
    dialect: Dialect::ComfyUi,
    read,
};

/// Nodes looked at in one graph.
const MOST_NODES: usize = 2000;
/// Links followed to the node that holds a value.
const MOST_LINKS: usize = 16;

/// Inputs that lead back to an earlier picture instead of to a setting.
const PICTURE_INPUTS: &[&str] = &[
    "latent_image",
    "samples",
    "image",
    "images",
    "pixels",
    "latent",
];
/// Inputs that hold the value of nodes for texts and numbers.
const VALUE_INPUTS: &[&str] = &[
    "value",
    "text",
    "string",
    "prompt",
    "seed",
    "noise_seed",
    "int",
    "float",
    "number",
    "text_g",
    "text_l",
    "text1",
    "text_0",
    "t5xxl",
    "clip_l",
];

fn read(texts: &Texts) -> Option<Foreign> {
    let graph = match texts.get("prompt").and_then(json) {
        Some(Value::Object(graph)) => graph,
        _ => comfyui_workflow::as_graph(&json(texts.get("workflow")?)?)?,
    };
    read_graph(texts, &Graph(graph))
}

/// Nodes by id: `{"3": {"class_type": …, "inputs": {…}}}`.
struct Graph(Map<String, Value>);

impl Graph {
    fn class(&self, id: &str) -> &str {
        let node = self.0.get(id);
        node.and_then(|node| text(node, "class_type"))
            .unwrap_or_default()
    }

    fn input(&self, id: &str, name: &str) -> Option<&Value> {
        self.0.get(id)?.get("inputs")?.get(name)
    }

    /// The nodes that a node's inputs come from, but for those of `without`.
    fn sources(&self, id: &str, without: &[&str]) -> Vec<&str> {
        let inputs = self.0.get(id).and_then(|node| node.get("inputs"));
        let inputs = inputs.and_then(Value::as_object).into_iter().flatten();
        inputs
            .filter(|(name, _)| !without.contains(&name.as_str()))
            .filter_map(|(_, value)| link(value))
            .filter(|source| self.0.contains_key(*source))
            .collect()
    }

    /// A node and everything upstream of it, nearest first.
    fn upstream<'a>(&'a self, id: &'a str, without: &[&str]) -> Vec<&'a str> {
        let (mut seen, mut found) = (HashSet::from([id]), Vec::new());
        let mut queue = VecDeque::from([id]);
        while let Some(id) = queue.pop_front() {
            found.push(id);
            for source in self.sources(id, without) {
                if seen.len() < MOST_NODES && seen.insert(source) {
                    queue.push_back(source);
                }
            }
        }
        found
    }

    /// The value of an input, through links to nodes that hold one.
    fn value(&self, id: &str, name: &str) -> Option<&Value> {
        let mut value = self.input(id, name)?;
        for _ in 0..MOST_LINKS {
            let Some(source) = link(value) else {
                return Some(value);
            };
            value = VALUE_INPUTS
                .iter()
                .find_map(|name| self.input(source, name))?;
        }
        None
    }

    /// The nearest value of that name upstream.
    fn nearest(&self, from: &[&str], names: &[&str]) -> Option<&Value> {
        from.iter()
            .find_map(|id| names.iter().find_map(|name| self.value(id, name)))
    }

    fn is_sampler(&self, id: &str) -> bool {
        let class = self.class(id);
        let samples = class.contains("KSampler") || class.contains("SamplerCustom");
        samples && !class.contains("Select")
    }
}

/// The node a value comes from: `["4", 0]`.
fn link(value: &Value) -> Option<&str> {
    match value.as_array()?.as_slice() {
        [Value::String(id), Value::Number(_)] => Some(id),
        _ => None,
    }
}

fn read_graph(texts: &Texts, graph: &Graph) -> Option<Foreign> {
    let sampler = first_sampler(graph)?;
    let mut reader = Reader::comfy(texts);
    // A second pass over an enlarged picture starts from the first one's.
    let behind: Vec<&str> = graph
        .upstream(sampler, &[])
        .into_iter()
        .filter(|id| graph.is_sampler(id))
        .collect();
    let base = behind.last().copied().unwrap_or(sampler);
    if behind.len() > 1 {
        let why = format!("{} passes; only the first is taken", behind.len());
        reader.note("sampler", why);
    }
    let settings = graph.upstream(base, PICTURE_INPUTS);
    reader.seed(graph.nearest(&settings, &["seed", "noise_seed"]));
    reader.steps(graph.nearest(&settings, &["steps"]));
    reader.guidance(graph.nearest(&settings, &["cfg"]));
    let name = graph.nearest(&settings, &["sampler_name"]);
    reader.sampler(name.and_then(Value::as_str));
    let name = graph.nearest(&settings, &["scheduler"]);
    reader.schedule(name.and_then(Value::as_str));
    prompts(graph, &settings, &mut reader);
    model(graph, &settings, &mut reader);
    // The one nearest the checkpoint comes first.
    reader.recipe.add_ons.used.reverse();
    start(graph, base, &settings, &mut reader);
    reader.finish()
}

fn first_sampler(graph: &Graph) -> Option<&str> {
    let ids = || graph.0.keys().map(String::as_str).take(MOST_NODES);
    let ends = ids().filter(|id| {
        let class = graph.class(id);
        class.contains("Save") || class.contains("Preview")
    });
    let of_end = ends
        .flat_map(|end| graph.upstream(end, &[]))
        .take(MOST_NODES)
        .find(|id| graph.is_sampler(id));
    of_end.or_else(|| ids().find(|id| graph.is_sampler(id)))
}

fn prompts(graph: &Graph, settings: &[&str], reader: &mut Reader) {
    let encoded = |names: &[&str]| {
        let mut inputs = settings
            .iter()
            .flat_map(|id| names.iter().filter_map(|name| graph.input(id, name)));
        inputs.find_map(link)
    };
    let positive = encoded(&["positive", "conditioning"]);
    let negative = encoded(&["negative"]);
    for (name, source, is_negative) in [
        ("prompt", positive, false),
        ("negative prompt", negative, true),
    ] {
        let texts = source.map_or_else(Vec::new, |source| words(graph, source, is_negative));
        if texts.len() > 1 {
            let why = format!(
                "joined from {} texts that ComfyUI encodes apart",
                texts.len()
            );
            reader.note(name, why);
        }
        let joined = without_our_words(&texts.join(", ")).replace(EMBEDDING, "");
        if is_negative {
            reader.recipe.negative_prompt = joined;
        } else {
            reader.recipe.prompt = joined;
        }
    }
}

/// Every text that flows into a conditioning. A node between that takes both prompts passes each on.
fn words(graph: &Graph, source: &str, is_negative: bool) -> Vec<String> {
    let other = if is_negative { "positive" } else { "negative" };
    let mut without = PICTURE_INPUTS.to_vec();
    without.push(other);
    let mut found = Vec::new();
    for id in graph.upstream(source, &without) {
        // Encoders know their words themselves; what holds the words for them comes further up.
        if !graph.class(id).contains("TextEncode") {
            continue;
        }
        let text = ["text", "text_g", "text_l", "prompt", "t5xxl", "clip_l"]
            .iter()
            .find_map(|name| graph.value(id, name)?.as_str());
        if let Some(text) = text.filter(|text| !found.iter().any(|known| known == text)) {
            found.push(text.to_owned());
        }
    }
    found
}

/// What stands before an embedding's name there; here the name alone does.
const EMBEDDING: &str = "embedding:";

/// Names under which nodes hold a model's file.
const MODEL_NAMES: &[&str] = &["ckpt_name", "unet_name", "model_name"];

/// The file at the end of the sampler's model links: another may give the text encoders.
fn own_model<'a>(graph: &'a Graph, settings: &[&str]) -> Option<&'a Value> {
    let mut links = settings.iter();
    let mut at = links.find_map(|id| graph.input(id, "model").and_then(link))?;
    for _ in 0..MOST_LINKS {
        let named = MODEL_NAMES.iter().find_map(|name| graph.value(at, name));
        if named.is_some() {
            return named;
        }
        at = graph.input(at, "model").and_then(link)?;
    }
    None
}

/// Where text encoders come from, if not from the model: a checkpoint, or files of their own.
fn lender(graph: &Graph, settings: &[&str], model: Option<&Value>, reader: &mut Reader) {
    let other = graph.nearest(settings, &["ckpt_name"]);
    if let Some(name) = other.filter(|other| Some(*other) != model) {
        reader.recipe.network.parts_from = name.as_str().map(|name| ModelRef {
            id: stem(name).to_owned(),
            ..ModelRef::default()
        });
        return;
    }
    let files = ["clip_name", "clip_name1", "clip_name2"];
    let files = files.map(|name| graph.nearest(settings, &[name]).and_then(Value::as_str));
    let files: Vec<&str> = files.into_iter().flatten().collect();
    if !files.is_empty() {
        let why = format!(
            "{} lie in files of their own; those of a whole model are taken",
            files.join(", ")
        );
        reader.note("text encoders", why);
    }
}

fn model(graph: &Graph, settings: &[&str], reader: &mut Reader) {
    let name = own_model(graph, settings).or_else(|| graph.nearest(settings, MODEL_NAMES));
    reader.model(name.and_then(Value::as_str), None);
    lender(graph, settings, name, reader);
    for id in settings {
        let class = graph.class(id);
        let named = |name: &str| graph.value(id, name).and_then(Value::as_str).unwrap_or("?");
        let weight = |name: &str| graph.value(id, name).and_then(number);
        if matches!(class, "LoraLoader" | "LoraLoaderModelOnly") {
            let text = weight("strength_clip").or((class != "LoraLoader").then_some(0.0));
            reader.lora(Some(named("lora_name")), weight("strength_model"), text);
        } else if class.contains("Lora") {
            reader.add_on("LoRA", named("lora_name"));
        } else if class.contains("ControlNetApply") {
            reader.add_on("ControlNet", class);
        } else if class == "VAELoader" {
            reader.vae(named("vae_name"));
        } else if class == "CLIPSetLastLayer"
            && let Some(layer) = graph
                .value(id, "stop_at_clip_layer")
                .and_then(Value::as_i64)
        {
            reader.clip_skip(layer.checked_neg());
        }
    }
}

/// Where the latents come from: an empty picture's size, or a picture.
fn start(graph: &Graph, base: &str, settings: &[&str], reader: &mut Reader) {
    let source = graph.input(base, "latent_image").and_then(link);
    let chain = source.map_or_else(Vec::new, |source| graph.upstream(source, &[]));
    let empty = chain.iter().find(|id| graph.class(id).starts_with("Empty"));
    if let Some(empty) = empty {
        reader.size(graph.value(empty, "width"), graph.value(empty, "height"));
        let batch = graph.value(empty, "batch_size").and_then(whole);
        if batch.is_some_and(|batch| batch > 1) {
            // All pictures of a batch share one draw of noise there.
            let why =
                "the pictures of a batch share their noise in ComfyUI: only the first can be made";
            reader.note("batch_size", why);
        }
    }
    let strength = graph.nearest(settings, &["denoise"]).and_then(number);
    if empty.is_none() && !chain.is_empty() {
        let strength = strength.unwrap_or(1.0);
        let why =
            format!("{strength}; the start picture is not in the file, open it to repeat this");
        reader.note("denoise", why);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// As the makers of SDXL Lightning publish it: their network, words read by the base model.
    fn graph(encoders: &Value) -> Graph {
        let graph = json!({
            "1": {"class_type": "KSampler", "inputs": {"model": ["2", 0], "positive": ["3", 0],
                  "negative": ["4", 0], "latent_image": ["5", 0], "seed": 1, "steps": 4, "cfg": 1.0,
                  "sampler_name": "euler", "scheduler": "sgm_uniform", "denoise": 1.0}},
            "2": {"class_type": "LoraLoader", "inputs": {"model": ["6", 0], "clip": ["7", 1],
                  "lora_name": "ink.safetensors", "strength_model": 1.0, "strength_clip": 1.0}},
            "3": {"class_type": "CLIPTextEncode", "inputs": {"text": "a cat", "clip": ["2", 1]}},
            "4": {"class_type": "CLIPTextEncode", "inputs": {"text": "", "clip": ["7", 1]}},
            "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 1024, "height": 1024}},
            "6": {"class_type": "UNETLoader", "inputs": {"unet_name": "sdxl_lightning_4step_unet.safetensors"}},
            "7": encoders,
            "8": {"class_type": "VAEDecode", "inputs": {"samples": ["1", 0], "vae": ["7", 2]}},
            "9": {"class_type": "SaveImage", "inputs": {"images": ["8", 0]}},
        });
        Graph(graph.as_object().expect("an object").clone())
    }

    #[test]
    fn a_network_alone_and_the_checkpoint_that_reads_the_words_are_told_apart() {
        let texts = Texts::default();
        let base = json!({"class_type": "CheckpointLoaderSimple",
                          "inputs": {"ckpt_name": "SDXL/sd_xl_base_1.0.safetensors"}});
        let read = read_graph(&texts, &graph(&base)).expect("a recipe");
        assert_eq!(read.recipe.model.id, "sdxl_lightning_4step_unet");
        let lender = read.recipe.network.parts_from.expect("a lender");
        assert_eq!(lender.id, "sd_xl_base_1.0");
        let files = json!({"class_type": "DualCLIPLoader",
                           "inputs": {"clip_name1": "clip_l.safetensors", "clip_name2": "clip_g.safetensors"}});
        let read = read_graph(&texts, &graph(&files)).expect("a recipe");
        assert_eq!(read.recipe.network.parts_from, None);
        let told = |note: &String| note.starts_with("text encoders: clip_l.safetensors, clip_g");
        assert!(read.notes.iter().any(told), "{:?}", read.notes);
    }
}
