//! What is changed while the engine runs holds from the next job on; a picture that cannot be saved is
//! handed over all the same.

use pentimento_engine::client::{EngineClient as _, SaveTo};
use pentimento_engine::error::EngineError;
use pentimento_engine::event::Event;
use pentimento_engine::preview::PreviewMode;
use support::running::{Options, Running, recipe, request};

#[test]
fn another_gallery_other_threads_and_previews_hold_from_the_next_job() {
    let running = Running::with(Options {
        threads: 2,
        previews: true,
        ..Options::default()
    });
    let first = running.picture(recipe("plain"));
    assert!(running.engine.take_preview().is_none(), "the job has ended");
    let other = running.folder().join("another gallery");
    running.engine.set_threads(Some(1));
    running.engine.set_previews(PreviewMode::Off);
    running.engine.set_library_dir(other.clone());
    let job = running.submit(recipe("plain"));
    let mut saved = None;
    for event in running.until_end(job) {
        assert!(running.engine.take_preview().is_none());
        if let Event::ImageReady { path, image, .. } = event {
            assert!(image == first, "fewer threads, the same pixels");
            saved = Some(path);
        }
    }
    let saved = saved.expect("a picture");
    assert!(saved.starts_with(&other), "{}", saved.display());
}

#[test]
fn a_picture_that_cannot_be_saved_is_handed_over_with_its_recipe() {
    let running = Running::start();
    let wanted = running.picture(recipe("plain"));
    let in_the_way = running.folder().join("a file");
    std::fs::write(&in_the_way, "not a folder").expect("written");
    let mut asked = request(recipe("plain"));
    asked.save_to = SaveTo::Folder(in_the_way.join("below"));
    let job = running.submit_request(asked);
    let events = running.until_end(job);
    let [.., unsaved, failed] = &events[..] else {
        panic!("{events:?}");
    };
    match unsaved {
        Event::ImageUnsaved { record, image, .. } => {
            assert!(*image == wanted);
            assert_eq!(record.recipe.prompt, recipe("plain").prompt);
        }
        other => panic!("{other:?}"),
    }
    match failed {
        Event::Failed {
            error: EngineError::Io { path, remedy, .. },
            ..
        } => assert!(path.starts_with(&in_the_way) && !remedy.is_empty()),
        other => panic!("{other:?}"),
    }
    assert!(running.picture(recipe("plain")) == wanted, "it goes on");
}
