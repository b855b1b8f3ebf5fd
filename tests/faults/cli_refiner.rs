//! The refiner on the command line.

use pentimento_engine::recipe::read_record_file;

use crate::machine::{Machine, quick};

#[test]
fn a_refiner_is_a_model_that_is_there_and_switches_within_the_run() {
    let machine = Machine::new();
    let alone = ["--refiner-switch needs --refiner"];
    machine.refuses(2, &quick(&["--refiner-switch", "0.5"]), &alone);
    let unknown = ["no model called “nowhere”"];
    machine.refuses(1, &quick(&["--refiner", "nowhere"]), &unknown);
    let id = pentimento::starter::embedded_models()[0].id;
    let outside = ["--refiner-switch: 1.5 is outside of 0 to 1"];
    let late = quick(&["--refiner", id, "--refiner-switch", "1.5"]);
    machine.refuses(1, &late, &outside);

    let out = machine.text("refined.png");
    let options = ["--refiner", id, "--out", out.as_str()];
    let prompt = ["render", "--prompt", "a red apple, 3d", "--steps", "2"];
    machine.makes(&[&prompt[..], &options[..]].concat());
    let found = read_record_file(std::path::Path::new(&out))
        .unwrap()
        .expect("a record");
    let refiner = found.record.recipe.refiner.expect("a refiner");
    assert_eq!((refiner.model.id.as_str(), refiner.switch_at), (id, 0.8));

    // From the file, and without it.
    let again = machine.text("again.png");
    let recipe = ["render", "--recipe", out.as_str(), "--out", again.as_str()];
    machine.makes(&[&recipe[..], &["--refiner", "none"]].concat());
    let found = read_record_file(std::path::Path::new(&again))
        .unwrap()
        .expect("a record");
    assert_eq!(found.record.recipe.refiner, None);
}
