//! Little memory: weights are let go of and read again, and the pixels are the same.

use pentimento_engine::backend::Backend;
use pentimento_engine::cancel::CancelToken;
use pentimento_engine::client::EngineClient;
use pentimento_engine::families::identify;
use pentimento_engine::families::model::{Model, ModelPart, NetworkInput};
use pentimento_engine::latent::Latents;
use pentimento_engine::prompt::Reading;
use pentimento_engine::raster::Picture;
use pentimento_engine::recipe::{ModelRef, Precision, Recipe, Refiner};
use pentimento_engine::residency::Residency;
use pentimento_engine::weights::files::ModelFiles;
use support::places::{fixture, model};
use support::running::{Options, Running, recipe, request};

const SPARING: [Residency; 3] = [
    Residency::Networks,
    Residency::OneAtATime,
    Residency::LayerByLayer,
];

fn running(memory_bytes: Option<u64>) -> Running {
    Running::with(Options {
        model_folders: vec![fixture("models"), fixture("lora")],
        memory_bytes,
        ..Options::default()
    })
}

fn refined(sampler: &str) -> Recipe {
    Recipe {
        refiner: Some(Refiner {
            model: ModelRef {
                id: "xl_refiner".to_owned(),
                ..ModelRef::default()
            },
            switch_at: 0.5,
            parts_from: None,
        }),
        steps: 4,
        sampler: sampler.to_owned(),
        ..recipe("xl")
    }
}

/// One that has a little less memory than the next quicker way needs.
fn running_in(wanted: Residency, recipe: &Recipe) -> Running {
    let mut bytes = None;
    loop {
        let running = running(bytes);
        running.wait_for_model(&recipe.model.id);
        if let Some(refiner) = &recipe.refiner {
            running.wait_for_model(&refiner.model.id);
        }
        let forecast = running.engine.forecast(recipe, 1).unwrap();
        if forecast.residency == wanted {
            return running;
        }
        assert!(
            forecast.residency < wanted && bytes.is_none_or(|bytes| forecast.memory_bytes < bytes),
            "{forecast:?}"
        );
        bytes = Some(forecast.memory_bytes - 1);
    }
}

fn two(running: &Running, recipe: &Recipe) -> Vec<Picture> {
    let mut wanted = request(recipe.clone());
    wanted.count = 2;
    if let Some(refiner) = &recipe.refiner {
        running.wait_for_model(&refiner.model.id);
    }
    running.pictures(wanted).unwrap()
}

#[test]
fn a_refiner_takes_the_first_models_place_and_gives_it_back() {
    let rich = running(None);
    // Restart goes back to high noise: the first model is wanted again after the second.
    for sampler in ["euler", "restart"] {
        let recipe = refined(sampler);
        let wanted = two(&rich, &recipe);
        assert!(wanted[0] != wanted[1], "two seeds");
        for residency in SPARING {
            let poor = running_in(residency, &recipe);
            assert!(two(&poor, &recipe) == wanted, "{sampler} {residency:?}");
            assert!(
                two(&poor, &recipe) == wanted,
                "{sampler} {residency:?}, again"
            );
        }
    }
}

#[test]
fn add_ons_come_back_with_the_weights() {
    let rich = running(None);
    let prompted = |prompt: &str| Recipe {
        prompt: prompt.to_owned(),
        sampler: "restart".to_owned(),
        refiner: Some(Refiner {
            model: ModelRef {
                id: "sd1".to_owned(),
                ..ModelRef::default()
            },
            switch_at: 0.5,
            parts_from: None,
        }),
        steps: 4,
        ..recipe("sd1")
    };
    let plain = two(&rich, &prompted("a red apple"));
    let with = prompted("a red apple<lora:kohya:0.8>");
    let changed = two(&rich, &with);
    assert!(changed != plain);
    for residency in SPARING {
        let poor = running_in(residency, &with);
        assert!(two(&poor, &with) == changed, "{residency:?}");
        let gone = two(&poor, &prompted("a red apple"));
        assert!(gone == plain, "{residency:?}: gone again");
        assert!(two(&poor, &with) == changed, "{residency:?}: and back");
    }
}

#[test]
fn what_is_set_aside_is_read_again_when_it_is_needed() {
    let files = ModelFiles::folder(model("sd1"));
    let compute = Backend::open("cpu", Some(1))
        .unwrap()
        .compute(Precision::F32);
    let cancel = CancelToken::default();
    let model = (identify(&files).unwrap().load)(&files, &compute, &cancel).unwrap();
    let parts = [ModelPart::TextEncoders, ModelPart::Network];
    assert_eq!(parts.map(|part| model.has(part)), [false; 2], "opened");
    let predicted = |model: &dyn Model| {
        let prompt = model.encode_prompt("a red apple", Reading::PLAIN, &cancel);
        let values = (0..4 * 64).map(|i| (i as f32 * 0.7).sin()).collect();
        let latents = Latents::from_values(values, [1, 4, 8, 8], &candle_core::Device::Cpu);
        let input = NetworkInput {
            latents: &latents.unwrap(),
            extra: None,
            timestep: 500.0,
            size_px: [64; 2],
            conditions: &[&prompt.unwrap()],
            guidance: None,
            deep: None,
            replays: None,
        };
        let output = model.predict(&input, &cancel).unwrap();
        output[0].to_values().unwrap()
    };
    let first = predicted(model.as_ref());
    assert_eq!(parts.map(|part| model.has(part)), [true; 2], "needed");
    model.set_aside(ModelPart::Network);
    assert_eq!(parts.map(|part| model.has(part)), [true, false]);
    model.set_aside(ModelPart::TextEncoders);
    assert_eq!(parts.map(|part| model.has(part)), [false; 2]);
    assert_eq!(predicted(model.as_ref()), first);
    model.keep(false);
    assert_eq!(predicted(model.as_ref()), first, "layer by layer");
    assert_eq!(parts.map(|part| model.has(part)), [false; 2]);
    model.keep(true);
    model.fetch(ModelPart::Network, &cancel).unwrap();
    assert!(model.has(ModelPart::Network));
    assert_eq!(predicted(model.as_ref()), first);
}
