//! JSON, ranges, and recipes inside PNG files.

use super::*;
use crate::catalog::{Catalog, Defaults, ModelInfo, Storage};
use crate::client::{Request, SaveTo};
use crate::error::EngineError;
use crate::raster::{Picture, decode_picture, encode_png, encode_png_with_text};

pub(super) fn recipe() -> Recipe {
    Recipe {
        version: RECIPE_VERSION,
        model: ModelRef {
            id: "tiny".to_owned(),
            sha256: Some("0123456789abcdef".repeat(4)),
            ..ModelRef::default()
        },
        prompt: "a red apple, 3d\nsecond line: ünï 雪".to_owned(),
        negative_prompt: "blurry, \"quoted\"".to_owned(),
        prompting: Prompting::default(),
        width_px: 128,
        height_px: 96,
        seed: u64::MAX - 3,
        steps: 20,
        guidance: 4.5,
        guidance_rescale: 0.7,
        sampler: "dpmpp_2m".to_owned(),
        schedule: "karras".to_owned(),
        knobs: Knobs::default(),
        network: NetworkOptions::default(),
        noise_source: NoiseKind::TorchCpu,
        precision: Precision::F32,
        add_ons: AddOns::default(),
        image_guidance: None,
        refiner: None,
        start: Some(Start {
            picture: "ab".repeat(32),
            strength: 0.75,
            inpaint: Some(Inpaint {
                mask: "cd".repeat(32),
                blur_px: 4,
                content: MaskedContent::Noise,
                area: InpaintArea::OnlyMasked { padding_px: 32 },
            }),
        }),
        sampler_revision: SAMPLER_REVISION,
        prompt_revision: PROMPT_REVISION,
        unknown: Map::new(),
    }
}

pub(crate) fn record() -> Record {
    Record {
        recipe: recipe(),
        outcome: Outcome {
            device: "cpu".to_owned(),
            build: "0.1.0".to_owned(),
            finished_unix_ms: 1_700_000_000_000,
            ..Outcome::default()
        },
    }
}

fn catalog() -> Catalog {
    Catalog {
        models: vec![ModelInfo {
            id: "tiny".to_owned(),
            name: "Tiny".to_owned(),
            description: String::new(),
            path: None,
            family: "stable_diffusion".to_owned(),
            size_bytes: 1,
            sha256: None,
            native_px: [128, 128],
            multiple_px: 8,
            context_tokens: 30,
            prediction: "epsilon".to_owned(),
            inpainting: false,
            edits: false,
            storage: Storage::default(),
            defaults: Defaults {
                steps: 20,
                guidance: 4.0,
                sampler: "ddim".to_owned(),
                schedule: "model".to_owned(),
                example_prompts: Vec::new(),
            },
        }],
        ..Catalog::default()
    }
}

fn picture() -> Picture {
    let rgba: Vec<u8> = (0..6 * 4 * 4).map(|at| (at * 7) as u8).collect();
    Picture::new(6, 4, rgba).unwrap()
}

#[test]
fn json_round_trip_keeps_everything() {
    assert_eq!(Recipe::from_json(&recipe().to_json()).unwrap(), recipe());
    assert_eq!(Record::from_json(&record().to_json()).unwrap(), record());
    assert_eq!(Recipe::from_json(&record().to_json()).unwrap(), recipe());
}

#[test]
fn knobs_at_rest_take_no_room_and_typed_levels_set_the_steps() {
    let value: Value = serde_json::from_str(&recipe().to_json()).unwrap();
    assert_eq!(value["knobs"], serde_json::json!({}));
    let mut older = value;
    older.as_object_mut().unwrap().remove("knobs");
    assert_eq!(Recipe::from_json(&older.to_string()).unwrap(), recipe());

    let mut turned = recipe();
    turned.steps = 2;
    turned.start = None;
    turned.knobs = Knobs {
        eta: Some(0.25),
        s_churn: 3.0,
        s_tmin: 0.1,
        s_tmax: Some(10.0),
        s_noise: 1.003,
        rho: Some(4.0),
        step_noise: StepNoise::Brownian,
        sigmas: vec![14.6, 2.0, 0.0],
    };
    assert_eq!(Recipe::from_json(&turned.to_json()).unwrap(), turned);
    assert_eq!(fields(&turned), Vec::<String>::new());
}

#[test]
fn unknown_fields_survive_at_every_depth() {
    let mut value: Value = serde_json::from_str(&recipe().to_json()).unwrap();
    value["version"]["minor"] = 9.into();
    value["loras"] = serde_json::json!([{"name": "x"}]);
    value["start"]["resize"] = "crop".into();
    value["start"]["inpaint"]["soft"] = serde_json::json!({"edge": 3});
    value["model"]["vae"] = "other".into();
    value["knobs"]["curl"] = 0.5.into();
    let opened = Recipe::from_json(&value.to_string()).unwrap();
    let saved: Value = serde_json::from_str(&opened.to_json()).unwrap();
    assert_eq!(saved, value);
    // Also through a journal that serialises the struct itself.
    let journal = serde_json::to_string(&opened).unwrap();
    let back: Recipe = serde_json::from_str(&journal).unwrap();
    assert_eq!(back, opened);
    // A start picture that was removed does not come back with its unknown fields.
    let mut removed = opened;
    removed.start = None;
    let saved: Value = serde_json::from_str(&removed.to_json()).unwrap();
    assert!(saved.get("start").is_none());
    assert_eq!(saved["model"]["vae"], "other");
}

#[test]
fn newer_major_version_is_refused_and_older_revision_warned_of() {
    let mut value: Value = serde_json::from_str(&recipe().to_json()).unwrap();
    value["version"]["major"] = 2.into();
    let error = Recipe::from_json(&value.to_string()).unwrap_err();
    assert!(error.to_string().contains("newer version"), "{error}");
    value["version"]["major"] = 1.into();
    value["sampler_revision"] = 0.into();
    let mut old = Recipe::from_json(&value.to_string()).unwrap();
    assert!(old.revision_warnings()[0].contains("older revision"));
    assert_eq!(old.adopt_revisions().len(), 1);
    assert!(old.revision_warnings().is_empty());
    for bad in ["", "[1]", "{", "{\"steps\": \"many\"}", "null"] {
        assert!(Recipe::from_json(bad).is_err(), "{bad}");
    }
    let long = format!("\"{}\"", "x".repeat(MAX_JSON_BYTES));
    assert!(Recipe::from_json(&long).is_err());
    let deep = "[".repeat(1_000_000);
    assert!(Recipe::from_json(&deep).is_err());
}

fn fields(recipe: &Recipe) -> Vec<String> {
    recipe
        .problems(&catalog())
        .into_iter()
        .map(|problem| match problem {
            EngineError::InvalidRequest { field, .. } => field,
            other => other.code().to_owned(),
        })
        .collect()
}

#[test]
fn every_field_is_checked() {
    assert_eq!(fields(&recipe()), Vec::<String>::new());
    type Spoil = (&'static str, fn(&mut Recipe));
    let spoils: &[Spoil] = &[
        ("version", |r| r.version.major = 2),
        ("model_not_found", |r| r.model.id = "other".to_owned()),
        ("prompt", |r| r.prompt = "x".repeat(100_001)),
        ("width_px", |r| r.width_px = 15),
        ("height_px", |r| r.height_px = 8193),
        ("steps", |r| r.steps = 0),
        ("steps", |r| r.steps = 1001),
        ("guidance", |r| r.guidance = f64::NAN),
        ("guidance", |r| r.guidance = f64::INFINITY),
        ("guidance", |r| r.guidance = -0.5),
        ("guidance_rescale", |r| r.guidance_rescale = 1.01),
        ("sampler", |r| r.sampler = "Euler".to_owned()),
        ("schedule", |r| r.schedule = String::new()),
        ("knobs.eta", |r| r.knobs.eta = Some(1.01)),
        ("knobs.eta", |r| r.knobs.eta = Some(f64::NAN)),
        ("knobs.s_churn", |r| r.knobs.s_churn = -1.0),
        ("knobs.s_tmin", |r| r.knobs.s_tmin = f64::INFINITY),
        ("knobs.s_tmax", |r| r.knobs.s_tmax = Some(-1.0)),
        ("knobs.s_noise", |r| r.knobs.s_noise = 2.01),
        ("knobs.rho", |r| r.knobs.rho = Some(0.0)),
        ("knobs.sigmas", |r| r.knobs.sigmas = vec![0.0]),
        ("knobs.sigmas", |r| r.knobs.sigmas = vec![3.0, 0.0, 1.0]),
        ("knobs.sigmas", |r| r.knobs.sigmas = vec![3.0, 3.0]),
        ("knobs.sigmas", |r| r.knobs.sigmas = vec![3.0, f64::NAN]),
        ("knobs.sigmas", |r| r.knobs.sigmas = vec![1.0; 1002]),
        ("steps", |r| r.knobs.sigmas = vec![3.0, 1.0, 0.0]),
        ("network.guidance_interval.from", |r| {
            r.network.guidance_interval.from = f64::NAN;
        }),
        ("network.guidance_interval.until", |r| {
            r.network.guidance_interval.until = 1.01;
        }),
        ("network.guidance_interval.until", |r| {
            r.network.guidance_interval = GuidanceInterval {
                from: 0.6,
                until: 0.5,
            };
        }),
        ("network.reuse.deep_every", |r| {
            r.network.reuse.deep_every = 0
        }),
        ("network.reuse.deep_branch", |r| {
            r.network.reuse.deep_branch = 64;
        }),
        ("network.reuse.negative_every", |r| {
            r.network.reuse.negative_every = 21;
        }),
        ("network.tiles", |r| {
            r.network.tiles = DecodeTiles::Tiled { side_px: 64 };
        }),
        ("network.easy_cache.threshold", |r| {
            r.network.easy_cache.threshold = f64::NAN;
        }),
        ("network.easy_cache.from", |r| {
            r.network.easy_cache.from = -0.1;
        }),
        ("network.easy_cache.until", |r| {
            r.network.easy_cache.until = 0.1;
        }),
        ("network.clip_skip", |r| r.network.clip_skip = 0),
    ];
    for (field, spoil) in spoils {
        let mut spoiled = recipe();
        spoil(&mut spoiled);
        assert_eq!(fields(&spoiled), [*field]);
        assert!(spoiled.validate(&catalog()).is_err());
    }
    type SpoilStart = (&'static str, fn(&mut Start));
    let spoils: &[SpoilStart] = &[
        ("start.picture", |s| s.picture = "../x".to_owned()),
        ("start.strength", |s| s.strength = 0.0),
        ("start.strength", |s| s.strength = 1.0001),
        ("start.strength", |s| s.strength = f64::NAN),
        ("start.strength", |s| s.strength = 0.049),
    ];
    for (field, spoil) in spoils {
        let mut spoiled = recipe();
        spoil(spoiled.start.as_mut().unwrap());
        assert_eq!(fields(&spoiled), [*field]);
    }
    let mut spoiled = recipe();
    spoiled.start.as_mut().unwrap().inpaint = Some(Inpaint {
        mask: String::new(),
        blur_px: 65,
        content: MaskedContent::Fill,
        area: InpaintArea::OnlyMasked { padding_px: 257 },
    });
    assert_eq!(
        fields(&spoiled),
        [
            "start.inpaint.mask",
            "start.inpaint.blur_px",
            "start.inpaint.area.padding_px"
        ]
    );
}

#[test]
fn a_batch_may_not_run_out_of_seeds() {
    let mut request = Request {
        recipe: recipe(),
        count: 4,
        save_to: SaveTo::Library,
        blobs: Vec::new(),
        resumes: None,
    };
    assert_eq!(request.problems(&catalog()), []);
    request.count = 5;
    assert_eq!(request.problems(&catalog()).len(), 1);
    request.count = 0;
    assert!(request.validate(&catalog()).is_err());
}

#[test]
fn a_picture_file_carries_its_record() {
    let file = encode_png_with_record(&picture(), &record()).unwrap();
    assert_eq!(decode_picture(&file, "x").unwrap(), picture());
    let found = read_record(&file, "x").unwrap().unwrap();
    assert_eq!(found.record, record());
    assert_eq!(found.dialect, Dialect::Pentimento);
    assert_eq!((found.notes.len(), found.size_px), (0, [6, 4]));
    assert_eq!(
        read_record(&encode_png(&picture()).unwrap(), "x").unwrap(),
        None
    );
    assert_eq!(read_record(b"GIF89a", "x").unwrap(), None);
    for cut in 0..file.len() {
        drop(read_record(&file[..cut], "cut"));
    }
}

#[test]
fn a_broken_record_falls_back_to_the_short_text_and_says_so() {
    let short = "a cat\nSteps: 5, Sampler: Euler, CFG scale: 3, Seed: 9, Size: 64x64";
    let texts = [
        (PARAMETERS_KEYWORD, short.into()),
        (RECORD_KEYWORD, "{".into()),
    ];
    let file = encode_png_with_text(&picture(), &texts).unwrap();
    let found = read_record(&file, "x").unwrap().unwrap();
    assert_eq!(found.dialect, Dialect::A1111);
    assert_eq!(found.record.recipe.steps, 5);
    assert!(found.notes[0].contains("broken"));
    let file = encode_png_with_text(&picture(), &texts[1..]).unwrap();
    assert_eq!(read_record(&file, "x").unwrap_err().code(), "bad_file");
    // A newer record is refused even where the short text could be read.
    let newer = record().to_json().replace("\"major\":1", "\"major\":7");
    let texts = [
        (PARAMETERS_KEYWORD, short.into()),
        (RECORD_KEYWORD, newer.into()),
    ];
    let file = encode_png_with_text(&picture(), &texts).unwrap();
    assert!(
        read_record(&file, "x")
            .unwrap_err()
            .to_string()
            .contains("newer version")
    );
}

/// A PNG head and one chunk of that name, its length as claimed.
fn one_chunk(name: &[u8; 4], claimed: u32, body: &[u8]) -> Vec<u8> {
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    file.extend(claimed.to_be_bytes());
    file.extend(name);
    file.extend(body);
    file.extend([0; 4]);
    file
}

#[test]
fn hostile_text_chunks_are_bounded() {
    // 64 MiB of spaces in 64 KiB.
    let mut bomb = b"parameters\0\0".to_vec();
    let mut encoder = flate2::write::ZlibEncoder::new(&mut bomb, flate2::Compression::best());
    for _ in 0..64 {
        std::io::Write::write_all(&mut encoder, &vec![b' '; 1 << 20]).unwrap();
    }
    encoder.finish().unwrap();
    let file = one_chunk(b"zTXt", bomb.len() as u32, &bomb);
    assert_eq!(read_record(&file, "x").unwrap(), None);
    let text = png_text::read(std::io::Cursor::new(&file), &["parameters"]).unwrap();
    assert!(text.unwrap().problems[0].contains("too long"));
    // Lengths that promise 4 GiB.
    for name in [b"tEXt", b"iTXt", b"zTXt", b"IDAT", b"IHDR"] {
        let file = one_chunk(name, u32::MAX, b"parameters\0x");
        assert_eq!(read_record(&file, "x").unwrap(), None);
    }
    // Chunks without their inner parts.
    for body in [
        &b""[..],
        b"parameters",
        b"parameters\0",
        b"parameters\0\x01",
    ] {
        for name in [b"tEXt", b"iTXt", b"zTXt"] {
            let file = one_chunk(name, body.len() as u32, body);
            assert_eq!(read_record(&file, "x").unwrap(), None);
        }
    }
}
