//! An add-on's file: its header, sorted into modules. A module is everything the file says about one
//! layer of the model.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::alpha::Alphas;
use crate::error::{EngineError, Result};
use crate::weights::Stored;
use crate::weights::element::{ElementType, Entry};
use crate::weights::files::ByteSource;
use crate::weights::format;

/// What a tensor of a module is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    Alpha,
    Scale,
    /// DoRA's magnitudes as LyCORIS shapes them: the side that is not 1 tells the axis.
    Dora,
    /// DoRA's magnitudes as PEFT shapes them: one for each output.
    Magnitude,
    Down,
    Up,
    /// PEFT's bias of `lora_B`: scaled as the product is.
    UpBias,
    Mid,
    Hada1A,
    Hada1B,
    Hada1T,
    Hada2A,
    Hada2B,
    Hada2T,
    Kron1,
    Kron1A,
    Kron1B,
    Kron2,
    Kron2A,
    Kron2B,
    Kron2T,
    Diff,
    /// LyCORIS' difference of a bias: taken as it is.
    DiffBias,
    Ia3,
    Ia3OnInput,
    /// Blocks of OFT and BOFT.
    Rotations,
    /// Their factor on each output.
    Rescale,
    GeneralA1,
    GeneralA2,
    GeneralB1,
    GeneralB2,
    /// Of an algorithm that is not computed here.
    Foreign,
}

/// What a tensor's name ends with; of two that fit, the first counts.
const SUFFIXES: &[(&str, Role)] = &[
    (".alpha", Role::Alpha),
    (".scale", Role::Scale),
    (".dora_scale", Role::Dora),
    (".lora_magnitude_vector", Role::Magnitude),
    (".lora_magnitude_vector.weight", Role::Magnitude),
    (".lora_magnitude_vector.default.weight", Role::Magnitude),
    (".lora_down.weight", Role::Down),
    (".lora_up.weight", Role::Up),
    (".lora_mid.weight", Role::Mid),
    (".lora_A.weight", Role::Down),
    (".lora_B.weight", Role::Up),
    (".lora_A.default.weight", Role::Down),
    (".lora_B.default.weight", Role::Up),
    (".lora_B.bias", Role::UpBias),
    (".lora_B.default.bias", Role::UpBias),
    (".lora.down.weight", Role::Down),
    (".lora.up.weight", Role::Up),
    (".lora_linear_layer.down.weight", Role::Down),
    (".lora_linear_layer.up.weight", Role::Up),
    ("_lora.down.weight", Role::Down),
    ("_lora.up.weight", Role::Up),
    (".hada_w1_a", Role::Hada1A),
    (".hada_w1_b", Role::Hada1B),
    (".hada_t1", Role::Hada1T),
    (".hada_w2_a", Role::Hada2A),
    (".hada_w2_b", Role::Hada2B),
    (".hada_t2", Role::Hada2T),
    (".lokr_w1", Role::Kron1),
    (".lokr_w1_a", Role::Kron1A),
    (".lokr_w1_b", Role::Kron1B),
    (".lokr_w2", Role::Kron2),
    (".lokr_w2_a", Role::Kron2A),
    (".lokr_w2_b", Role::Kron2B),
    (".lokr_t2", Role::Kron2T),
    (".diff", Role::Diff),
    (".diff_b", Role::DiffBias),
    (".w_norm", Role::Diff),
    (".b_norm", Role::DiffBias),
    (".on_input", Role::Ia3OnInput),
    (".oft_diag", Role::Foreign),
    (".oft_blocks", Role::Rotations),
    (".rescale", Role::Rescale),
    (".a1.weight", Role::GeneralA1),
    (".a2.weight", Role::GeneralA2),
    (".b1.weight", Role::GeneralB1),
    (".b2.weight", Role::GeneralB2),
    (".bm.weight", Role::Foreign),
    (".weight", Role::Ia3),
];

/// Everything a file says about one layer.
#[derive(Clone, Debug, Default)]
pub(super) struct Module {
    pub(super) tensors: BTreeMap<Role, (String, Entry)>,
}

impl Module {
    pub(super) fn has(&self, role: Role) -> bool {
        self.tensors.contains_key(&role)
    }

    pub(super) fn shape(&self, role: Role) -> Option<&[usize]> {
        let (_, entry) = self.tensors.get(&role)?;
        Some(&entry.shape)
    }

    /// The name of its first tensor, for messages.
    pub(super) fn label(&self) -> &str {
        let first = self.tensors.values().next();
        first.map_or("", |(name, _)| name.as_str())
    }

    /// Inputs of the layer that it was made for, where its own tensors tell.
    fn inputs(&self) -> Option<usize> {
        let side = |role| self.shape(role)?.get(1).copied();
        let factors = || {
            let first = side(Role::Kron1).or_else(|| side(Role::Kron1B))?;
            let second = side(Role::Kron2).or_else(|| side(Role::Kron2B))?;
            first.checked_mul(second)
        };
        let whole = [Role::Down, Role::Hada1B, Role::Diff, Role::GeneralA2];
        whole.into_iter().find_map(side).or_else(factors)
    }

    fn is_known(&self) -> bool {
        let core = |role: &Role| {
            !matches!(
                role,
                Role::Alpha | Role::Scale | Role::Rescale | Role::Foreign
            )
        };
        // A plain weight is IA3's only beside its mark: else it is a network's own.
        (self.has(Role::Ia3) && self.has(Role::Ia3OnInput))
            || self
                .tensors
                .keys()
                .any(|role| core(role) && !matches!(role, Role::Ia3 | Role::Ia3OnInput))
    }
}

/// An add-on's file, open, with nothing but its header read.
#[derive(Debug)]
pub struct AddOnFile {
    source: ByteSource,
    pub(super) modules: BTreeMap<String, Module>,
    pub(super) alphas: Alphas,
    /// Texts beside the tensors: what its trainer wrote down.
    pub metadata: BTreeMap<String, String>,
    /// What was found and is not applied, for people.
    pub notes: Vec<String>,
}

/// What to do about a broken file.
const REMEDY: &str = "the file is damaged or made by an unknown tool: download it again";

impl AddOnFile {
    /// Opens a file of any format and sorts its tensors.
    ///
    /// # Errors
    /// `BadFile` when it has no known format, its header is broken, or it holds no LoRA or LyCORIS;
    /// `Io` when reading fails.
    pub fn open(path: &Path) -> Result<Self> {
        let source = ByteSource::open(path)?;
        let header = (format::identify(&source)?.read_header)(&source)?;
        let mut modules: BTreeMap<String, Module> = BTreeMap::new();
        let mut left: Vec<String> = Vec::new();
        for (name, entry) in header.entries {
            let found = SUFFIXES
                .iter()
                .find_map(|(suffix, role)| Some((name.strip_suffix(suffix)?.to_owned(), *role)));
            match found {
                Some((module, role)) => {
                    let tensors = &mut modules.entry(module).or_default().tensors;
                    if tensors.insert(role, (name.clone(), entry)).is_some() {
                        let problem = format!("tensor “{name}” is there under two names");
                        return Err(EngineError::bad_file(path, problem, REMEDY));
                    }
                }
                None => left.push(name),
            }
        }
        let unknown = modules.values().filter(|module| !module.is_known());
        left.extend(
            unknown.flat_map(|module| module.tensors.values().map(|(name, _)| name.clone())),
        );
        modules.retain(|_, module| module.is_known());
        if modules.is_empty() {
            let first = left.first().map_or("", String::as_str);
            return Err(EngineError::bad_file(
                path,
                format!("no LoRA or LyCORIS that is known here: its first tensor is “{first}”"),
                "choose a LoRA, LoCon, LoHa, LoKr, DoRA, (IA)3, OFT, BOFT or GLoRA file",
            ));
        }
        let notes = left.first().map(|first| {
            let count = left.len();
            format!(
                "{count} tensors are of an unknown kind and not applied, the first is “{first}”"
            )
        });
        Ok(Self {
            source,
            modules,
            alphas: Alphas::read(&header.metadata),
            metadata: header.metadata,
            notes: notes.into_iter().collect(),
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        self.source.label()
    }

    /// Ids of the algorithms it uses: `lora`, `loha`, `lokr`, `full`, `ia3`, `oft`, `boft`, `glora`, and
    /// `dora` beside them.
    pub fn algorithms(&self) -> Vec<&'static str> {
        let mut found = BTreeSet::new();
        for module in self.modules.values() {
            for (role, id) in [
                (Role::Down, "lora"),
                (Role::Hada1A, "loha"),
                (Role::Kron1, "lokr"),
                (Role::Kron1A, "lokr"),
                (Role::Diff, "full"),
                (Role::Ia3, "ia3"),
                (Role::GeneralA1, "glora"),
                (Role::Dora, "dora"),
                (Role::Magnitude, "dora"),
            ] {
                if module.has(role) {
                    found.insert(id);
                }
            }
            if let Some(blocks) = module.shape(Role::Rotations) {
                found.insert(if blocks.len() > 3 { "boft" } else { "oft" });
            }
        }
        found.into_iter().collect()
    }

    /// The models it was made for, by the width of the text that its cross-attentions read; empty where
    /// it changes none.
    pub fn base(&self) -> &'static str {
        let widths = self.modules.iter().filter_map(|(name, module)| {
            let name = name.replace('.', "_");
            let reads = name.ends_with("attn2_to_k") || name.ends_with("attn2_to_v");
            module.inputs().filter(|_| reads)
        });
        match widths.max() {
            Some(768) => "Stable Diffusion 1.x",
            Some(1024) => "Stable Diffusion 2.x",
            Some(2048) => "Stable Diffusion XL",
            _ => "",
        }
    }

    /// A message about a module.
    pub(super) fn bad(&self, module: &Module, why: impl std::fmt::Display) -> EngineError {
        let problem = format!("tensor “{}”: {why}", module.label());
        EngineError::bad_file(self.path(), problem, REMEDY)
    }

    /// A message about a module that fits no layer of this model.
    pub(super) fn misfit(&self, module: &Module, why: &str) -> EngineError {
        let problem = format!(
            "tensor “{}”: {why}; it was made for another model",
            module.label()
        );
        let remedy = "choose one that was made for this model's family";
        EngineError::bad_file(self.path(), problem, remedy)
    }

    /// A tensor's numbers and shape; `None` when the module has none of that role.
    pub(super) fn read(&self, module: &Module, role: Role) -> Result<Option<Values>> {
        let Some((name, entry)) = module.tensors.get(&role) else {
            return Ok(None);
        };
        let stored = Stored::read(&self.source, name, entry)?;
        Ok(Some(Values {
            shape: entry.shape.clone(),
            values: stored.into_f32(),
        }))
    }

    /// As [`Self::read`], for what must be there.
    pub(super) fn need(&self, module: &Module, role: Role) -> Result<Values> {
        self.read(module, role)?
            .ok_or_else(|| self.bad(module, "its counterpart is missing from the file"))
    }

    /// A single number, which may be stored as an integer.
    pub(super) fn number(&self, module: &Module, role: Role) -> Result<Option<f64>> {
        let Some((name, entry)) = module.tensors.get(&role) else {
            return Ok(None);
        };
        if entry.count() != 1 {
            let problem = format!(
                "tensor “{name}” should be one number, not {:?}",
                entry.shape
            );
            return Err(EngineError::bad_file(self.path(), problem, REMEDY));
        }
        if let ElementType::Other { .. } = entry.element {
            let mut bytes = [0; 8];
            let read = entry.read(&self.source)?;
            let len = read.len().min(bytes.len());
            bytes[..len].copy_from_slice(&read[..len]);
            return Ok(Some(i64::from_le_bytes(bytes) as f64));
        }
        let values = Stored::read(&self.source, name, entry)?.into_f32();
        Ok(values.first().map(|value| f64::from(*value)))
    }
}

/// A tensor in memory.
#[derive(Clone, Debug)]
pub(super) struct Values {
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<f32>,
}
