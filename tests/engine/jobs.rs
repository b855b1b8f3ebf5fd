//! Jobs from start to end: order of events, cancellation in every stage, the panic fence, the lane that drops
//! nothing, the journal.

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use pentimento_engine::client::{Blob, EngineClient, Request};
use pentimento_engine::error::EngineError;
use pentimento_engine::event::{Event, JobId, Stage};
use pentimento_engine::prompt::PromptSyntax;
use pentimento_engine::prompt::inspect::PromptQuery;
use pentimento_engine::raster::Picture;
use pentimento_engine::recipe::{Recipe, Start};
use support::running::{Options, Running, is_last, on_stage, recipe, request};

/// Short names of a job's events.
fn names(events: &[Event]) -> Vec<String> {
    events
        .iter()
        .map(|event| match event {
            Event::Started { .. } => "started".to_owned(),
            Event::StageChanged { stage, picture, .. } => format!("{picture} {stage:?}"),
            Event::StepDone {
                picture,
                step,
                steps,
                ..
            } => format!("{picture} step {step}/{steps}"),
            Event::ImageReady { picture, .. } => format!("{picture} ready"),
            Event::Finished { .. } => "finished".to_owned(),
            Event::Cancelled { .. } => "cancelled".to_owned(),
            Event::Failed { .. } => "failed".to_owned(),
            other => format!("{other:?}"),
        })
        .collect()
}

#[test]
fn events_come_in_order() {
    let running = Running::start();
    let mut asked = request(recipe("plain"));
    asked.count = 2;
    let job = running.submit_request(asked);
    let events = running.until_end(job);
    let expected = [
        "started",
        "0 LoadingModel",
        "0 EncodingPrompt",
        "0 Denoising",
        "0 step 1/2",
        "0 step 2/2",
        "0 Decoding",
        "0 Saving",
        "0 ready",
        "1 Denoising",
        "1 step 1/2",
        "1 step 2/2",
        "1 Decoding",
        "1 Saving",
        "1 ready",
        "finished",
    ];
    // Whether prompts that are known already count as a stage is the engine's business.
    let seen: Vec<String> = names(&events)
        .into_iter()
        .filter(|name| name != "1 EncodingPrompt")
        .collect();
    assert_eq!(seen, expected);
    for event in &events {
        if let Event::ImageReady { path, record, .. } = event {
            assert!(
                path.is_file(),
                "a picture is on the disk before it is reported"
            );
            assert!(record.recipe.model.sha256.is_some());
        }
    }
}

#[test]
fn progress_counts_up_and_time_left_counts_down_to_nothing() {
    let running = Running::start();
    let mut recipe = recipe("plain");
    recipe.steps = 5;
    let job = running.submit(recipe);
    let mut before = 0.0;
    let mut steps = 0;
    for event in running.until_end(job) {
        if let Event::StepDone {
            elapsed_secs,
            left_secs,
            step,
            ..
        } = event
        {
            assert!(elapsed_secs >= before && left_secs >= 0.0);
            before = elapsed_secs;
            steps = step;
        }
    }
    assert_eq!(steps, 5);
}

/// A probe that stops the worker in a stage until told to go on.
struct Gate {
    entered: Receiver<JobId>,
    go_on: Option<Sender<()>>,
}

fn gate(stage: Stage) -> (Options, Gate) {
    let (entered_in, entered) = bounded(16);
    let (go_on, go_on_out) = bounded::<()>(16);
    let probe = on_stage(stage, move |job, _| {
        entered_in.send(job).expect("the test listens");
        let _closed = go_on_out.recv().is_err();
    });
    (
        Options {
            probe,
            ..Options::default()
        },
        Gate {
            entered,
            go_on: Some(go_on),
        },
    )
}

impl Gate {
    fn wait(&self) -> JobId {
        self.entered
            .recv_timeout(Duration::from_secs(60))
            .expect("the stage is entered")
    }

    /// Lets the stage go on once.
    fn pass(&self) {
        let go_on = self.go_on.as_ref().expect("the gate is shut");
        go_on.send(()).expect("the stage waits");
    }

    fn open(&mut self) {
        self.go_on = None;
    }
}

fn cancelled_in(stage: Stage) {
    let (options, mut gate) = gate(stage);
    let running = Running::with(options);
    let job = running.submit(recipe("plain"));
    assert_eq!(gate.wait(), job);
    running.engine.cancel(job);
    gate.open();
    let began = Instant::now();
    let events = running.until_end(job);
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{stage:?}: {:?}",
        began.elapsed()
    );
    assert!(
        matches!(events.last(), Some(Event::Cancelled { .. })),
        "{stage:?}: {:?}",
        names(&events)
    );
    assert!(
        !names(&events).iter().any(|name| name.ends_with("ready")),
        "{stage:?}"
    );
    // The engine goes on, with the same model.
    running.picture(recipe("plain"));
}

#[test]
fn cancelled_while_loading() {
    cancelled_in(Stage::LoadingModel);
}

#[test]
fn cancelled_while_reading_the_prompt() {
    cancelled_in(Stage::EncodingPrompt);
}

#[test]
fn cancelled_while_denoising() {
    cancelled_in(Stage::Denoising);
}

#[test]
fn cancelled_while_decoding() {
    cancelled_in(Stage::Decoding);
}

#[test]
fn cancelled_between_steps() {
    let running = Running::start();
    let mut long = recipe("plain");
    long.steps = 1000;
    let job = running.submit(long);
    loop {
        let event = running
            .engine
            .wait_event(Duration::from_secs(60))
            .expect("steps come");
        if matches!(event, Event::StepDone { step: 3, .. }) {
            break;
        }
        assert!(!is_last(&event));
    }
    running.engine.cancel(job);
    let events = running.until_end(job);
    assert!(matches!(events.last(), Some(Event::Cancelled { .. })));
    let steps = events
        .iter()
        .filter(|event| matches!(event, Event::StepDone { .. }))
        .count();
    assert!(steps < 900, "it went on for {steps} steps");
}

#[test]
fn a_waiting_job_is_cancelled_without_running() {
    let (options, mut gate) = gate(Stage::Denoising);
    let running = Running::with(options);
    let first = running.submit(recipe("plain"));
    gate.wait();
    let second = running.submit(recipe("plain"));
    let third = running.submit(recipe("plain"));
    running.engine.cancel(second);
    // The second ends while the first still stands.
    let events = running.until_end(second);
    assert_eq!(names(&events), ["cancelled"]);
    gate.open();
    assert_eq!(names(&running.until_end(first)).last().unwrap(), "finished");
    assert_eq!(names(&running.until_end(third)).last().unwrap(), "finished");
}

#[test]
fn a_panic_fails_the_job_and_nothing_else() {
    for stage in [
        Stage::LoadingModel,
        Stage::EncodingPrompt,
        Stage::Denoising,
        Stage::Decoding,
        Stage::Saving,
    ] {
        let probe = on_stage(stage, move |_, before| {
            assert!(before > 0, "made to fail in {stage:?}")
        });
        let running = Running::with(Options {
            probe,
            ..Options::default()
        });
        let job = running.submit(recipe("plain"));
        let events = running.until_end(job);
        let Some(Event::Failed {
            error:
                EngineError::Internal {
                    stage: named,
                    report,
                },
            ..
        }) = events.last()
        else {
            panic!("{stage:?}: {:?}", names(&events));
        };
        assert!(named.contains(&job.to_string()), "{named}");
        assert!(report.contains("made to fail"), "{report}");
        running.picture(recipe("plain"));
        assert!(running.engine.unfinished_jobs().is_empty());
    }
}

#[test]
fn no_event_is_dropped_when_nobody_reads() {
    let running = Running::start();
    let mut many = recipe("plain");
    (many.width_px, many.height_px, many.guidance, many.steps) = (16, 16, 1.0, 900);
    let mut asked = request(many);
    // Beyond what the lane holds: the engine must wait, not drop.
    asked.count = 6;
    let job = running.submit_request(asked);
    let began = Instant::now();
    while running.engine.take_preview().is_some() || began.elapsed() < Duration::from_secs(8) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let events = running.until_end(job);
    let mut next = (0, 1);
    for event in &events {
        if let Event::StepDone { picture, step, .. } = event {
            assert_eq!((*picture, *step), next);
            next = if *step == 900 {
                (picture + 1, 1)
            } else {
                (*picture, step + 1)
            };
        }
    }
    assert_eq!(next, (6, 1));
    assert!(events.len() > 4096, "the lane never was full");
}

#[test]
fn jobs_that_were_not_finished_are_offered_again() {
    let (options, mut gate) = gate(Stage::Denoising);
    let running = Running::with(options);
    let mut second = recipe("plain");
    second.prompt = "the one that waits".to_owned();
    running.submit(recipe("plain"));
    gate.wait();
    running.submit(second.clone());
    let journaled = Instant::now();
    let queue = running.folder().join("data/queue");
    while files(&queue).len() < 2 {
        assert!(
            journaled.elapsed() < Duration::from_secs(20),
            "never journaled"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    gate.open();
    let folder = running.stop();

    let running = Running::within(folder, Options::default());
    let left = running.engine.unfinished_jobs();
    assert_eq!(left.len(), 2);
    assert_eq!(left[1].request.recipe.prompt, second.prompt);
    // They do not start by themselves, they run when asked, and they can be forgotten.
    assert!(
        running
            .engine
            .wait_event(Duration::from_millis(300))
            .is_none_or(|event| event.job().is_none())
    );
    assert_eq!(running.pictures(left[1].request.clone()).unwrap().len(), 1);
    let still = running.engine.unfinished_jobs();
    assert_eq!(
        still,
        left[..1],
        "what was submitted again is no longer offered"
    );
    running.engine.forget_unfinished(&left[0].key);
    assert!(running.engine.unfinished_jobs().is_empty());
}

/// Someone chooses another gallery and starts again: the start picture of a job that waited is in the former one.
#[test]
fn an_unfinished_job_brings_its_start_picture_into_another_gallery() {
    let (options, mut gate) = gate(Stage::Denoising);
    let running = Running::with(options);
    let former = running.folder().join("former");
    running.engine.set_library_dir(former.clone());
    let picture = Picture::new(64, 64, [200, 40, 90, 255].repeat(64 * 64)).unwrap();
    let blob = Blob::from_picture(&picture).unwrap();
    let file = format!("blobs/{}.png", blob.sha256);
    let changed = Recipe {
        start: Some(Start {
            picture: blob.sha256.clone(),
            strength: 0.5,
            inpaint: None,
        }),
        steps: 100,
        ..recipe("plain")
    };
    running.submit_request(Request {
        count: 2,
        blobs: vec![blob],
        ..request(changed)
    });
    // One picture is done, which the journal notes; the other has far to go.
    gate.wait();
    gate.pass();
    gate.wait();
    gate.open();
    let folder = running.stop();
    assert!(former.join(&file).exists());

    let running = Running::within(folder, Options::default());
    let left = running.engine.unfinished_jobs();
    assert_eq!(left.len(), 1);
    assert!(left[0].request.blobs.is_empty());
    // While that gallery cannot be reached, the job fails and stays in the journal.
    let away = running.folder().join("away");
    std::fs::rename(&former, &away).unwrap();
    let refused = running.pictures(left[0].request.clone());
    assert!(
        matches!(refused, Err(EngineError::Io { .. })),
        "{refused:?}"
    );
    assert_eq!(running.engine.unfinished_jobs(), left);
    std::fs::rename(&away, &former).unwrap();
    let pictures = running.pictures(left[0].request.clone()).unwrap();
    assert_eq!(pictures.len(), 1, "the other one was done");
    assert!(running.folder().join("library").join(&file).exists());
}

fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        if entry.path().is_dir() {
            found.extend(files(&entry.path()));
        } else if entry
            .path()
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            found.push(entry.path());
        }
    }
    found
}

#[test]
fn previews_come_and_only_the_newest_counts() {
    let running = Running::with(Options {
        previews: true,
        ..Options::default()
    });
    let mut many = recipe("plain");
    many.steps = 30;
    let job = running.submit(many);
    let mut seen = 0;
    let mut last_step = 0;
    let began = Instant::now();
    loop {
        assert!(began.elapsed() < Duration::from_secs(60));
        if let Some(preview) = running.engine.take_preview() {
            assert_eq!(preview.job, job);
            assert_eq!(preview.bounds_px, [0, 0, 64, 64]);
            assert!(preview.step > last_step && preview.step <= 30);
            last_step = preview.step;
            seen += 1;
        }
        match running.engine.wait_event(Duration::from_millis(1)) {
            Some(event) if is_last(&event) => break,
            _ => {}
        }
    }
    assert!(seen > 0);
    assert!(
        running.engine.take_preview().is_none(),
        "a preview outlived its job"
    );
}

#[test]
fn what_cannot_run_is_refused_at_once() {
    let running = Running::start();
    running.wait_for_model("plain");
    let field = |change: &dyn Fn(&mut Recipe)| {
        let mut wrong = recipe("plain");
        change(&mut wrong);
        match running.engine.submit(request(wrong)) {
            Err(EngineError::InvalidRequest { field, .. }) => field,
            Err(EngineError::ModelNotFound { wanted, known }) => {
                assert!(known.iter().any(|id| id == "plain"));
                wanted
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(field(&|recipe| recipe.steps = 0), "steps");
    assert_eq!(field(&|recipe| recipe.width_px = 15), "width_px");
    assert_eq!(field(&|recipe| recipe.height_px = 100_000), "height_px");
    assert_eq!(field(&|recipe| recipe.guidance = f64::NAN), "guidance");
    assert_eq!(
        field(&|recipe| recipe.sampler = "none".to_owned()),
        "sampler"
    );
    assert_eq!(
        field(&|recipe| recipe.schedule = "none".to_owned()),
        "schedule"
    );
    assert_eq!(field(&|recipe| recipe.model.id = "gone".to_owned()), "gone");
}

#[test]
fn prompts_are_read_in_the_background() {
    let running = Running::start();
    running.wait_for_model("sd1");
    let query = PromptQuery {
        model: "sd1".to_owned(),
        texts: [
            "(red:1.5) {apple|apple} [blue:green:1]".to_owned(),
            "red ".repeat(100),
        ],
        syntax: PromptSyntax::A1111,
        steps: 4,
        seed: Some(1),
    };
    running.engine.inspect_prompts(7, query);
    let began = Instant::now();
    loop {
        assert!(began.elapsed() < Duration::from_secs(20));
        if let Some(Event::PromptsInspected { query, inspections }) =
            running.engine.wait_event(Duration::from_millis(50))
        {
            assert_eq!(query, 7);
            let [prompt, negative] = *inspections;
            assert_eq!(
                prompt.chosen.as_deref(),
                Some("(red:1.5) apple [blue:green:1]")
            );
            let spans = &prompt.parts[0].spans;
            let steps: Vec<[u32; 2]> = spans.iter().map(|span| span.steps).collect();
            assert_eq!(steps, [[1, 2], [3, 4]]);
            let words = &spans[1].chunks[0].words;
            assert_eq!(
                words.as_slice(),
                [("red".to_owned(), 1.5), ("apple green".to_owned(), 1.0)]
            );
            assert_eq!(negative.count.used % 100, 0);
            assert_eq!(negative.count.limit % 75, 0);
            assert!(negative.count.limit >= negative.count.used);
            assert!(negative.parts[0].spans[0].chunks.len() > 1);
            break;
        }
    }
}
