//! The prompt language against A1111's own parser, and encoded prompts against transformers' text encoders with
//! chunks and weights as A1111 and ComfyUI apply them.

use pentimento_engine::cancel::CancelToken;
use pentimento_engine::families::identify;
use pentimento_engine::kernels::cpu::{Packing, trusted_isa};
use pentimento_engine::nn::Compute;
use pentimento_engine::prompt::attention::{self, Piece};
use pentimento_engine::prompt::compose;
use pentimento_engine::prompt::schedule::Schedule;
use pentimento_engine::prompt::{PromptSyntax, Reading, Role, Weighting};
use pentimento_engine::weights::files::ModelFiles;
use serde::Deserialize;
use support::compare::expect_near;
use support::fixture::Fixture;
use support::places;

#[derive(Deserialize)]
struct Recorded {
    steps: usize,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    text: String,
    attention: Vec<(String, f64)>,
    schedule: Vec<(usize, String)>,
    parts: Vec<(String, f64)>,
}

fn recorded() -> Recorded {
    let text = std::fs::read_to_string(places::fixture("prompts/prompts.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Compares every case; `differs` gives ours where it is another.
fn check(differs: impl Fn(&Case, usize) -> Option<String>) {
    let Recorded { steps, cases } = recorded();
    assert!(cases.len() > 300);
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|case| Some(format!("{:?}: {}", case.text, differs(case, steps)?)))
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {} differ:\n  {}",
        wrong.len(),
        cases.len(),
        wrong.join("\n  ")
    );
}

#[test]
fn weights_are_those_of_a1111() {
    check(|case, _| {
        let ours: Vec<(String, f64)> = attention::pieces(&case.text)
            .into_iter()
            .map(|piece| match piece {
                Piece::Text { text, weight } => (text, weight),
                Piece::Break => ("BREAK".to_owned(), -1.0),
            })
            .collect();
        // The weights went through decimal digits.
        let same = ours.len() == case.attention.len()
            && ours
                .iter()
                .zip(&case.attention)
                .all(|(a, b)| a.0 == b.0 && (a.1 - b.1).abs() < 1e-12);
        (!same).then(|| format!("{ours:?}, not {:?}", case.attention))
    });
}

#[test]
fn step_editing_is_that_of_a1111() {
    check(|case, steps| {
        let ours = Schedule::read(&case.text, steps);
        let ours: Vec<(usize, String)> = ours
            .spans
            .iter()
            .map(|(end, index)| (*end, ours.texts[*index].clone()))
            .collect();
        (ours != case.schedule).then(|| format!("{ours:?}, not {:?}", case.schedule))
    });
}

#[test]
fn parts_are_those_of_a1111() {
    check(|case, _| {
        let ours: Vec<(String, f64)> = compose::parts(&case.text)
            .into_iter()
            .map(|part| (part.text, part.weight))
            .collect();
        // Without AND, ours is the whole text: see `compose::parts`.
        let same = match ours.as_slice() {
            [(text, weight)] => *text == case.text && *weight == 1.0,
            _ => ours == case.parts,
        };
        let apart = ours.len() != case.parts.len() || !same;
        apart.then(|| format!("{ours:?}, not {:?}", case.parts))
    });
}

#[derive(Deserialize)]
struct Encoded {
    model: String,
    text: String,
    weighting: Weighting,
}

fn check_encoded(name: &str, models: &[&str]) -> usize {
    let index = places::fixture(&format!("prompts/{name}.json"));
    let index = std::fs::read_to_string(index).unwrap();
    let index: Vec<Encoded> = serde_json::from_str(&index).unwrap();
    let fixture = Fixture::open(&format!("prompts/{name}.safetensors"));
    let compute = Compute::cpu(trusted_isa(), Packing::F32);
    let cancel = CancelToken::default();
    for name in models {
        let files = ModelFiles::folder(places::model(name));
        let model = (identify(&files).unwrap().load)(&files, &compute, &cancel).unwrap();
        for (row, case) in index.iter().enumerate().filter(|(_, c)| c.model == *name) {
            let reading = Reading {
                clip_skip: 1,
                syntax: PromptSyntax::A1111,
                weighting: case.weighting,
                ..Reading::default()
            };
            let encoded = model.encode_prompt(&case.text, reading, &cancel).unwrap();
            let ours = encoded.tokens.to_tensor().unwrap();
            let reference = fixture.f32(&row.to_string());
            assert_eq!(ours.dims()[1..], reference.shape, "{name}: {:?}", case.text);
            let what = format!("{name}: {:?}, {:?}", case.text, case.weighting);
            let ours: Vec<f32> = ours.flatten_all().unwrap().to_vec1().unwrap();
            expect_near(&what, &ours, &reference.values, 1e-4);
            let key = format!("{row}.pooled");
            assert_eq!(encoded.pooled.is_some(), fixture.has(&key), "{what}");
            if let Some(pooled) = encoded.pooled {
                let ours = pooled.to_tensor().unwrap().flatten_all().unwrap();
                let what = format!("{what}: whole text");
                let ours: Vec<f32> = ours.to_vec1().unwrap();
                expect_near(&what, &ours, &fixture.f32(&key).values, 1e-4);
            }
        }
    }
    index.len()
}

#[test]
fn weighted_prompts_and_chunks_are_encoded_as_the_reference_does() {
    assert!(check_encoded("encoded", &["sd1", "sd2", "starter"]) > 20);
}

#[test]
fn two_encoders_are_weighted_each_by_itself() {
    assert_eq!(check_encoded("encoded_xl", &["xl"]), 4);
}

#[test]
fn no_negative_prompt_is_zeros_where_the_model_says_so() {
    let compute = Compute::cpu(trusted_isa(), Packing::F32);
    let cancel = CancelToken::default();
    for (name, zeros) in [("xl", true), ("xl_refiner", false), ("sd1", false)] {
        let files = ModelFiles::folder(places::model(name));
        let model = (identify(&files).unwrap().load)(&files, &compute, &cancel).unwrap();
        for (role, blank) in [
            (Role::Prompt, false),
            (Role::Negative, false),
            (Role::NoNegative, zeros),
        ] {
            let reading = Reading::default().of(role);
            let encoded = model.encode_prompt("", reading, &cancel).unwrap();
            let parts = [Some(encoded.tokens), encoded.pooled];
            for part in parts.into_iter().flatten() {
                let values = part.to_tensor().unwrap().flatten_all().unwrap();
                let values: Vec<f32> = values.to_vec1().unwrap();
                let is_blank = values.iter().all(|value| *value == 0.0);
                assert_eq!(is_blank, blank, "{name}: {role:?}");
            }
        }
    }
}
