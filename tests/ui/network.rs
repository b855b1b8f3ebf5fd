//! How the networks are run, in the window: rows that have no effect are not shown, what is chosen is submitted, and VAE
//! files are on offer where they fit.

use std::path::PathBuf;
use std::sync::Arc;

use egui_kittest::kittest::Queryable as _;
use pentimento::studio::draft::{DraftEdit, Sampling};
use pentimento_engine::catalog::Catalog;
use pentimento_engine::catalog::decoders::{AutoencoderInfo, AutoencoderKind};
use pentimento_engine::event::Event;
use pentimento_engine::latent::LatentSpace;
use pentimento_engine::recipe::{FinalDecoder, VaeChoice};
use support::fake_engine::catalog;

use crate::harness::TestStudio;

fn advanced() -> TestStudio {
    let mut studio = TestStudio::new();
    studio.window.get_by_label("Advanced").click();
    studio.run();
    studio
}

fn change(studio: &mut TestStudio, change: impl FnOnce(&mut Sampling)) {
    let mut sampling = studio.window.state().studio().draft.sampling.clone();
    change(&mut sampling);
    let command = DraftEdit::Sampling(Box::new(sampling));
    studio.window.state_mut().send(command);
    studio.run();
}

fn has_slider(studio: &TestStudio, label: &str) -> bool {
    let role = egui::Role::Slider;
    studio.window.query_by_role_and_label(role, label).is_some()
}

#[test]
fn rows_without_effect_are_not_shown() {
    let mut studio = advanced();
    assert!(has_slider(&studio, "CLIP skip") && has_slider(&studio, "Guided from"));
    assert!(!has_slider(&studio, "Cache branch"));
    change(&mut studio, |sampling| {
        sampling.network.reuse.deep_every = 3
    });
    assert!(has_slider(&studio, "Cache branch"));
    assert!(has_slider(&studio, "EasyCache") && !has_slider(&studio, "EasyCache from"));
    change(&mut studio, |sampling| {
        sampling.network.easy_cache.threshold = 0.2;
    });
    assert!(has_slider(&studio, "EasyCache from") && has_slider(&studio, "EasyCache until"));
    change(&mut studio, |sampling| sampling.guidance = 1.0);
    for label in ["Guided from", "Guided until", "Negative every"] {
        assert!(!has_slider(&studio, label), "{label}");
    }
}

#[test]
fn a_job_takes_the_options_along() {
    let mut studio = advanced();
    change(&mut studio, |sampling| {
        sampling.network.clip_skip = 2;
        sampling.network.guidance_interval.until = 0.8;
    });
    studio.generate();
    let script = studio.engine.script();
    let network = &script.submitted[0].recipe.network;
    assert_eq!(
        (network.clip_skip, network.guidance_interval.until),
        (2, 0.8)
    );
    assert_eq!(network.vae, VaeChoice::Automatic);
}

/// The usual catalogue with a VAE that fits, one that does not, and a tiny decoder.
fn with_files() -> Catalog {
    let mut catalog = catalog();
    for model in &mut catalog.models {
        model.storage.latents.channels = 4;
        model.storage.latents.space = Some(LatentSpace::StableDiffusion);
    }
    for (id, kind, latent_channels) in [
        ("fits", AutoencoderKind::Full, 4),
        ("wide", AutoencoderKind::Full, 16),
        ("taesd_decoder", AutoencoderKind::Tiny, 4),
    ] {
        catalog.autoencoders.push(AutoencoderInfo {
            id: id.to_owned(),
            path: PathBuf::from(format!("/models/{id}.safetensors")),
            kind,
            latent_channels,
            factor: 8,
            space: Some(LatentSpace::StableDiffusion),
            size_bytes: 1,
            changed: 0,
            sha256: None,
        });
    }
    catalog
}

#[test]
fn vae_files_and_the_tiny_decoder_are_on_offer_where_they_fit() {
    let mut studio = advanced();
    assert!(
        studio.window.query_by_label("VAE").is_none(),
        "there is no choice"
    );
    studio.engine.script().catalog = Arc::new(with_files());
    studio.engine.say(Event::CatalogChanged);
    studio.run();
    let role = egui::Role::ComboBox;
    studio.window.get_by_role_and_label(role, "VAE").click();
    studio.run();
    let entry = egui::Role::ListBoxOption;
    let wide = studio.window.query_by_role_and_label(entry, "wide");
    assert!(wide.is_none(), "of other latents");
    studio.window.get_by_role_and_label(entry, "fits").click();
    studio.run();
    let tiny = "Last decoder: Tiny (quick)";
    studio.window.get_by_label(tiny).scroll_to_me();
    studio.run();
    studio.window.get_by_label(tiny).click();
    studio.run();
    studio.generate();
    let script = studio.engine.script();
    let network = &script.submitted[0].recipe.network;
    assert!(matches!(&network.vae, VaeChoice::File(file) if file.id == "fits"));
    assert_eq!(network.decoder, FinalDecoder::Tiny { file: None });
}

#[test]
fn the_forecast_stands_below_the_button_and_warns() {
    use pentimento_engine::forecast::Forecast;
    let mut studio = TestStudio::new();
    let fits = Forecast {
        memory_bytes: 1 << 30,
        available_bytes: Some(2 << 30),
        secs: Some(4.0),
        measured: true,
        load_secs: None,
        ..Forecast::default()
    };
    let shown = |studio: &mut TestStudio, forecast: Forecast| {
        studio.engine.script().forecast = forecast;
        studio.engine.say(Event::CatalogChanged);
        studio.run();
    };
    shown(&mut studio, fits);
    studio.window.get_by_label_contains("about 4 s · 1.0 GiB");
    let large = Forecast {
        memory_bytes: 3 << 30,
        ..fits
    };
    shown(&mut studio, large);
    studio
        .window
        .get_by_label_contains("3.0 GiB: more than is free");
    // Two pictures take twice as long.
    studio.window.state_mut().send(DraftEdit::Count(2));
    studio.run();
    studio.window.get_by_label_contains("about 8 s");
}
