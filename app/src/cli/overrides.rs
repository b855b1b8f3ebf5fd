//! Options of `render` that replace a field of the recipe.

use pentimento_engine::prompt::{PromptSyntax, Weighting};
use pentimento_engine::recipe::{
    Inpaint, InpaintArea, MaskedContent, NoiseKind, Precision, Prompting, Recipe,
};

use super::add_ons::AddOns;
use super::knobs::Knobs;
use super::network::Network;
use super::{Args, Failure};

/// Surroundings of an only-masked area when none are given, as in A1111.
const PADDING_PX: u32 = 32;

const WHOLE: &str = "a whole number";
const NUMBER: &str = "a number";

/// Options that replace a field.
#[derive(Default)]
pub(super) struct Overrides {
    pub(super) prompt: Option<String>,
    negative: Option<String>,
    syntax: Option<PromptSyntax>,
    weighting: Option<Weighting>,
    pub(super) size_px: Option<(u32, u32)>,
    steps: Option<u32>,
    guidance: Option<f64>,
    guidance_rescale: Option<f64>,
    image_guidance: Option<f64>,
    seed: Option<u64>,
    sampler: Option<String>,
    schedule: Option<String>,
    knobs: Knobs,
    pub(super) network: Network,
    noise_source: Option<NoiseKind>,
    precision: Option<Precision>,
    pub(super) strength: Option<f64>,
    mask_blur_px: Option<u32>,
    content: Option<MaskedContent>,
    only_masked: bool,
    padding_px: Option<u32>,
    pub(super) add_ons: AddOns,
}

impl Overrides {
    /// Reads the options; ranges are checked with the whole recipe.
    pub(super) fn read(args: &Args) -> Result<Self, Failure> {
        let text = |name| args.text(name).map(|text| text.map(str::to_owned));
        Ok(Self {
            prompt: text("prompt")?,
            negative: text("negative")?,
            syntax: args.choice(
                "prompt-syntax",
                &[
                    ("a1111", PromptSyntax::A1111),
                    ("plain", PromptSyntax::Plain),
                ],
            )?,
            weighting: args.choice(
                "weighting",
                &[
                    ("a1111", Weighting::A1111),
                    ("no_norm", Weighting::NoNorm),
                    ("comfy_ui", Weighting::ComfyUi),
                ],
            )?,
            size_px: args.text("size")?.map(size).transpose()?,
            steps: args.number("steps", WHOLE)?,
            guidance: args.number("guidance", NUMBER)?,
            guidance_rescale: args.number("guidance-rescale", NUMBER)?,
            image_guidance: args.number("image-guidance", NUMBER)?,
            seed: args.number("seed", "a whole number from 0 to 18446744073709551615")?,
            sampler: text("sampler")?,
            schedule: text("schedule")?,
            knobs: Knobs::read(args)?,
            network: Network::read(args)?,
            noise_source: args.choice(
                "noise-source",
                &[
                    ("torch_cpu", NoiseKind::TorchCpu),
                    ("philox", NoiseKind::Philox),
                ],
            )?,
            precision: args.choice(
                "precision",
                &[
                    ("auto", Precision::Auto),
                    ("f32", Precision::F32),
                    ("bf16", Precision::Bf16),
                    ("int8", Precision::Int8),
                ],
            )?,
            strength: args.number("strength", NUMBER)?,
            mask_blur_px: args.number("mask-blur", WHOLE)?,
            content: args.choice(
                "content",
                &[
                    ("original", MaskedContent::Original),
                    ("fill", MaskedContent::Fill),
                    ("noise", MaskedContent::Noise),
                    ("nothing", MaskedContent::Nothing),
                ],
            )?,
            only_masked: args.has("only-masked"),
            padding_px: args.number("padding", WHOLE)?,
            add_ons: AddOns::read(args)?,
        })
    }

    /// Puts the plain fields into a recipe.
    ///
    /// # Errors
    /// [`Failure::Usage`] for a knob that the recipe's sampler does not have.
    pub(super) fn apply(&self, recipe: &mut Recipe) -> Result<(), Failure> {
        fn put<T: Clone>(slot: &mut T, value: &Option<T>) {
            if let Some(value) = value {
                slot.clone_from(value);
            }
        }
        if self.prompt.is_some() || self.negative.is_some() {
            // Words given here are read as such, whatever the recipe's own were; those say on what
            // they said.
            recipe.prompt = recipe.prompting.as_typed(&recipe.prompt);
            recipe.negative_prompt = recipe.prompting.as_typed(&recipe.negative_prompt);
            recipe.prompting = Prompting {
                weighting: recipe.prompting.weighting,
                ..Prompting::default()
            };
        }
        put(&mut recipe.prompt, &self.prompt);
        put(&mut recipe.negative_prompt, &self.negative);
        if self.syntax == Some(PromptSyntax::Plain) {
            recipe.prompting = Prompting::plain();
        }
        put(&mut recipe.prompting.syntax, &self.syntax);
        put(&mut recipe.prompting.weighting, &self.weighting);
        put(&mut recipe.steps, &self.steps);
        put(&mut recipe.guidance, &self.guidance);
        put(&mut recipe.guidance_rescale, &self.guidance_rescale);
        if self.image_guidance.is_some() {
            recipe.image_guidance = self.image_guidance;
        }
        put(&mut recipe.seed, &self.seed);
        put(&mut recipe.sampler, &self.sampler);
        put(&mut recipe.schedule, &self.schedule);
        if self.knobs.type_levels() && (self.schedule.is_some() || self.steps.is_some()) {
            return Err(Failure::usage(
                "--sigmas takes the place of --schedule and --steps; leave those out",
            ));
        }
        if self.schedule.is_some() || self.steps.is_some() {
            // Levels that the recipe's file had typed.
            recipe.knobs.sigmas.clear();
        }
        put(&mut recipe.noise_source, &self.noise_source);
        put(&mut recipe.precision, &self.precision);
        self.network.apply(recipe)?;
        self.knobs.apply(recipe)
    }

    /// Puts the inpainting options into a recipe's.
    pub(super) fn apply_to_inpaint(&self, inpaint: &mut Inpaint) {
        if let Some(blur_px) = self.mask_blur_px {
            inpaint.blur_px = blur_px;
        }
        if let Some(content) = self.content {
            inpaint.content = content;
        }
        let old_px = match inpaint.area {
            InpaintArea::OnlyMasked { padding_px } => Some(padding_px),
            InpaintArea::WholePicture => None,
        };
        if self.only_masked || self.padding_px.is_some() {
            inpaint.area = InpaintArea::OnlyMasked {
                padding_px: self.padding_px.or(old_px).unwrap_or(PADDING_PX),
            };
        }
    }
}

fn size(text: &str) -> Result<(u32, u32), Failure> {
    text.split_once(['x', 'X', '×'])
        .and_then(|(wide, high)| Some((wide.trim().parse().ok()?, high.trim().parse().ok()?)))
        .ok_or_else(|| {
            Failure::usage(format!(
                "--size: “{text}” is not WIDTHxHEIGHT in pixels, such as 512x512"
            ))
        })
}
