//! Tiny models whose tensors are drawn from their names (`tests/fixtures/layouts/make.py`), written as a
//! folder in the diffusers layout and as one file in LDM's layout, in every format.

use std::collections::BTreeMap;
use std::path::Path;

use half::{bf16, f16};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::places;

/// How numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// 32-bit floats.
    F32,
    /// IEEE halves.
    F16,
    /// bfloat16.
    Bf16,
    /// 8-bit floats, 4 bits of exponent.
    F8E4M3,
    /// 8-bit floats, 5 bits of exponent.
    F8E5M2,
}

impl Stored {
    /// safetensors' name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
            Self::F8E4M3 => "F8_E4M3",
            Self::F8E5M2 => "F8_E5M2",
        }
    }

    /// Numbers as bytes.
    pub fn encode(self, values: &[f32]) -> Vec<u8> {
        match self {
            Self::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Self::F16 => values
                .iter()
                .flat_map(|v| f16::from_f32(*v).to_le_bytes())
                .collect(),
            Self::Bf16 => values
                .iter()
                .flat_map(|v| bf16::from_f32(*v).to_le_bytes())
                .collect(),
            Self::F8E4M3 | Self::F8E5M2 => {
                let table = self.table();
                values
                    .iter()
                    .map(|value| nearest(&table, *value).1)
                    .collect()
            }
        }
    }

    /// What is left of the numbers when they are stored so.
    pub fn round(self, values: &[f32]) -> Vec<f32> {
        match self {
            Self::F32 => values.to_vec(),
            Self::F16 => values.iter().map(|v| f16::from_f32(*v).to_f32()).collect(),
            Self::Bf16 => values.iter().map(|v| bf16::from_f32(*v).to_f32()).collect(),
            Self::F8E4M3 | Self::F8E5M2 => {
                let table = self.table();
                values
                    .iter()
                    .map(|value| nearest(&table, *value).0)
                    .collect()
            }
        }
    }

    /// Every finite 8-bit float with its byte, in order.
    fn table(self) -> Vec<(f32, u8)> {
        let (bits, bias, largest) = if self == Self::F8E4M3 {
            (3, 7, 0x7e)
        } else {
            (2, 15, 0x7b)
        };
        let value = |byte: u8| {
            let mantissa = f32::from(byte & ((1 << bits) - 1)) / f32::from(1_u8 << bits);
            match i32::from(byte >> bits) {
                0 => mantissa * 2_f32.powi(1 - bias),
                exponent => (1.0 + mantissa) * 2_f32.powi(exponent - bias),
            }
        };
        let positive = (0..=largest).map(|byte| (value(byte), byte));
        let mut table: Vec<(f32, u8)> = positive
            .clone()
            .map(|(value, byte)| (-value, byte | 0x80))
            .collect();
        table.extend(positive);
        table.sort_by(|a, b| a.0.total_cmp(&b.0));
        table
    }
}

fn nearest(table: &[(f32, u8)], value: f32) -> (f32, u8) {
    let above = table
        .partition_point(|(entry, _)| *entry < value)
        .min(table.len() - 1);
    let below = above.saturating_sub(1);
    if (table[above].0 - value).abs() < (value - table[below].0).abs() {
        table[above]
    } else {
        table[below]
    }
}

/// What is left of a tensor's numbers, by its name and shape.
pub type Round<'a> = &'a dyn Fn(&str, &[usize], &[f32]) -> Vec<f32>;

/// A tensor to be written.
#[derive(Clone, Debug)]
pub struct Written {
    /// Its name in the file.
    pub name: String,
    /// Its sides.
    pub shape: Vec<usize>,
    /// Its numbers.
    pub values: Vec<f32>,
}

/// A model's description.
#[derive(Deserialize)]
pub struct Layout {
    configs: BTreeMap<String, Value>,
    wide_bias: bool,
    tensors: Vec<(String, Vec<usize>)>,
    ldm: Vec<Vec<Value>>,
}

impl Layout {
    /// `first`, `second`, `inpainting`, `xl` or `xl_refiner`.
    pub fn read(name: &str) -> Self {
        let path = places::fixture("layouts").join(format!("{name}.json"));
        let text = std::fs::read_to_string(path).expect("fixture can be read");
        serde_json::from_str(&text).expect("fixture is as described")
    }

    /// Writes the diffusers folder, its numbers as f32 after `round` was applied to each tensor.
    pub fn write_folder(&self, folder: &Path, round: Round<'_>) {
        for (file, config) in &self.configs {
            let path = folder.join(file);
            std::fs::create_dir_all(path.parent().expect("in the folder")).expect("folder is made");
            std::fs::write(path, config.to_string()).expect("written");
        }
        let clip = pentimento_engine::prompt::clip_vocabulary::files();
        let is_here = |name: &&str| folder.join(name).is_dir();
        for tokenizer in ["tokenizer", "tokenizer_2"]
            .iter()
            .filter(|name| is_here(name))
        {
            let place = folder.join(tokenizer);
            std::fs::write(place.join("vocab.json"), &clip.vocabulary).expect("written");
            std::fs::write(place.join("merges.txt"), &clip.merges).expect("written");
        }
        for (part, file) in [
            ("unet", "diffusion_pytorch_model.safetensors"),
            ("vae", "diffusion_pytorch_model.safetensors"),
            ("text_encoder", "model.safetensors"),
            ("text_encoder_2", "model.safetensors"),
        ] {
            if !is_here(&part) {
                continue;
            }
            let tensors: Vec<Written> = self
                .tensors
                .iter()
                .filter_map(|(full, shape)| {
                    let name = full.strip_prefix(part)?.strip_prefix('/')?;
                    let values = round(full, shape, &self.draw(full, shape));
                    Some(Written {
                        name: name.to_owned(),
                        shape: shape.clone(),
                        values,
                    })
                })
                .collect();
            let bytes = safetensors(&tensors, Stored::F32, &Map::new());
            std::fs::write(folder.join(part).join(file), bytes).expect("written");
        }
    }

    /// Every tensor of the one file.
    pub fn single(&self) -> Vec<Written> {
        let shapes: BTreeMap<&str, &Vec<usize>> = self
            .tensors
            .iter()
            .map(|(name, shape)| (name.as_str(), shape))
            .collect();
        self.ldm
            .iter()
            .map(|row| {
                let text = |at: usize| row[at].as_str().expect("a text");
                let sides = row[1].as_array().expect("a shape").iter();
                let shape: Vec<usize> = sides
                    .map(|side| side.as_u64().expect("a side") as usize)
                    .collect();
                let sources = (3..row.len()).map(text);
                let values: Vec<f32> = match text(2) {
                    "unused" => vec![0.5; shape.iter().product()],
                    "turned" => turned(&self.draw(text(3), shapes[text(3)]), shape[0]),
                    _ => sources
                        .flat_map(|source| self.draw(source, shapes[source]))
                        .collect(),
                };
                Written {
                    name: text(0).to_owned(),
                    shape,
                    values,
                }
            })
            .collect()
    }

    /// As `draw` in the fixture's script: every bit the same.
    fn draw(&self, name: &str, shape: &[usize]) -> Vec<f32> {
        let mut seed = 0xcbf2_9ce4_8422_2325_u64;
        for byte in name.bytes() {
            seed = (seed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        let count: usize = shape.iter().product();
        let matrix = shape.len() > 1;
        let table = matrix && name.contains("_embedding.weight") && !name.contains("time");
        let (around, width) = if table {
            (0.0, 0.5)
        } else if matrix {
            (0.0, (3.0 / (count / shape[0]) as f64).sqrt())
        } else if name.ends_with("weight") {
            (1.0, 0.2)
        } else {
            (0.0, if self.wide_bias { 0.4 } else { 0.1 })
        };
        (1..=count as u64)
            .map(|index| {
                let z = seed.wrapping_add(index.wrapping_mul(0x9e37_79b9_7f4a_7c15));
                let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                let z = z ^ (z >> 31);
                let unit = (z >> 40) as f64 / f64::from(1 << 23) - 1.0;
                f16::from_f64(around + unit * width).to_f32()
            })
            .collect()
    }
}

/// A matrix of rows of `columns` numbers, column by column.
pub fn turned(values: &[f32], columns: usize) -> Vec<f32> {
    let column = |at: usize| values.iter().skip(at).step_by(columns).copied();
    (0..columns).flat_map(column).collect()
}

/// A safetensors file.
pub fn safetensors(tensors: &[Written], stored: Stored, metadata: &Map<String, Value>) -> Vec<u8> {
    let mut header = Map::new();
    if !metadata.is_empty() {
        header.insert("__metadata__".to_owned(), Value::Object(metadata.clone()));
    }
    let mut data = Vec::new();
    for tensor in tensors {
        let bytes = stored.encode(&tensor.values);
        let offsets = [data.len(), data.len() + bytes.len()];
        let entry = json!({"dtype": stored.name(), "shape": tensor.shape, "data_offsets": offsets});
        header.insert(tensor.name.clone(), entry);
        data.extend(bytes);
    }
    let header = Value::Object(header).to_string();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.extend(data);
    file
}

/// A GGUF file (version 3): each tensor with its type's number and its bytes.
pub fn gguf(tensors: &[(Written, u32, Vec<u8>)]) -> Vec<u8> {
    gguf_with(tensors, &[])
}

/// As [`gguf`]; of tensors that were stored in another shape, the one that they have, as city96's
/// files say it.
pub fn gguf_with(
    tensors: &[(Written, u32, Vec<u8>)],
    originals: &[(String, Vec<usize>)],
) -> Vec<u8> {
    let text = |text: &str| {
        [
            (text.len() as u64).to_le_bytes().to_vec(),
            text.as_bytes().to_vec(),
        ]
        .concat()
    };
    let mut head = b"GGUF\x03\0\0\0".to_vec();
    head.extend((tensors.len() as u64).to_le_bytes());
    head.extend((1 + originals.len() as u64).to_le_bytes());
    head.extend(text("general.architecture"));
    head.extend(8_u32.to_le_bytes());
    head.extend(text("sd1"));
    for (name, shape) in originals {
        head.extend(text(&format!("comfy.gguf.orig_shape.{name}")));
        // A list of 32-bit whole numbers.
        head.extend([9_u32.to_le_bytes(), 5_u32.to_le_bytes()].concat());
        head.extend((shape.len() as u64).to_le_bytes());
        head.extend(shape.iter().flat_map(|side| (*side as i32).to_le_bytes()));
    }
    let mut data: Vec<u8> = Vec::new();
    for (tensor, kind, bytes) in tensors {
        head.extend(text(&tensor.name));
        head.extend((tensor.shape.len() as u32).to_le_bytes());
        for side in tensor.shape.iter().rev() {
            head.extend((*side as u64).to_le_bytes());
        }
        head.extend(kind.to_le_bytes());
        head.extend((data.len() as u64).to_le_bytes());
        data.extend(bytes);
        data.resize(data.len().next_multiple_of(32), 0);
    }
    head.resize(head.len().next_multiple_of(32), 0);
    head.extend(data);
    head
}
