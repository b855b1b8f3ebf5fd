//! The grammar of `parameters`, both ways.

use super::super::super::StepNoise;
use super::super::super::tests::record;
use super::*;
use crate::recipe::{
    AddOnKind, DecodeTiles, EasyCacheOptions, FinalDecoder, GuidanceInterval, Knobs, ModelRef,
    NetworkOptions, Refiner, Reuse, VaeChoice,
};

#[test]
fn writes_the_documented_order_and_quotes() {
    let text = write(&record());
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "a red apple, 3d");
    assert_eq!(lines[1], "second line: ünï 雪");
    assert_eq!(lines[2], "Negative prompt: blurry, \"quoted\"");
    assert_eq!(
        lines[3],
        "Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 4.5, \
         Seed: 18446744073709551612, Size: 128x96, Model hash: 0123456789, Model: tiny, \
         Denoising strength: 0.75, RNG: CPU, CFG Rescale: 0.7, Mask blur: 4, \
         Inpaint area: Only masked, Masked area padding: 32, Masked content: latent noise, \
         Version: Pentimento 0.1.0"
    );
    let mut named = record();
    named.outcome.build = "pentimento 0.1.0".to_owned();
    assert_eq!(write(&named), text);
    assert_eq!(quoted("a, b: c".to_owned()), "\"a, b: c\"");
}

#[test]
fn what_was_written_reads_back() {
    let mut record = record();
    record.recipe.model.id = "my: model, v2".to_owned();
    let (recipe, notes) = read(&write(&record), [1, 1]).unwrap();
    let ours = &record.recipe;
    assert_eq!(recipe.prompt, ours.prompt);
    assert_eq!(recipe.negative_prompt, ours.negative_prompt);
    assert_eq!(recipe.model.id, ours.model.id);
    assert_eq!(
        (
            recipe.steps,
            recipe.seed,
            recipe.guidance,
            recipe.guidance_rescale
        ),
        (ours.steps, ours.seed, ours.guidance, ours.guidance_rescale)
    );
    assert_eq!((recipe.width_px, recipe.height_px), (128, 96));
    assert_eq!(
        (recipe.sampler.as_str(), recipe.schedule.as_str()),
        ("dpmpp_2m", "karras")
    );
    assert_eq!(recipe.noise_source, NoiseKind::TorchCpu);
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].starts_with("Denoising strength: 0.75"));
}

#[test]
fn every_sampler_and_schedule_survives() {
    for (sampler, ..) in SAMPLERS {
        for (schedule, _) in SCHEDULES {
            let mut record = record();
            record.recipe.sampler = (*sampler).to_owned();
            record.recipe.schedule = (*schedule).to_owned();
            let (recipe, _) = read(&write(&record), [1, 1]).unwrap();
            assert_eq!(
                (recipe.sampler, recipe.schedule),
                (record.recipe.sampler, record.recipe.schedule)
            );
        }
    }
}

#[test]
fn network_options_survive_under_a1111s_keys() {
    let mut record = record();
    record.recipe.network = NetworkOptions {
        parts_from: None,
        guidance_interval: GuidanceInterval {
            from: 0.2,
            until: 0.75,
        },
        reuse: Reuse {
            deep_every: 3,
            deep_branch: 1,
            negative_every: 2,
        },
        easy_cache: EasyCacheOptions {
            threshold: 0.2,
            from: 0.15,
            until: 0.9,
        },
        clip_skip: 2,
        vae: VaeChoice::File(ModelRef {
            id: "mse: v2".to_owned(),
            sha256: Some("ab".repeat(32)),
            short_hash: None,
        }),
        decoder: FinalDecoder::Tiny { file: None },
        tiles: DecodeTiles::Tiled { side_px: 1024 },
        prediction: None,
    };
    let text = write(&record);
    assert!(
        text.contains(
            "Clip skip: 2, Decoder: tiny, Decode tiles: 1024, Skip Early CFG: 0.1750, Guidance interval: 0.2-0.75, \
             DeepCache interval: 3, DeepCache branch: 1, Negative prompt every: 2, \
             EasyCache threshold: 0.2, EasyCache part: 0.15-0.9,"
        ),
        "{text}"
    );
    assert!(
        text.contains("Model: tiny, VAE hash: ababababab, VAE: \"mse: v2\","),
        "{text}"
    );
    let mut found = read(&text, [1, 1]).unwrap().0.network;
    let VaeChoice::File(vae) = &mut found.vae else {
        panic!("{found:?}");
    };
    assert_eq!(vae.short_hash.take().as_deref(), Some("ababababab"));
    vae.sha256 = Some("ab".repeat(32));
    assert_eq!(found, record.recipe.network);
    // A1111's own key means the same steps: 0 to 3 of 20 are skipped.
    let theirs = text.replace("Guidance interval: 0.2-0.75, ", "");
    let read_back = read(&theirs, [1, 1]).unwrap().0.network.guidance_interval;
    assert_eq!((read_back.skipped(20), read_back.until), (4, 1.0));
    let settings = "Steps: 10, Sampler: Euler, CFG scale: 7, Seed: 1, Skip Early CFG: ";
    for (value, skipped) in [("0", 0), ("0.05", 1), ("0.1", 2), ("1", 10)] {
        let (recipe, notes) = read(&format!("{settings}{value}"), [8, 8]).unwrap();
        let got = recipe.network.guidance_interval.skipped(10);
        assert_eq!((got, notes.len()), (skipped, 0), "{value}: {notes:?}");
    }
    let (_, notes) = read(&format!("{settings}-1, Clip skip: two"), [8, 8]).unwrap();
    assert_eq!(notes.len(), 2, "{notes:?}");
}

#[test]
fn knobs_survive_under_a1111s_keys() {
    let mut record = record();
    record.recipe.sampler = "dpmpp_sde".to_owned();
    record.recipe.knobs = Knobs {
        eta: Some(0.5),
        s_noise: 1.05,
        rho: Some(5.0),
        sigmas: vec![14.6, 2.5, 0.0],
        ..Knobs::default()
    };
    let text = write(&record);
    assert!(
        text.contains(
            "Eta: 0.5, Sigma noise: 1.05, Schedule rho: 5, Step noise: fresh, Sigmas: 14.6 2.5 0,"
        ),
        "{text}"
    );
    assert_eq!(read(&text, [1, 1]).unwrap().0.knobs, record.recipe.knobs);
    record.recipe.knobs.step_noise = StepNoise::Brownian;
    let text = write(&record);
    assert!(!text.contains("Step noise"));
    assert_eq!(read(&text, [1, 1]).unwrap().0.knobs, record.recipe.knobs);

    record.recipe.sampler = "euler".to_owned();
    record.recipe.knobs = Knobs {
        s_churn: 10.0,
        s_tmin: 0.25,
        s_tmax: Some(20.0),
        ..Knobs::default()
    };
    let text = write(&record);
    assert!(
        text.contains("Sigma churn: 10, Sigma tmin: 0.25, Sigma tmax: 20,"),
        "{text}"
    );
    assert_eq!(read(&text, [1, 1]).unwrap().0.knobs, record.recipe.knobs);

    // What the sampler does not use is neither written nor kept.
    record.recipe.knobs.eta = Some(0.5);
    assert!(!write(&record).contains("Eta"));
    let settings = "Steps: 20, Sampler: DDIM, CFG scale: 7, Seed: 1, Eta: 0.7, Eta DDIM: 0.4";
    let (recipe, notes) = read(settings, [8, 8]).unwrap();
    assert_eq!((recipe.knobs.eta, notes.len()), (Some(0.4), 0));
    let settings = "Steps: 20, Sampler: DPM++ SDE, CFG scale: 7, Seed: 1, Eta: much";
    let (recipe, notes) = read(settings, [8, 8]).unwrap();
    assert_eq!(recipe.knobs.step_noise, StepNoise::Brownian);
    assert_eq!((recipe.knobs.eta, notes.len()), (None, 1), "{notes:?}");
}

fn sampler_of(settings: &str) -> (String, String, Vec<String>) {
    let text = format!("x\nSteps: 20, CFG scale: 7, Seed: 1, {settings}");
    let (recipe, notes) = read(&text, [8, 8]).unwrap();
    (recipe.sampler, recipe.schedule, notes)
}

#[test]
fn older_and_foreign_sampler_names() {
    let cases = [
        ("Sampler: DPM++ 2M Karras", "dpmpp_2m", "karras"),
        (
            "Sampler: DPM++ 2M SDE Exponential",
            "dpmpp_2m_sde",
            "exponential",
        ),
        ("Sampler: Euler a", "euler_a", "normal"),
        ("Sampler: Euler, Schedule type: Uniform", "euler", "normal"),
        ("Sampler: DDIM, Schedule type: Uniform", "ddim", "model"),
        ("Sampler: UniPC, Version: v1.6.0", "uni_pc", "model"),
        ("Sampler: DPM2 a Karras", "dpm_2_ancestral", "karras"),
        ("Sampler: LMS Karras, Version: v1.6.0", "lms", "karras"),
        ("Sampler: LMS", "lms", "normal"),
        ("Sampler: DPM++ 2S a Karras", "dpmpp_2s_ancestral", "karras"),
        ("Sampler: DPM++ SDE Karras", "dpmpp_sde", "karras"),
        ("Sampler: DPM++ 3M SDE", "dpmpp_3m_sde", "exponential"),
        ("Sampler: Restart", "restart", "karras"),
        ("Sampler: Euler SGM Uniform", "euler", "sgm_uniform"),
        (
            "Sampler: DPM++ 2M, Schedule type: Automatic",
            "dpmpp_2m",
            "karras",
        ),
        ("Sampler: DPM++ 2M, Version: v1.6.0", "dpmpp_2m", "normal"),
        (
            "Sampler: DPM++ 2M, Schedule type: SGM Uniform",
            "dpmpp_2m",
            "sgm_uniform",
        ),
    ];
    for (settings, sampler, schedule) in cases {
        let (got, got_schedule, notes) = sampler_of(settings);
        assert_eq!(
            (got.as_str(), got_schedule.as_str()),
            (sampler, schedule),
            "{settings}"
        );
        assert_eq!(notes, Vec::<String>::new());
    }
    let (_, schedule, notes) = sampler_of("Sampler: Restart, Schedule type: Beta");
    assert_eq!((schedule.as_str(), notes.len()), ("beta", 1));
    let (sampler, schedule, notes) = sampler_of("Sampler: DPM fast, Schedule type: DDIM");
    assert_eq!(
        (sampler.as_str(), schedule.as_str()),
        ("dpmpp_2m", "karras")
    );
    assert_eq!(notes.len(), 2);
}

#[test]
fn a_real_looking_text_with_extras() {
    let text = "masterpiece, (cat:1.2) <lora:fur:0.8>\nNegative prompt: dog,\nlowres\n\
        Steps: 30, Sampler: Euler a, CFG scale: 7, Seed: 3, Size: 512x768, \
        Model hash: abcdef0123, Model: dream, Clip skip: 2, ENSD: 31337, \
        Lora hashes: \"fur: 1234, a: b\", Hires upscale: 2, Version: v1.9.4";
    let (recipe, notes) = read(text, [9, 9]).unwrap();
    assert_eq!(recipe.prompt, "masterpiece, (cat:1.2) <lora:fur:0.8>");
    assert_eq!(recipe.negative_prompt, "dog,\nlowres");
    assert_eq!((recipe.width_px, recipe.height_px), (512, 768));
    assert_eq!(recipe.noise_source, NoiseKind::Philox);
    assert_eq!(recipe.model.id, "dream");
    let noted = |word: &str| notes.iter().any(|note| note.starts_with(word));
    assert_eq!(recipe.network.clip_skip, 2);
    for word in ["ENSD", "Hires upscale"] {
        assert!(noted(word), "{word} in {notes:?}");
    }
    assert!(!noted("Lora hashes") && !noted("Version") && notes.len() == 2);
    assert!(recipe.add_ons.hashes.is_empty(), "four digits tell nothing");
}

#[test]
fn civitais_hashes_are_an_object() {
    let text = "a <lora:fur:0.8> x\nSteps: 30, Sampler: Euler a, CFG scale: 7, Seed: 3, \
        Lora hashes: \"fur: 0123456789AB\", TI hashes: \"bad, worse: ffffffffff\", \
        Hashes: {\"model\": \"aaaaaaaaaa\", \"lora:ink\": \"bbbbbbbbbb\", \"embed:ink\": \"cccccccccc\"}, Size: 64x96, Version: v1.9.4";
    let (recipe, notes) = read(text, [9, 9]).unwrap();
    assert_eq!(recipe.height_px, 96, "what follows the object is read");
    assert!(notes.is_empty(), "{notes:?}");
    let lora = |name: &str| recipe.add_ons.pinned(AddOnKind::Lora, name);
    let embedding = |name: &str| recipe.add_ons.pinned(AddOnKind::Embedding, name);
    assert_eq!(lora("fur"), Some("0123456789ab"));
    assert_eq!(embedding("worse"), Some("ffffffffff"));
    assert_eq!(lora("worse"), None);
    assert_eq!(lora("ink"), Some("bbbbbbbbbb"));
    assert_eq!(
        embedding("ink"),
        Some("cccccccccc"),
        "a namesake of another kind"
    );
    assert_eq!(lora("model"), None);
}

#[test]
fn what_is_no_recipe_is_none_and_nothing_panics() {
    for text in [
        "",
        "just a caption",
        "a: b, c: d",
        "{\"sui_image_params\": {\"Steps\": 3, \"a b\": 1, \"c d\": 2}}",
    ] {
        assert_eq!(read(text, [8, 8]), None, "{text}");
    }
    let whole = write(&record());
    for (cut, _) in whole.char_indices() {
        drop(read(&whole[..cut], [8, 8]));
        drop(read(&whole[cut..], [8, 8]));
    }
    let (recipe, notes) = read(
        "x\nSteps: many, Seed: -1, CFG scale: 1e999, Size: axb, Sampler: \"",
        [8, 8],
    )
    .unwrap();
    assert_eq!((recipe.steps, recipe.width_px), (20, 8));
    assert!(notes.len() >= 3);
    let started = std::time::Instant::now();
    for hostile in [
        "a b: \"",
        "a b",
        "\"\\",
        "aa: ,",
        "a:",
        "Hashes: {\"a\": \"",
    ] {
        drop(read(&hostile.repeat(1 << 18), [8, 8]));
    }
    assert!(started.elapsed().as_secs() < 2);
}

#[test]
fn a_refiner_is_written_and_read_with_its_hash_and_switch() {
    let mut record = record();
    let sha256 = "7440042bbdc8a24813002c09b6b69b64dc90fded4472613437b7f55f9b7d9c5f";
    record.recipe.refiner = Some(Refiner {
        model: ModelRef {
            id: "sd_xl_refiner_1.0".to_owned(),
            sha256: Some(sha256.to_owned()),
            short_hash: None,
        },
        switch_at: 0.75,
        parts_from: None,
    });
    let text = write(&record);
    let pairs = "Refiner: sd_xl_refiner_1.0 [7440042bbd], Refiner switch at: 0.75";
    assert!(text.contains(pairs), "{text}");
    let (recipe, notes) = read(&text, [64, 64]).expect("settings");
    let refiner = recipe.refiner.expect("refiner");
    assert_eq!(refiner.model.id, "sd_xl_refiner_1.0");
    assert_eq!(refiner.model.short_hash.as_deref(), Some("7440042bbd"));
    assert_eq!(refiner.switch_at, 0.75);
    assert!(
        !notes.iter().any(|note| note.contains("Refiner")),
        "{notes:?}"
    );

    let odd = text.replace("switch at: 0.75", "switch at: soon");
    let (recipe, notes) = read(&odd, [64, 64]).expect("settings");
    assert_eq!(recipe.refiner.expect("refiner").switch_at, 0.8);
    assert!(
        notes
            .iter()
            .any(|note| note.starts_with("Refiner switch at"))
    );
}

#[test]
fn image_guidance_is_written_and_read() {
    let mut record = record();
    record.recipe.image_guidance = Some(1.25);
    let text = write(&record);
    assert!(text.contains("Image CFG scale: 1.25"), "{text}");
    let (recipe, _) = read(&text, [64, 64]).expect("settings");
    assert_eq!(recipe.image_guidance, Some(1.25));
}
