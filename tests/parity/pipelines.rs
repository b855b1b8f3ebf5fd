//! Whole pictures through the engine's public face, against diffusers' pipelines with the same weights, seed and
//! settings: text to image, image to image, inpainting. At least 45 dB.

use pentimento_engine::client::Blob;
use pentimento_engine::client::Request;
use pentimento_engine::prompt::PromptSyntax;
use pentimento_engine::raster::decode_picture;
use pentimento_engine::recipe::{
    Inpaint, InpaintArea, MaskedContent, ModelRef, Prompting, Recipe, Refiner, Start,
};
use serde::Deserialize;
use support::compare::psnr_db;
use support::places;
use support::running::{Running, built_in, recipe, request};

const LEAST_DB: f64 = 45.0;

/// A case of `fixtures/pipelines/cases.json`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    model: String,
    prompt: String,
    negative_prompt: String,
    width: u32,
    height: u32,
    seed: u64,
    steps: u32,
    /// Recorded pictures of long prompts are cut as diffusers cuts them.
    #[serde(default)]
    prompt_syntax: PromptSyntax,
    guidance: f64,
    guidance_rescale: f64,
    sampler: String,
    schedule: String,
    strength: Option<f64>,
    #[serde(default)]
    mask: bool,
    image_guidance: Option<f64>,
    refiner: Option<String>,
    switch_at: Option<f64>,
}

fn file(name: &str) -> Vec<u8> {
    let path = places::fixture("pipelines").join(format!("{name}.png"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn cases() -> Vec<Case> {
    let text = std::fs::read_to_string(places::fixture("pipelines/cases.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn request_of(case: &Case) -> Request {
    let mut blobs = Vec::new();
    let size = format!("{}x{}", case.width, case.height);
    let start = case.strength.map(|strength| {
        let picture = Blob::from_png(file(&format!("start_{size}")));
        let inpaint = case.mask.then(|| {
            let mask = Blob::from_png(file(&format!("mask_{size}")));
            let options = Inpaint {
                mask: mask.sha256.clone(),
                blur_px: 0,
                content: MaskedContent::Original,
                area: InpaintArea::WholePicture,
            };
            blobs.push(mask);
            options
        });
        let start = Start {
            picture: picture.sha256.clone(),
            strength,
            inpaint,
        };
        blobs.push(picture);
        start
    });
    let model = if case.model == "starter" {
        built_in()
    } else {
        case.model.clone()
    };
    let recipe = Recipe {
        prompt: case.prompt.clone(),
        negative_prompt: case.negative_prompt.clone(),
        prompting: Prompting {
            syntax: case.prompt_syntax,
            ..Prompting::default()
        },
        width_px: case.width,
        height_px: case.height,
        seed: case.seed,
        steps: case.steps,
        guidance: case.guidance,
        guidance_rescale: case.guidance_rescale,
        sampler: case.sampler.clone(),
        schedule: case.schedule.clone(),
        image_guidance: case.image_guidance,
        refiner: case.refiner.clone().map(|id| Refiner {
            model: ModelRef {
                id,
                ..ModelRef::default()
            },
            switch_at: case.switch_at.unwrap(),
            parts_from: None,
        }),
        start,
        ..recipe(&model)
    };
    Request {
        blobs,
        ..request(recipe)
    }
}

fn rgb(rgba: &[u8]) -> Vec<u8> {
    rgba.as_chunks::<4>()
        .0
        .iter()
        .flat_map(|pixel| [pixel[0], pixel[1], pixel[2]])
        .collect()
}

fn check(chosen: impl Fn(&Case) -> bool) {
    let running = Running::start();
    let cases: Vec<Case> = cases().into_iter().filter(chosen).collect();
    assert!(!cases.is_empty());
    let mut wrong = Vec::new();
    for case in &cases {
        let reference = decode_picture(&file(&case.name), &case.name).unwrap();
        match running.pictures(request_of(case)) {
            Err(error) => wrong.push(format!("{}: {error}", case.name)),
            Ok(pictures) => {
                let ours = &pictures[0];
                assert_eq!(
                    (ours.width_px, ours.height_px),
                    (case.width, case.height),
                    "{}",
                    case.name
                );
                let db = psnr_db(&rgb(&ours.rgba), &rgb(&reference.rgba));
                if db < LEAST_DB {
                    wrong.push(format!("{}: {db:.1} dB", case.name));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} differ:\n  {}",
        wrong.len(),
        cases.len(),
        wrong.join("\n  ")
    );
}

#[test]
fn starter_text_to_image() {
    check(|case| case.model == "starter" && case.strength.is_none());
}

#[test]
fn starter_image_to_image() {
    check(|case| case.model == "starter" && case.strength.is_some() && !case.mask);
}

#[test]
fn starter_inpainting() {
    check(|case| case.model == "starter" && case.mask);
}

#[test]
fn tiny_models_text_to_image() {
    check(|case| case.model != "starter" && case.strength.is_none());
}

#[test]
fn tiny_models_image_to_image() {
    check(|case| case.model != "starter" && case.strength.is_some() && !case.mask);
}

#[test]
fn tiny_models_inpainting() {
    check(|case| case.model != "starter" && case.mask);
}
