//! The prompt language through a whole job: what the grammar changes in the picture, and what it must not change.

use std::fs;

use pentimento_engine::prompt::{PromptSyntax, Weighting};
use pentimento_engine::raster::Picture;
use pentimento_engine::recipe::{Prompting, Recipe};
use support::running::{Options, Running, recipe, request};

fn picture(running: &Running, change: impl FnOnce(&mut Recipe)) -> Picture {
    let mut recipe = Recipe {
        steps: 4,
        ..recipe("sd1")
    };
    change(&mut recipe);
    let mut pictures = running.pictures(request(recipe)).unwrap();
    pictures.remove(0)
}

#[test]
fn words_that_mean_the_same_give_the_same_picture() {
    let running = Running::start();
    let of = |prompt: &str| picture(&running, |recipe| recipe.prompt = prompt.to_owned());
    let plain = of("red apple");
    for same in [
        "(red apple:1)",
        "red apple # a note",
        "[red apple:blue:99]",
        "[red apple|red apple]",
        "{red} apple",
    ] {
        assert_eq!(of(same), plain, "{same}");
    }
    let others = [
        "(red:1.5) apple",
        "[red] apple",
        "[red:blue:2] apple",
        "[red|blue] apple",
        "red apple AND blue",
        "red apple AND blue :-0.5",
        "red BREAK apple",
    ];
    let mut seen = vec![plain];
    for other in others {
        let made = of(other);
        assert!(!seen.contains(&made), "{other}");
        seen.push(made);
    }
}

#[test]
fn the_maths_of_weights_is_a_choice_and_plain_text_knows_none() {
    let running = Running::start();
    let of = |prompt: &str, prompting: Prompting| {
        picture(&running, |recipe| {
            recipe.prompt = prompt.to_owned();
            recipe.prompting = prompting;
        })
    };
    let weighed = |weighting| Prompting {
        weighting,
        ..Prompting::default()
    };
    let text = "(red:1.5) apple";
    let a1111 = of(text, weighed(Weighting::A1111));
    let no_norm = of(text, weighed(Weighting::NoNorm));
    let comfy_ui = of(text, weighed(Weighting::ComfyUi));
    assert!(a1111 != no_norm && no_norm != comfy_ui && comfy_ui != a1111);
    // Words in brackets that are not read as such.
    let plain = of(text, Prompting::plain());
    assert_ne!(plain, a1111);
    assert_eq!(of("\\(red:1.5\\) apple", Prompting::default()), plain);
}

#[test]
fn long_prompts_go_with_short_negative_ones_and_the_other_way_round() {
    let running = Running::start();
    let long = "red apple, blue, ".repeat(40);
    let of = |prompt: &str, negative: &str, syntax| {
        picture(&running, |recipe| {
            recipe.prompt = prompt.to_owned();
            recipe.negative_prompt = negative.to_owned();
            recipe.prompting.syntax = syntax;
        })
    };
    let whole = of(&long, "green", PromptSyntax::A1111);
    let cut = of(&long, "green", PromptSyntax::Plain);
    assert_ne!(whole, cut);
    assert_ne!(of("green", &long, PromptSyntax::A1111), whole);
    assert_ne!(of(&long, &long.repeat(2), PromptSyntax::A1111), whole);
    // Without guidance parts of a prompt still pull apart.
    let unguided = |prompt: &str| {
        picture(&running, |recipe| {
            recipe.prompt = prompt.to_owned();
            recipe.guidance = 1.0;
        })
    };
    assert_ne!(unguided("red AND blue"), unguided("red"));
}

#[test]
fn each_picture_of_a_batch_makes_its_own_choices_and_keeps_the_template() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("colour.txt"), "red\ngreen\nblue\n").unwrap();
    let running = Running::with(Options {
        wildcard_folders: vec![folder.path().to_owned()],
        ..Options::default()
    });
    let template = "{a|one} __colour__ apple __nothing__";
    let mut request = request(Recipe {
        prompt: template.to_owned(),
        ..recipe("sd1")
    });
    request.count = 6;
    let records = running.records(request.clone()).unwrap();
    let prompts: std::collections::BTreeSet<&str> = records
        .iter()
        .map(|record| record.recipe.prompt.as_str())
        .collect();
    assert!(prompts.len() > 1, "{prompts:?}");
    for record in &records {
        let prompting = &record.recipe.prompting;
        assert!(!record.recipe.prompt.contains("__colour__"));
        assert_eq!(prompting.template.as_ref().unwrap().prompt, template);
        assert!(!prompting.dynamic);
        assert!(
            record
                .outcome
                .warnings
                .iter()
                .any(|note| note.contains("nothing"))
        );
    }
    // The chosen recipe alone makes the same picture, without the file.
    fs::remove_file(folder.path().join("colour.txt")).unwrap();
    let again = records[3].recipe.clone();
    request.recipe = again.clone();
    request.count = 1;
    assert_eq!(
        running.records(request).unwrap()[0].recipe.prompt,
        again.prompt
    );
}
