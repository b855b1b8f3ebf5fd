//! Layout A against layout B of the same weights: identical pictures. A is a diffusers folder, B one file
//! in LDM's layout, in every format and number type.

use std::path::PathBuf;

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use pentimento_engine::raster::Picture;
use serde_json::Map;
use support::layouts::{Layout, Stored, Written, gguf, gguf_with, safetensors, turned};
use support::pickles;
use support::running::{Options, Running, recipe};
use tempfile::TempDir;

fn picture(running: &Running, model: &str) -> Picture {
    let mut recipe = recipe(model);
    (recipe.width_px, recipe.height_px) = (32, 24);
    running.picture(recipe)
}

/// With a LoRA on it; and without it, before and after, which is one picture.
fn with_and_without_lora(running: &Running, model: &str) -> [Picture; 2] {
    let of = |tag: &str| {
        let mut recipe = recipe(model);
        (recipe.width_px, recipe.height_px) = (32, 24);
        recipe.prompt.push_str(tag);
        running.picture(recipe)
    };
    let plain = of("");
    let with = of("<lora:ink:0.9>");
    assert!(with != plain, "{model}: it does something");
    assert!(of("") == plain, "{model}: it leaves no trace");
    [plain, with]
}

/// A LoRA for the model `first`: a linear layer, a projection that files store as convolution or
/// matrix, a convolution, a text encoder's layer.
fn write_lora(folder: &TempDir) {
    let mut tensors = Vec::new();
    for (module, down, up) in [
        (
            "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q",
            &[2, 64][..],
            &[64, 2][..],
        ),
        (
            "lora_unet_mid_block_attentions_0_proj_in",
            &[2, 64],
            &[64, 2],
        ),
        (
            "lora_unet_middle_block_0_in_layers_2",
            &[2, 64, 3, 3],
            &[64, 2, 1, 1],
        ),
        (
            "lora_te_text_model_encoder_layers_0_self_attn_q_proj",
            &[2, 64],
            &[64, 2],
        ),
    ] {
        for (part, shape) in [("lora_down", down), ("lora_up", up)] {
            let count: usize = shape.iter().product();
            let values = (0..count).map(|index| (index % 7) as f32 * 0.05 - 0.15);
            tensors.push(Written {
                name: format!("{module}.{part}.weight"),
                shape: shape.to_vec(),
                values: values.collect(),
            });
        }
    }
    let file = safetensors(&tensors, Stored::F32, &Map::new());
    std::fs::write(folder.path().join("ink.safetensors"), file).unwrap();
}

#[test]
fn add_ons_change_every_layout_alike_and_leave_no_trace() {
    let layout = Layout::read("first");
    let folder = TempDir::new().unwrap();
    write_lora(&folder);
    layout.write_folder(&folder.path().join("folder"), &|_, _, values| {
        values.to_vec()
    });
    let single = layout.single();
    let file = safetensors(&single, Stored::F32, &Map::new());
    std::fs::write(folder.path().join("file.safetensors"), file).unwrap();
    std::fs::write(
        folder.path().join("old.ckpt"),
        pickles::legacy(&single, Stored::F32),
    )
    .unwrap();
    // A network alone: its text encoder, which the add-on changes as well, is lent.
    let network: Vec<Written> = single
        .iter()
        .filter(|tensor| tensor.name.starts_with("model.diffusion_model."))
        .cloned()
        .collect();
    let file = safetensors(&network, Stored::F32, &Map::new());
    std::fs::write(folder.path().join("network.safetensors"), file).unwrap();
    let halves: Vec<_> = single
        .into_iter()
        .map(|tensor| {
            let bytes = Stored::F16.encode(&tensor.values);
            (tensor, 1, bytes)
        })
        .collect();
    std::fs::write(folder.path().join("halves.gguf"), gguf(&halves)).unwrap();
    let running = start(&folder);
    let wanted = with_and_without_lora(&running, "folder");
    for model in ["file", "old", "halves", "network"] {
        assert!(with_and_without_lora(&running, model) == wanted, "{model}");
    }
}

fn start(folder: &TempDir) -> Running {
    Running::with(Options {
        model_folders: vec![PathBuf::from(folder.path())],
        ..Options::default()
    })
}

#[test]
fn one_file_gives_the_folders_picture_in_every_number_type() {
    for (name, types) in [
        (
            "first",
            &[
                Stored::F32,
                Stored::F16,
                Stored::Bf16,
                Stored::F8E4M3,
                Stored::F8E5M2,
            ][..],
        ),
        ("second", &[Stored::F16]),
        ("xl", &[Stored::F16]),
        ("xl_refiner", &[Stored::F16]),
    ] {
        let layout = Layout::read(name);
        let single = layout.single();
        for &stored in types {
            let folder = TempDir::new().unwrap();
            layout.write_folder(&folder.path().join("folder"), &|_, _, values| {
                stored.round(values)
            });
            let file = safetensors(&single, stored, &Map::new());
            std::fs::write(folder.path().join("file.safetensors"), file).unwrap();
            if stored == Stored::F16 {
                let file = pickles::checkpoint(&single, stored);
                // The ending says nothing: this is a pickle.
                std::fs::write(folder.path().join("pickle.safetensors"), file).unwrap();
                std::fs::write(
                    folder.path().join("large.ckpt"),
                    pickles::large_checkpoint(&single, stored),
                )
                .unwrap();
                std::fs::write(
                    folder.path().join("old.ckpt"),
                    pickles::legacy(&single, stored),
                )
                .unwrap();
            }
            let running = start(&folder);
            let reference = picture(&running, "folder");
            assert!(reference == picture(&running, "file"), "{name}: {stored:?}");
            if stored == Stored::F16 {
                assert!(reference == picture(&running, "pickle"), "{name}: pickle");
                assert!(reference == picture(&running, "old"), "{name}: old pickle");
                let large = picture(&running, "large");
                assert!(reference == large, "{name}: an archive of 64 bits");
            }
        }
    }
}

/// The block format a tensor gets: like sd.cpp, only matrices whose rows are whole blocks. The
/// autoencoder's are convolutions in the one file.
fn blocks(name: &str, shape: &[usize], kind: GgmlDType) -> Option<GgmlDType> {
    (!name.starts_with("vae/") && shape.len() == 2 && shape[1].is_multiple_of(kind.block_size()))
        .then_some(kind)
}

fn quantised(shape: &[usize], values: &[f32], kind: GgmlDType) -> QTensor {
    let tensor = Tensor::from_slice(values, shape, &Device::Cpu).unwrap();
    QTensor::quantize(&tensor, kind).unwrap()
}

/// What is left of numbers that were packed.
fn unpacked(shape: &[usize], values: &[f32], kind: GgmlDType) -> Vec<f32> {
    let tensor = quantised(shape, values, kind)
        .dequantize(&Device::Cpu)
        .unwrap();
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn gguf_gives_the_picture_of_its_unpacked_numbers() {
    // The numbers of GGML's types in a file.
    for (kind, number) in [
        (GgmlDType::Q8_0, 8),
        (GgmlDType::Q4_0, 2),
        (GgmlDType::Q4_1, 3),
        (GgmlDType::Q5_0, 6),
        (GgmlDType::Q5_1, 7),
        (GgmlDType::Q4K, 12),
        (GgmlDType::Q5K, 13),
        (GgmlDType::Q6K, 14),
    ] {
        let name = if kind == GgmlDType::Q8_0 {
            "xl"
        } else {
            "first"
        };
        let layout = Layout::read(name);
        let folder = TempDir::new().unwrap();
        layout.write_folder(
            &folder.path().join("folder"),
            &|name, shape, values| match blocks(name, shape, kind) {
                // In the one file this matrix has rows for columns.
                Some(kind) if name.ends_with("text_projection.weight") => {
                    let sides = [shape[1], shape[0]];
                    let packed = unpacked(&sides, &turned(values, shape[1]), kind);
                    turned(&packed, shape[0])
                }
                Some(kind) => unpacked(shape, values, kind),
                None => values.to_vec(),
            },
        );
        let tensors: Vec<(Written, u32, Vec<u8>)> = layout
            .single()
            .into_iter()
            .map(|tensor| match blocks(&tensor.name, &tensor.shape, kind) {
                Some(kind) => {
                    let bytes = quantised(&tensor.shape, &tensor.values, kind)
                        .data()
                        .unwrap()
                        .into_owned();
                    (tensor, number, bytes)
                }
                None => {
                    let bytes = Stored::F16.encode(&tensor.values);
                    (tensor, 1, bytes)
                }
            })
            .collect();
        std::fs::write(folder.path().join("file.gguf"), gguf(&tensors)).unwrap();
        let running = start(&folder);
        assert!(
            picture(&running, "folder") == picture(&running, "file"),
            "{kind:?}"
        );
    }
}

/// Values that city96's tool lays side by side where a tensor's own rows are no whole blocks.
const ROW: usize = 256;

#[test]
fn gguf_takes_back_the_shape_that_a_network_was_stored_in() {
    const UNET: &str = "model.diffusion_model.";
    // A convolution's window is no whole block: all of its values are, in rows of another length.
    let packs = |shape: &[usize]| {
        let count: usize = shape.iter().product();
        shape.len() == 4 && count.is_multiple_of(ROW)
    };
    let kind = GgmlDType::Q8_0;
    let pack = |values: &[f32]| quantised(&[values.len() / ROW, ROW], values, kind);
    let layout = Layout::read("first");
    let folder = TempDir::new().unwrap();
    let round = |name: &str, shape: &[usize], values: &[f32]| {
        if !name.starts_with("unet/") || !packs(shape) {
            return values.to_vec();
        }
        let back = pack(values).dequantize(&Device::Cpu).unwrap();
        back.flatten_all().unwrap().to_vec1().unwrap()
    };
    layout.write_folder(&folder.path().join("folder"), &round);
    let mut originals = Vec::new();
    let mut tensors: Vec<(Written, u32, Vec<u8>)> = Vec::new();
    for tensor in layout.single() {
        let Some(name) = tensor.name.strip_prefix(UNET) else {
            continue;
        };
        let mut tensor = Written {
            name: name.to_owned(),
            ..tensor
        };
        if packs(&tensor.shape) {
            let bytes = pack(&tensor.values).data().unwrap().into_owned();
            let stored = vec![tensor.values.len() / ROW, ROW];
            let original = std::mem::replace(&mut tensor.shape, stored);
            originals.push((tensor.name.clone(), original));
            tensors.push((tensor, 8, bytes));
        } else {
            let bytes = Stored::F16.encode(&tensor.values);
            tensors.push((tensor, 1, bytes));
        }
    }
    assert!(originals.len() > 5, "{originals:?}");
    let file = gguf_with(&tensors, &originals);
    std::fs::write(folder.path().join("network.gguf"), file).unwrap();
    let running = start(&folder);
    assert!(picture(&running, "folder") == picture(&running, "network"));
}
