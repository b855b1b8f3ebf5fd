//! What a checkpoint's UNet predicts. Shapes do not show it, so it is told by rules, in this order:
//! a file beside the model, the file's own metadata, its version, a statistic of its weights. The
//! rule that decided is always said.

use serde_json::{Value, json};

use crate::error::Result;
use crate::families::single::Beside;
use crate::schedules::Prediction;
use crate::weights::single::SingleFile;

/// Spread of the last transformer's first norm's bias, above which ComfyUI takes a version 2 model
/// for one of velocity (`supported_models.py`, `SD20`).
const VELOCITY_SPREAD: f64 = 0.09;

/// Which generation of the family a network is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    First,
    Second,
    Xl,
}

impl Version {
    /// As models of equal versions can lend each other parts.
    pub(super) const fn id(self) -> &'static str {
        match self {
            Self::First => "1.x",
            Self::Second => "2.x",
            Self::Xl => "XL",
        }
    }
}

/// What was found, and why.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Inferred {
    prediction: Prediction,
    zero_terminal_snr: bool,
    /// For people.
    pub(super) note: String,
}

impl Inferred {
    pub(super) fn is_velocity(&self) -> bool {
        self.prediction == Prediction::Velocity
    }

    /// The scheduler's configuration that its makers would have published.
    pub(super) fn scheduler(&self, distilled: bool, version: Version) -> Value {
        let class = match (distilled, version) {
            (true, _) => "LCMScheduler",
            (false, Version::Xl) => "EulerDiscreteScheduler",
            (false, Version::First | Version::Second) => "PNDMScheduler",
        };
        let mut config = json!({
            "_class_name": class,
            "beta_start": 0.00085,
            "beta_end": 0.012,
            "beta_schedule": "scaled_linear",
            "num_train_timesteps": 1000,
            "set_alpha_to_one": distilled,
            "clip_sample": false,
            "steps_offset": 1,
            "prediction_type": self.prediction.id(),
        });
        if version == Version::Xl {
            config["timestep_spacing"] = json!("leading");
        }
        if self.zero_terminal_snr {
            config["rescale_betas_zero_snr"] = json!(true);
            config["timestep_spacing"] = json!("trailing");
        }
        config
    }
}

/// # Errors
/// When a tensor of the file cannot be read.
pub(super) fn infer(file: &SingleFile, beside: &Beside, version: Version) -> Result<Inferred> {
    let (prediction, why) = decide(file, beside, version)?;
    let mut note = format!("predicts {}: {why}", prediction.id());
    let zero_terminal_snr = file.stores("ztsnr");
    if zero_terminal_snr {
        note.push_str("; trained to zero terminal signal, as its mark “ztsnr” says");
    }
    Ok(Inferred {
        prediction,
        zero_terminal_snr,
        note,
    })
}

fn decide(file: &SingleFile, beside: &Beside, version: Version) -> Result<(Prediction, String)> {
    if let Some((prediction, path)) = &beside.prediction {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        return Ok((*prediction, format!("{name} beside it says so")));
    }
    let stated = file.metadata.get("modelspec.prediction_type");
    if let Some(stated) = stated.map(|word| word.to_ascii_lowercase()) {
        let why = "its metadata say so (modelspec.prediction_type)".to_owned();
        match stated.as_str() {
            "epsilon" | "eps" => return Ok((Prediction::Epsilon, why)),
            "v" | "v_prediction" | "v-prediction" => return Ok((Prediction::Velocity, why)),
            _ => {}
        }
    }
    if file.stores("v_pred") {
        return Ok((Prediction::Velocity, "its mark “v_pred” says so".to_owned()));
    }
    let usual = match version {
        Version::First => Some("1"),
        Version::Second => None,
        Version::Xl => Some("XL"),
    };
    if let Some(name) = usual {
        let why = format!("as the models of version {name} do");
        return Ok((Prediction::Epsilon, why));
    }
    if file
        .entry("unet", "conv_in.weight")
        .and_then(|entry| entry.shape.get(1))
        != Some(&4)
    {
        let why = "as the inpainting and depth models of version 2 do".to_owned();
        return Ok((Prediction::Epsilon, why));
    }
    let Some(spread) = spread(file)? else {
        let why = "nothing in the file tells; a .yaml or .json beside it may say otherwise";
        return Ok((Prediction::Epsilon, why.to_owned()));
    };
    let (prediction, size, side) = if spread > VELOCITY_SPREAD {
        (Prediction::Velocity, 768, "above")
    } else {
        (Prediction::Epsilon, 512, "not above")
    };
    let why = format!(
        "inferred from its weights (a bias spreads by {spread:.3}, {side} {VELOCITY_SPREAD}: as the \
         {size}-pixel models of version 2); a .yaml or .json beside it may say otherwise"
    );
    Ok((prediction, why))
}

/// Standard deviation of the bias that ComfyUI looks at: `output_blocks.11.1` in LDM's names.
fn spread(file: &SingleFile) -> Result<Option<f64>> {
    let name = |block: usize, layer: usize| {
        format!("up_blocks.{block}.attentions.{layer}.transformer_blocks.0.norm1.bias")
    };
    let last = |exists: &dyn Fn(usize) -> bool| (0..16).rev().find(|index| exists(*index));
    let has = |block, layer| file.entry("unet", &name(block, layer)).is_some();
    let Some(block) = last(&|block| has(block, 0)) else {
        return Ok(None);
    };
    let layer = last(&|layer| has(block, layer)).unwrap_or(0);
    Ok(file.probe("unet", &name(block, layer))?.map(|values| {
        let count = values.len().max(1) as f64;
        let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / count;
        let square = |v: &f32| (f64::from(*v) - mean).powi(2);
        (values.iter().map(square).sum::<f64>() / count).sqrt()
    }))
}
