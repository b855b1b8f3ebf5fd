//! Same recipe, same pixels: run again, with another number of threads, in a batch, with previews.

use pentimento_engine::raster::Picture;
use pentimento_engine::recipe::{Precision, Recipe};
use support::running::{Options, Running, built_in, recipe, request};

fn recipes() -> Vec<Recipe> {
    let mut all = Vec::new();
    for (model, sampler, precision) in [
        ("sd1", "dpmpp_2m_sde", Precision::F32),
        ("mixed", "euler_a", Precision::F32),
        ("plain", "heun", Precision::Auto),
    ] {
        let mut one = recipe(model);
        (one.sampler, one.precision, one.seed) = (sampler.to_owned(), precision, 41);
        all.push(one);
    }
    let mut starter = recipe(&built_in());
    (starter.width_px, starter.height_px, starter.precision) = (136, 104, Precision::Auto);
    all.push(starter);
    all
}

fn all_with(options: Options) -> Vec<Picture> {
    let running = Running::with(options);
    recipes()
        .into_iter()
        .map(|recipe| running.picture(recipe))
        .collect()
}

#[test]
fn threads_and_previews_decide_no_pixel() {
    let two = all_with(Options {
        threads: 2,
        previews: false,
        ..Options::default()
    });
    let one = all_with(Options {
        threads: 1,
        previews: true,
        ..Options::default()
    });
    let three = all_with(Options {
        threads: 3,
        previews: true,
        ..Options::default()
    });
    for (index, recipe) in recipes().iter().enumerate() {
        assert!(
            two[index] == one[index],
            "{}: 2 and 1 threads",
            recipe.model.id
        );
        assert!(
            two[index] == three[index],
            "{}: 2 and 3 threads",
            recipe.model.id
        );
    }
}

#[test]
fn a_batch_is_its_singles() {
    let running = Running::start();
    for recipe in recipes() {
        let mut batch = request(recipe.clone());
        batch.count = 3;
        let batch = running.pictures(batch).unwrap();
        assert_eq!(batch.len(), 3);
        // In another order, so that nothing may depend on what ran before.
        for index in [2, 0, 1] {
            let mut single = recipe.clone();
            single.seed += index as u64;
            assert!(
                running.picture(single) == batch[index],
                "{}: picture {index}",
                recipe.model.id
            );
        }
        assert!(batch[0] != batch[1], "{}: seeds differ", recipe.model.id);
    }
}

#[test]
fn the_same_run_twice_gives_the_same_file_but_for_its_times() {
    let first = all_with(Options::default());
    assert!(first == all_with(Options::default()));
}
