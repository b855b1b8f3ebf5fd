//! Random edits, undone and redone: undoing all is the start, redoing all is the end.

use super::*;
use crate::studio::flood::{Flood, flooded};
use crate::studio::region::rectangle_outline;
use crate::studio::session::condense;

/// A small generator of our own: the tests are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % sides
    }

    fn point(&mut self) -> ImagePoint {
        // Some of them outside.
        let mut side = |length: u64| self.roll(length + 100) as f32 - 50.0;
        ImagePoint::new(side(600), side(400))
    }
}

fn picture(size_px: [u32; 2], dice: &mut Dice) -> Plane<4> {
    let seed = dice.roll(251) as u32 + 1;
    let bytes: Vec<u8> = (0..size_px[0] * size_px[1])
        .flat_map(|at| {
            let (x, y) = (at % size_px[0], at / size_px[0]);
            let level = ((x / 37 + y / 23) * seed) as u8;
            [level, level ^ 0x55, seed as u8, 255]
        })
        .collect();
    Plane::from_bytes(size_px, &bytes).expect("fits")
}

fn random_edit(document: &mut Document, dice: &mut Dice) {
    let erase = dice.roll(3) == 0;
    match dice.roll(11) {
        0..=3 => {
            let brush = Brush {
                size_px: dice.roll(120) as f32 + 1.0,
                hardness: dice.roll(11) as f32 / 10.0,
                erase,
            };
            document.apply(DocumentCommand::BeginStroke {
                brush,
                at: dice.point(),
                joined: dice.roll(4) == 0,
            });
            for _ in 0..dice.roll(6) {
                document.apply(DocumentCommand::StrokeTo(dice.point()));
            }
            document.apply(if dice.roll(8) == 0 {
                DocumentCommand::AbortStroke
            } else {
                DocumentCommand::EndStroke
            });
        }
        4 => document.apply(DocumentCommand::FillOutline {
            kind: EditKind::Rectangle,
            outline: rectangle_outline(dice.point(), dice.point()).to_vec(),
            erase,
        }),
        5 => {
            let outline = (0..dice.roll(9) + 2).map(|_| dice.point()).collect();
            document.apply(DocumentCommand::FillOutline {
                kind: EditKind::Lasso,
                outline,
                erase,
            });
        }
        6 => {
            let flood = Flood {
                seed_px: [dice.roll(700) as u32, dice.roll(500) as u32],
                tolerance: dice.roll(60) as u8,
                connected: dice.roll(2) == 0,
                erase,
            };
            let picture = document.canvas().map(|canvas| canvas.picture.clone());
            if let Some(picture) = picture
                && let Some(area) = flooded(&picture, flood)
            {
                document.apply(DocumentCommand::FillArea {
                    picture,
                    area,
                    erase,
                });
            }
        }
        7 => document.apply(DocumentCommand::InvertMask),
        8 => document.apply(if erase {
            DocumentCommand::SelectAll
        } else {
            DocumentCommand::ClearMask
        }),
        9 => {
            let same = dice.roll(3) > 0;
            let size = document.canvas().map_or([64, 64], Canvas::size_px);
            let size = if same { size } else { [300, 520] };
            document.apply(DocumentCommand::Accept {
                picture: picture(size, dice),
                title: "result".to_owned(),
                clear_mask: erase,
            });
        }
        _ => document.apply(DocumentCommand::Open {
            kind: EditKind::Open,
            canvas: Box::new(Canvas::new("opened", picture([600, 400], dice))),
        }),
    }
}

fn steps(document: &Document) -> usize {
    document.history().done().count()
}

#[test]
fn undoing_all_is_the_start_and_redoing_all_the_end() {
    for seed in 0..12 {
        let mut dice = Dice(seed);
        let mut document = Document::default();
        document.apply(DocumentCommand::Open {
            kind: EditKind::Open,
            canvas: Box::new(Canvas::new("start", picture([600, 400], &mut dice))),
        });
        let start = document.canvas().cloned();
        let mut states = vec![start];
        for _ in 0..25 {
            let before = steps(&document);
            random_edit(&mut document, &mut dice);
            match steps(&document) - before {
                0 => assert!(document.canvas() == states.last().and_then(Option::as_ref)),
                _ => states.push(document.canvas().cloned()),
            }
        }
        assert_eq!(states.len(), steps(&document));
        for state in states.iter().rev().skip(1) {
            document.apply(DocumentCommand::Undo);
            assert!(document.canvas() == state.as_ref(), "seed {seed}");
        }
        for state in states.iter().skip(1) {
            document.apply(DocumentCommand::Redo);
            assert!(document.canvas() == state.as_ref(), "seed {seed}");
        }
        document.apply(DocumentCommand::Redo);
        assert!(document.canvas() == states.last().and_then(Option::as_ref));
    }
}

#[test]
fn the_journal_leads_to_the_same_document() {
    for seed in 100..106 {
        let mut dice = Dice(seed);
        let (mut document, mut mirror) = (Document::default(), Document::default());
        for _ in 0..40 {
            match dice.roll(5) {
                0 => document.apply(DocumentCommand::Undo),
                1 => document.apply(DocumentCommand::Redo),
                _ => random_edit(&mut document, &mut dice),
            }
            for entry in document.take_journal() {
                mirror.replay(entry);
            }
            assert!(mirror.canvas() == document.canvas(), "seed {seed}");
            assert_eq!(steps(&mirror), steps(&document));
        }
        let (base, entries) = condense(&document);
        let mut condensed = Document::from_canvas(base);
        for entry in entries {
            condensed.replay(entry);
        }
        assert!(condensed.canvas() == document.canvas());
        assert_eq!(steps(&condensed), steps(&document));
    }
}

#[test]
fn a_recovered_document_lies_below_what_was_done_since() {
    let mut dice = Dice(7);
    let mut recovered = Document::default();
    random_edit(&mut recovered, &mut dice);
    recovered.apply(DocumentCommand::Open {
        kind: EditKind::Open,
        canvas: Box::new(Canvas::new("old", picture([64, 64], &mut dice))),
    });
    let old = recovered.canvas().cloned();
    let mut mirror = recovered.clone();

    let mut document = Document::default();
    document.apply(DocumentCommand::Open {
        kind: EditKind::Paste,
        canvas: Box::new(Canvas::new("new", picture([80, 64], &mut dice))),
    });
    document.apply(DocumentCommand::SelectAll);
    document.apply(DocumentCommand::Undo);
    let new = document.canvas().cloned();
    document.adopt(recovered);
    assert!(document.canvas() == new.as_ref());
    for entry in document.take_journal() {
        mirror.replay(entry);
    }
    for document in [&mut document, &mut mirror] {
        document.apply(DocumentCommand::Redo);
        assert!(document.has_mask(), "what was undone can be redone");
        document.apply(DocumentCommand::Undo);
        document.apply(DocumentCommand::Undo);
        assert!(
            document.canvas() == old.as_ref(),
            "undo leads to the old picture"
        );
    }
}

#[test]
fn the_history_keeps_to_its_budget_and_always_one_step() {
    let mut dice = Dice(3);
    let mut document = Document::with_history_budget(3 << 20);
    for _ in 0..10 {
        document.apply(DocumentCommand::Open {
            kind: EditKind::Open,
            canvas: Box::new(Canvas::new("large", picture([600, 400], &mut dice))),
        });
    }
    assert!(document.history().done_bytes() <= 3 << 20);
    assert!((1..4).contains(&steps(&document)));
    let mut tight = Document::with_history_budget(0);
    tight.apply(DocumentCommand::Open {
        kind: EditKind::Open,
        canvas: Box::new(Canvas::new("large", picture([600, 400], &mut dice))),
    });
    assert_eq!(steps(&tight), 1);
    tight.apply(DocumentCommand::Undo);
    assert!(tight.canvas().is_none());
}

#[test]
fn commands_in_the_middle_of_a_stroke_end_it_and_undo_takes_it_back() {
    let mut dice = Dice(5);
    let mut document = Document::default();
    let brush = Brush {
        size_px: 30.0,
        hardness: 1.0,
        erase: false,
    };
    let begin = DocumentCommand::BeginStroke {
        brush,
        at: ImagePoint::new(100.0, 100.0),
        joined: false,
    };
    document.apply(begin.clone());
    assert!(!document.is_drawing(), "nothing to draw on");
    document.apply(DocumentCommand::Open {
        kind: EditKind::Open,
        canvas: Box::new(Canvas::new("start", picture([600, 400], &mut dice))),
    });
    document.apply(begin.clone());
    document.apply(DocumentCommand::Undo);
    assert!(!document.is_drawing() && !document.has_mask());
    assert_eq!(steps(&document), 1, "the picture is still open");
    document.apply(begin);
    document.apply(DocumentCommand::InvertMask);
    assert_eq!(steps(&document), 3, "stroke and inversion");
    document.apply(DocumentCommand::EndStroke);
    assert_eq!(steps(&document), 3);
}
