//! From the prompt to a finished picture: requests, the queue, progress, cancelling, errors.

use egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable as _;
use pentimento_engine::client::{Request, SaveTo, UnfinishedJob};
use pentimento_engine::error::EngineError;
use pentimento_engine::event::{Event, JobId, Preview};
use support::fake_engine::{FakeEngine, gradient, record};

use crate::harness::{TestStudio, recipe};

#[test]
fn typing_and_ctrl_enter_submit_the_draft() {
    let mut studio = TestStudio::new();
    let prompt = studio
        .window
        .get_by_role_and_label(egui::Role::MultilineTextInput, "Prompt");
    prompt.focus();
    studio.run();
    studio
        .window
        .get_by_role_and_label(egui::Role::MultilineTextInput, "Prompt")
        .type_text("a red fox");
    studio.run();
    studio.generate();
    let script = studio.engine.script();
    assert_eq!(script.submitted.len(), 1);
    let request = &script.submitted[0];
    assert_eq!(
        request.recipe.prompt, "a red fox",
        "no line break from Enter"
    );
    assert_eq!(request.recipe.model.id, "starter");
    assert_eq!(
        [request.recipe.width_px, request.recipe.height_px],
        [128, 128]
    );
    assert_eq!(request.recipe.steps, 24);
    assert_eq!(request.recipe.sampler, "dpmpp_2m");
    assert_eq!(request.count, 1);
    assert_eq!(request.save_to, SaveTo::Library);
    assert_eq!(script.warmed_up, ["starter"], "loaded before the first job");
}

#[test]
fn the_button_submits_and_a_second_click_queues() {
    let mut studio = TestStudio::new();
    studio.click_generate();
    studio.run();
    studio.engine.start_last();
    studio.run();
    studio.window.get_by_label("Add to queue").click();
    studio.run();
    assert_eq!(studio.engine.script().submitted.len(), 2);
    assert_eq!(studio.window.state().studio().jobs.waiting(), 1);
    studio.window.get_by_label("Queued behind one job");
    studio
        .window
        .get_by_label("One job is running, one is waiting");
    studio.window.get_by_label("Queue").click();
    studio.run();
    studio.window.get_by_label("Cancel job #2").click();
    studio.run();
    assert_eq!(studio.engine.script().cancelled, [JobId(2)]);
}

#[test]
fn progress_and_time_left_are_shown() {
    let mut studio = TestStudio::new();
    let job = studio.generate();
    studio.engine.step(job, 7, 24);
    studio.engine.show(Preview {
        job,
        picture: 0,
        step: 7,
        bounds_px: [0, 0, 128, 128],
        image: gradient(16, 16, 10),
        decoded: false,
    });
    studio.run();
    studio.window.get_by_label("Step 7 of 24 · 17 s left");
    let state = studio.window.state().studio();
    assert_eq!(state.preview.as_ref().map(|preview| preview.step), Some(7));
    studio.engine.say(Event::Finished { job });
    studio.run();
    studio.window.get_by_label("Ready");
    assert!(studio.window.state().studio().preview.is_none());
}

#[test]
fn a_preview_of_a_finished_job_is_dropped() {
    let mut studio = TestStudio::new();
    let job = studio.generate();
    studio.engine.say(Event::Cancelled { job });
    studio.run();
    studio.engine.show(Preview {
        job,
        picture: 0,
        step: 9,
        bounds_px: [0, 0, 128, 128],
        image: gradient(16, 16, 10),
        decoded: false,
    });
    studio.run();
    assert!(studio.window.state().studio().preview.is_none());
}

#[test]
fn escape_closes_what_is_open_before_it_cancels() {
    let mut studio = TestStudio::new();
    let job = studio.generate();
    studio
        .window
        .key_press_modifiers(Modifiers::COMMAND, Key::K);
    studio.run();
    assert!(studio.window.state().studio().overlay.is_some());
    studio.window.key_press(Key::Escape);
    studio.run();
    assert!(studio.window.state().studio().overlay.is_none());
    assert!(studio.engine.script().cancelled.is_empty());
    studio
        .window
        .get_by_role_and_label(egui::Role::ComboBox, "Model")
        .click();
    studio.run();
    studio.window.key_press(Key::Escape);
    studio.run();
    assert!(
        studio.engine.script().cancelled.is_empty(),
        "the list was open"
    );
    studio.window.key_press(Key::Escape);
    studio.run();
    assert_eq!(studio.engine.script().cancelled, [job]);
}

#[test]
fn a_result_is_staged_and_accepted_when_the_next_job_starts_from_it() {
    let mut studio = TestStudio::new();
    let job = studio.generate();
    let made = recipe("a house", 42);
    studio
        .engine
        .picture(job, made, "/nowhere/a.png".into(), gradient(128, 128, 0));
    studio.engine.say(Event::Finished { job });
    studio.run();
    let state = studio.window.state().studio();
    assert_eq!(state.staging.results().len(), 1);
    assert_eq!(state.draft.seed.last, Some(42));
    studio
        .window
        .get_by_role_and_label(egui::Role::RadioButton, "Picture")
        .click();
    studio.run();
    assert!(studio.window.state().studio().document.canvas().is_some());
    studio.window.get_by_label("Generate variation").click();
    studio.run();
    let engine = studio.engine.clone();
    studio.wait_for("the encoded picture", move |_| {
        engine.script().submitted.len() == 2
    });
    let script = studio.engine.script();
    let request = &script.submitted[1];
    let start = request
        .recipe
        .start
        .as_ref()
        .expect("starts from the canvas");
    assert_eq!(start.picture, request.blobs[0].sha256);
    assert!(start.inpaint.is_none());
    assert_eq!(
        [request.recipe.width_px, request.recipe.height_px],
        [128, 128]
    );
}

#[test]
fn repainting_sends_the_mask_and_refuses_an_empty_one() {
    let mut studio = TestStudio::new();
    let job = studio.generate();
    studio.engine.picture(
        job,
        recipe("a house", 42),
        "/nowhere/a.png".into(),
        gradient(96, 64, 0),
    );
    studio.engine.say(Event::Finished { job });
    studio.run();
    studio
        .window
        .get_by_role_and_label(egui::Role::RadioButton, "Mask")
        .click();
    studio.run();
    studio.window.get_by_label("Repaint mask").click();
    studio.run();
    studio.window.get_by_label("Nothing is masked");
    assert_eq!(studio.engine.script().submitted.len(), 1);
    studio
        .window
        .state_mut()
        .send(pentimento::action::Action::SelectAll);
    studio.run();
    studio.window.get_by_label("Repaint mask").click();
    studio.run();
    let engine = studio.engine.clone();
    studio.wait_for("the encoded mask", move |_| {
        engine.script().submitted.len() == 2
    });
    let script = studio.engine.script();
    let request = &script.submitted[1];
    let start = request.recipe.start.as_ref().expect("a start");
    let inpaint = start.inpaint.as_ref().expect("a mask");
    let mut named = vec![start.picture.clone(), inpaint.mask.clone()];
    let mut sent: Vec<String> = request.blobs.iter().map(|b| b.sha256.clone()).collect();
    named.sort();
    sent.sort();
    assert_eq!(named, sent);
    assert_eq!(
        [request.recipe.width_px, request.recipe.height_px],
        [96, 64]
    );
}

#[test]
fn errors_say_what_happened_and_what_to_do() {
    let mut studio = TestStudio::new();
    let job = studio.generate();
    studio.engine.say(Event::Failed {
        job,
        error: EngineError::bad_file(
            "/models/x/unet.safetensors",
            "the header is cut off",
            "download the file again",
        ),
    });
    studio.run();
    studio.window.get_by_label("A file cannot be used");
    studio.window.get_by_label("Download the file again.");
    studio
        .window
        .get_by_label("the header is cut off\n/models/x/unet.safetensors");
    studio.window.get_by_label("Dismiss").click();
    studio.run();
    assert!(
        studio
            .window
            .query_by_label("A file cannot be used")
            .is_none()
    );
    studio.engine.script().refusal = Some(EngineError::QueueFull { limit: 64 });
    studio.click_generate();
    studio.run();
    studio.window.get_by_label("The queue is full");
    assert!(!studio.window.state().studio().jobs.is_busy());
}

#[test]
fn prompts_that_are_too_long_say_what_is_cut() {
    let mut studio = TestStudio::new();
    let long = vec!["word"; 41].join(" ");
    studio
        .window
        .state_mut()
        .send(pentimento::studio::draft::DraftEdit::Prompt(long));
    studio.run();
    studio.wait_for("the count", |app| {
        app.studio()
            .prompts
            .prompt
            .as_ref()
            .is_some_and(|read| read.count.used == 41)
    });
    studio.window.get_by_label("Prompt: 41 / 30");
    studio
        .window
        .get_by_label("The last 11 of these tokens are cut: this model reads 30.");
}

#[test]
fn keys_change_the_weight_of_the_word_at_the_cursor() {
    let mut studio = TestStudio::new();
    studio
        .window
        .get_by_role_and_label(egui::Role::MultilineTextInput, "Prompt")
        .focus();
    studio.run();
    studio
        .window
        .get_by_role_and_label(egui::Role::MultilineTextInput, "Prompt")
        .type_text("a red fox");
    studio.run();
    let press = |studio: &mut TestStudio, key| {
        studio.window.key_press_modifiers(Modifiers::COMMAND, key);
        studio.run();
        studio.window.state().studio().draft.prompt.clone()
    };
    assert_eq!(press(&mut studio, Key::ArrowUp), "a red (fox:1.1)");
    assert_eq!(press(&mut studio, Key::ArrowUp), "a red (fox:1.2)");
    press(&mut studio, Key::ArrowDown);
    assert_eq!(press(&mut studio, Key::ArrowDown), "a red fox");
    // What is typed is read in the whole language, whatever a recalled recipe said.
    let asked = studio.engine.script().inspected.clone();
    assert!(asked.is_none_or(|asked| asked.seed.is_some()));
}

#[test]
fn jobs_of_an_earlier_run_can_be_resumed_or_forgotten() {
    let engine = FakeEngine::new();
    let unfinished = |key: &str, prompt: &str| UnfinishedJob {
        key: key.to_owned(),
        request: Request {
            recipe: recipe(prompt, 7),
            count: 2,
            save_to: SaveTo::Library,
            blobs: Vec::new(),
            resumes: Some(key.to_owned()),
        },
    };
    engine.script().unfinished = vec![unfinished("k1", "an owl")];
    let mut studio = TestStudio::open(
        engine.clone(),
        tempfile::tempdir().unwrap(),
        [1280.0, 800.0],
    );
    studio
        .window
        .get_by_label("One job was not finished last time");
    studio.window.get_by_label("Resume").click();
    studio.run();
    assert_eq!(studio.engine.script().submitted[0].recipe.prompt, "an owl");
    // The engine forgets it when the new job is in the journal, not before.
    assert_eq!(
        studio.engine.script().submitted[0].resumes.as_deref(),
        Some("k1")
    );
    assert!(studio.engine.script().forgotten.is_empty());
    assert!(studio.window.query_by_label("Resume").is_none());

    engine.script().unfinished = vec![unfinished("k2", "a boat")];
    let mut studio = studio.reopened();
    studio.window.get_by_label("Discard").click();
    studio.run();
    assert_eq!(studio.engine.script().forgotten, ["k2"]);
    assert_eq!(studio.engine.script().submitted.len(), 1);
}

#[test]
fn the_first_stroke_means_to_repaint() {
    use pentimento::studio::canvas_command::CanvasCommand;
    use pentimento::studio::document::DocumentCommand;
    use pentimento::studio::draft::StartMode;
    use pentimento::studio::geometry::ImagePoint;
    use pentimento::studio::stroke::Brush;

    let mut studio = TestStudio::new();
    let send = |studio: &mut TestStudio, command: CanvasCommand| {
        studio.window.state_mut().send(command);
        studio.run();
    };
    let picture = gradient(64, 64, 0);
    let name = "a".to_owned();
    send(&mut studio, CanvasCommand::Open { picture, name });
    let mode = |studio: &TestStudio| studio.window.state().studio().draft.start.mode;
    assert_eq!(mode(&studio), StartMode::Variation);
    let brush = Brush {
        size_px: 16.0,
        hardness: 1.0,
        erase: false,
    };
    let at = ImagePoint { x: 32.0, y: 32.0 };
    let joined = false;
    send(
        &mut studio,
        DocumentCommand::BeginStroke { brush, at, joined }.into(),
    );
    send(&mut studio, DocumentCommand::EndStroke.into());
    assert_eq!(mode(&studio), StartMode::Repaint);
    send(&mut studio, DocumentCommand::ClearMask.into());
    assert_eq!(mode(&studio), StartMode::Variation);
}

#[test]
fn a_picture_that_could_not_be_saved_waits_on_the_canvas() {
    let mut studio = TestStudio::new();
    let job = studio.generate();
    studio.engine.say(Event::ImageUnsaved {
        job,
        picture: 0,
        record: Box::new(record(recipe("a full disk", 9))),
        image: gradient(32, 32, 50),
    });
    studio.engine.say(Event::Failed {
        job,
        error: EngineError::io(
            "/full/1.png",
            "write",
            &std::io::ErrorKind::StorageFull.into(),
        ),
    });
    studio.run();
    let state = studio.window.state().studio();
    assert_eq!(state.staging.results().len(), 1);
    assert!(state.has_picture(), "it can be saved elsewhere");
    studio
        .window
        .get_by_label("Free some space on that disk, or choose another folder.");
}
