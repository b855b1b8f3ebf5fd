//! Add-ons against the lycoris package, peft and diffusers (`fixtures/lora/make.py`, `make_orthogonal.py`): merged weights
//! within 1e-5 of their scale (f32 sums of a few products in another order), what the networks give
//! with them within 1e-4; and taken off again, the model's own bits.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use candle_core::Device;
use pentimento_engine::cancel::CancelToken;
use pentimento_engine::error::EngineError;
use pentimento_engine::families::identify;
use pentimento_engine::families::model::{Model, NetworkInput};
use pentimento_engine::latent::Latents;
use pentimento_engine::nn::{Act, Compute};
use pentimento_engine::prompt::Reading;
use pentimento_engine::weights::files::ModelFiles;
use pentimento_engine::weights::lora::{Adapter, AddOnFile, Strengths};
use support::compare::expect_near;
use support::fixture::{Fixture, Recorded};
use support::places;

use crate::networks::paths;

const MERGED: f64 = 1e-5;
const NETWORKS: f64 = 1e-4;

type Cases = BTreeMap<String, Vec<(String, f64, f64)>>;

fn cases(file: &str) -> Cases {
    let path = places::fixture(&format!("lora/{file}"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn add_on(file: &str) -> PathBuf {
    places::fixture(&format!("lora/{file}"))
}

fn adapter(path: PathBuf, unet: f64, text: f64) -> Adapter {
    let identity = path.to_string_lossy().into_owned();
    let file = AddOnFile::open(&path).unwrap_or_else(|error| panic!("{error}"));
    Adapter {
        file: Arc::new(file),
        identity,
        strengths: Strengths { unet, text },
    }
}

fn set(case: &[(String, f64, f64)]) -> Vec<Adapter> {
    let each = case.iter();
    each.map(|(name, unet, text)| adapter(add_on(&format!("{name}.safetensors")), *unet, *text))
        .collect()
}

fn load(compute: &Compute) -> Box<dyn Model> {
    let files = ModelFiles::folder(places::model("sd1"));
    let family = identify(&files).unwrap();
    (family.load)(&files, compute, &CancelToken::default()).unwrap()
}

#[test]
fn merged_weights_are_the_references() {
    let checked = compare("cases.json", "merged.safetensors");
    assert!(checked > 60, "{checked} tensors were compared");
}

/// Turning outputs and changes that depend on the weight itself; the rotations of both sides are solved
/// for in their own ways.
#[test]
fn orthogonal_and_general_ones_are_the_references() {
    let checked = compare("orthogonal_cases.json", "orthogonal_merged.safetensors");
    assert_eq!(checked, 15);
}

fn compare(cases_file: &str, merged_file: &str) -> usize {
    let recorded = Fixture::open(&format!("lora/{merged_file}"));
    let model = load(&paths()[0]);
    let cancel = CancelToken::default();
    let mut checked = 0;
    for (case, files) in cases(cases_file) {
        let set = set(&files);
        for name in recorded.names() {
            let Some((which, place)) = name.split_once('/') else {
                continue;
            };
            if which != case {
                continue;
            }
            let (part, tensor) = place.split_once('/').unwrap();
            let ours = model.adaptable().merged(part, tensor, &set, &cancel);
            let ours = ours
                .unwrap()
                .unwrap_or_else(|| panic!("{name}: no such tensor"));
            expect_near(&name, &ours, &recorded.f32(&name).values, MERGED);
            checked += 1;
        }
    }
    checked
}

fn act(recorded: &Recorded) -> Act {
    Act::from_values(recorded.values.clone(), &recorded.shape, &Device::Cpu).unwrap()
}

/// Hidden states and prediction for a latent.
fn outputs(model: &dyn Model, x: &Recorded) -> [Vec<f32>; 2] {
    let cancel = CancelToken::default();
    let condition = model
        .encode_prompt("a red apple, 3d", Reading::default(), &cancel)
        .unwrap();
    let latents = Latents::new(act(x).to_tensor().unwrap());
    let input = NetworkInput {
        latents: &latents,
        extra: None,
        timestep: 500.0,
        conditions: &[&condition],
        guidance: None,
        deep: None,
        replays: None,
        size_px: [64, 64],
    };
    let y = model.predict(&input, &cancel).unwrap().remove(0);
    let numbers = |tensor: &candle_core::Tensor| tensor.flatten_all().unwrap().to_vec1().unwrap();
    [
        numbers(&condition.tokens.to_tensor().unwrap()),
        numbers(y.tensor()),
    ]
}

#[test]
fn networks_with_add_ons_are_the_references_and_without_them_their_own() {
    let recorded = Fixture::open("lora/merged.safetensors");
    let cases = cases("cases.json");
    let cancel = CancelToken::default();
    for compute in paths() {
        let mut model = load(&compute);
        let x = recorded.f32("out/kohya/x");
        let own = outputs(model.as_ref(), &x);
        for case in ["kohya", "lokr", "both"] {
            let adapted = model.adapt(&set(&cases[case]), &cancel).unwrap();
            assert!(adapted.unet_changed, "{case}");
            let x = recorded.f32(&format!("out/{case}/x"));
            let [hidden, y] = outputs(model.as_ref(), &x);
            let want = |name: &str| recorded.f32(&format!("out/{case}/{name}")).values;
            expect_near(&format!("{case}: text"), &hidden, &want("hidden"), NETWORKS);
            expect_near(&format!("{case}: unet"), &y, &want("y"), NETWORKS);
            let again = model.adapt(&set(&cases[case]), &cancel).unwrap();
            assert!(!again.has_changed(), "{case}: the same set touches nothing");
        }
        assert!(model.adapt(&[], &cancel).unwrap().has_changed());
        assert_eq!(outputs(model.as_ref(), &x), own, "taken off, its own bits");
    }
}

#[test]
fn a_pickled_add_on_does_as_well() {
    let recorded = Fixture::open("lora/merged.safetensors");
    let pickled = adapter(add_on("kohya.pt"), 0.8, 0.5);
    let model = load(&paths()[0]);
    for name in recorded.names() {
        if let Some(place) = name.strip_prefix("kohya/") {
            let (part, tensor) = place.split_once('/').unwrap();
            let set = std::slice::from_ref(&pickled);
            let ours = model
                .adaptable()
                .merged(part, tensor, set, &CancelToken::default());
            expect_near(
                &name,
                &ours.unwrap().unwrap(),
                &recorded.f32(&name).values,
                MERGED,
            );
        }
    }
}

#[test]
fn what_an_add_on_has_for_other_models_is_said() {
    let cancel = CancelToken::default();
    let mut model = load(&paths()[0]);
    let kohya = adapter(add_on("kohya.safetensors"), 1.0, 1.0);
    let adapted = model.adapt(&[kohya], &cancel).unwrap();
    assert_eq!(adapted.notes.len(), 1, "{:?}", adapted.notes);
    assert!(
        adapted.notes[0].contains("1 of 10 modules"),
        "{:?}",
        adapted.notes
    );
    // A strength of 0 applies nothing.
    let nothing = adapter(add_on("kohya.safetensors"), 0.0, 0.0);
    let adapted = model
        .adapt(std::slice::from_ref(&nothing), &cancel)
        .unwrap();
    assert!(adapted.has_changed(), "it was there before");
    assert!(!model.adapt(&[nothing], &cancel).unwrap().has_changed());
    // The larger model's layers are of other shapes: nothing of it is applied.
    let files = ModelFiles::folder(places::model("sd2"));
    let mut other = (identify(&files).unwrap().load)(&files, &paths()[0], &cancel).unwrap();
    let refused = other.adapt(&[adapter(add_on("loha.safetensors"), 1.0, 1.0)], &cancel);
    let Err(EngineError::BadFile { path, problem, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert!(path.ends_with("loha.safetensors"));
    assert!(problem.contains("made for another"), "{problem}");
    assert!(!other.adapt(&[], &cancel).unwrap().has_changed());
}
