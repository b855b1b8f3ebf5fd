//! ComfyUI's `workflow`, the graph as it was drawn on the screen: its values have no names but stand
//! in the order of the widgets, which is known here for the nodes that matter.

use serde_json::{Map, Value, json};

use super::text;

/// Nodes and links looked at in one graph.
const MOST: usize = 4000;

/// Names of a node's widgets in their order.
const WIDGETS: &[(&str, &[&str])] = &[
    (
        "KSampler",
        &[
            "seed",
            "",
            "steps",
            "cfg",
            "sampler_name",
            "scheduler",
            "denoise",
        ],
    ),
    (
        "KSamplerAdvanced",
        &[
            "",
            "noise_seed",
            "",
            "steps",
            "cfg",
            "sampler_name",
            "scheduler",
        ],
    ),
    ("KSamplerSelect", &["sampler_name"]),
    ("BasicScheduler", &["scheduler", "steps", "denoise"]),
    ("RandomNoise", &["noise_seed"]),
    ("CFGGuider", &["cfg"]),
    ("CLIPTextEncode", &["text"]),
    ("CheckpointLoaderSimple", &["ckpt_name"]),
    ("UNETLoader", &["unet_name"]),
    ("UnetLoaderGGUF", &["unet_name"]),
    ("CLIPLoader", &["clip_name"]),
    ("DualCLIPLoader", &["clip_name1", "clip_name2"]),
    ("VAELoader", &["vae_name"]),
    (
        "LoraLoader",
        &["lora_name", "strength_model", "strength_clip"],
    ),
    ("LoraLoaderModelOnly", &["lora_name", "strength_model"]),
    ("CLIPSetLastLayer", &["stop_at_clip_layer"]),
    ("EmptyLatentImage", &["width", "height", "batch_size"]),
    ("EmptySD3LatentImage", &["width", "height", "batch_size"]),
    ("PrimitiveNode", &["value"]),
];

/// The drawn graph in the form of the one that is run.
pub(super) fn as_graph(workflow: &Value) -> Option<Map<String, Value>> {
    let links = workflow.get("links")?.as_array()?;
    let mut graph = Map::new();
    for node in workflow.get("nodes")?.as_array()?.iter().take(MOST) {
        let (Some(id), Some(class)) = (node.get("id").and_then(name), text(node, "type")) else {
            continue;
        };
        // Muted and bypassed nodes.
        if node
            .get("mode")
            .and_then(Value::as_i64)
            .is_some_and(|mode| mode == 2 || mode == 4)
        {
            continue;
        }
        let mut inputs = widgets(node, class);
        let slots = node.get("inputs").and_then(Value::as_array);
        for slot in slots.into_iter().flatten() {
            let source = slot.get("link").and_then(Value::as_i64);
            let source = source.and_then(|wanted| source_of(links, wanted));
            if let (Some(name), Some(source)) = (text(slot, "name"), source) {
                inputs.insert(name.to_owned(), source);
            }
        }
        graph.insert(id, json!({"class_type": class, "inputs": inputs}));
    }
    (!graph.is_empty()).then_some(graph)
}

fn widgets(node: &Value, class: &str) -> Map<String, Value> {
    let mut inputs = Map::new();
    let names = WIDGETS.iter().find(|(known, _)| *known == class);
    let values = node.get("widgets_values").and_then(Value::as_array);
    if let (Some((_, names)), Some(values)) = (names, values) {
        for (name, value) in names.iter().zip(values) {
            if !name.is_empty() {
                inputs.insert((*name).to_owned(), value.clone());
            }
        }
    }
    inputs
}

/// `[link, from node, from slot, to node, to slot, type]` as `["from node", slot]`.
fn source_of(links: &[Value], wanted: i64) -> Option<Value> {
    let parts = links.iter().take(MOST).filter_map(Value::as_array);
    let mut parts = parts.filter(|parts| parts.first().and_then(Value::as_i64) == Some(wanted));
    let parts = parts.next()?;
    Some(json!([name(parts.get(1)?)?, parts.get(2)?.as_i64()?]))
}

/// An id, which may be a number.
fn name(id: &Value) -> Option<String> {
    match id {
        Value::String(text) => Some(text.clone()),
        other => other.as_i64().map(|number| number.to_string()),
    }
}
