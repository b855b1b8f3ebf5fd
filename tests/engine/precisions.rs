//! Narrow numbers: they are used where asked for, stay close to f32, and give the same pixels each time.

use pentimento_engine::raster::Picture;
use pentimento_engine::recipe::Precision;
use support::compare::psnr_db;
use support::running::{Options, Running, built_in, recipe};

/// A picture of the starter model, small and in few steps.
fn starter(running: &Running, precision: Precision) -> Picture {
    let mut recipe = recipe(&built_in());
    (recipe.width_px, recipe.height_px, recipe.steps) = (128, 128, 8);
    (recipe.prompt, recipe.seed) = ("a red apple, 3d".to_owned(), 5);
    recipe.precision = precision;
    running.picture(recipe)
}

#[test]
fn pictures_in_narrow_numbers_are_those_of_f32_but_for_a_little() {
    let running = Running::start();
    let [f32, bf16, int8] =
        [Precision::F32, Precision::Bf16, Precision::Int8].map(|one| starter(&running, one));
    // Measured over eight pictures of 20 steps: 51 dB and 48 dB, at least 46 and 41.
    for (name, picture, least_db) in [("bf16", &bf16, 40.0), ("int8", &int8, 36.0)] {
        let db = psnr_db(&picture.rgba, &f32.rgba);
        assert!(
            (least_db..70.0).contains(&db),
            "{name}: {db:.1} dB from f32"
        );
    }
    assert!(bf16 != int8, "int8 is bf16 under another name");
}

#[test]
fn int8_gives_the_same_pixels_on_any_number_of_threads_and_with_layers_read_one_by_one() {
    let picture = |threads, memory_bytes| {
        let running = Running::with(Options {
            threads,
            memory_bytes,
            ..Options::default()
        });
        starter(&running, Precision::Int8)
    };
    let two = picture(2, None);
    assert!(two == picture(1, None), "threads change pixels");
    assert!(two == picture(2, Some(1)), "memory changes pixels");
}
