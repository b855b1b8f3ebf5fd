//! Recovery at every place where a file can end, and from damage.

use super::*;
use crate::studio::document::DocumentCommand;
use crate::studio::edit::EditKind;
use crate::studio::geometry::ImagePoint;
use crate::studio::stroke::Brush;
use crate::studio::tiles::Plane;

/// One edit of a document.
type Step = Box<dyn Fn(&mut Document)>;

fn canvas(size: [u32; 2], seed: u8) -> Box<Canvas> {
    // A few marks on one colour: the journal stays small enough to be cut at every byte.
    let mut bytes = [seed, 40, 90, 255].repeat((size[0] * size[1]) as usize);
    for mark in 0..9_usize {
        bytes[mark * 1201 % (size[0] * size[1] * 4) as usize] = seed.wrapping_mul(mark as u8);
    }
    Box::new(Canvas::new(
        format!("picture {seed}"),
        Plane::from_bytes(size, &bytes).expect("fits"),
    ))
}

fn open(size: [u32; 2], seed: u8) -> DocumentCommand {
    DocumentCommand::Open {
        kind: EditKind::Open,
        canvas: canvas(size, seed),
    }
}

fn stroke(document: &mut Document, from: [f32; 2], to: [f32; 2], erase: bool) {
    let brush = Brush {
        size_px: 24.0,
        hardness: 0.5,
        erase,
    };
    document.apply(DocumentCommand::BeginStroke {
        brush,
        at: ImagePoint::new(from[0], from[1]),
        joined: false,
    });
    document.apply(DocumentCommand::StrokeTo(ImagePoint::new(to[0], to[1])));
    document.apply(DocumentCommand::EndStroke);
}

/// A session: its journal, and after each entry the journal's length and the canvas.
struct Session {
    bytes: Vec<u8>,
    states: Vec<(usize, Option<Canvas>)>,
    document: Document,
}

fn session() -> Session {
    let mut document = Document::default();
    let mut writer = JournalWriter::create(Vec::new(), None).expect("memory");
    let mut states = vec![(writer.byte_len() as usize, None)];
    let steps: Vec<Step> = vec![
        Box::new(|document| document.apply(open([300, 260], 3))),
        Box::new(|document| stroke(document, [20.0, 20.0], [280.0, 240.0], false)),
        Box::new(|document| stroke(document, [20.0, 240.0], [280.0, 20.0], true)),
        Box::new(|document| document.apply(DocumentCommand::Undo)),
        Box::new(|document| document.apply(DocumentCommand::InvertMask)),
        Box::new(|document| document.apply(open([40, 30], 7))),
        Box::new(|document| document.apply(DocumentCommand::SelectAll)),
        Box::new(|document| document.apply(DocumentCommand::Undo)),
        Box::new(|document| document.apply(DocumentCommand::Undo)),
        Box::new(|document| document.apply(DocumentCommand::Redo)),
        Box::new(|document| document.apply(DocumentCommand::Close)),
        Box::new(|document| document.apply(DocumentCommand::Undo)),
    ];
    for step in steps {
        step(&mut document);
        for entry in document.take_journal() {
            writer.append(&entry).expect("memory");
        }
        states.push((writer.byte_len() as usize, document.canvas().cloned()));
    }
    let bytes = std::mem::take(writer.get_mut());
    assert_eq!(bytes.len() as u64, writer.byte_len());
    Session {
        bytes,
        states,
        document,
    }
}

fn read(mut bytes: &[u8]) -> Result<Recovered, Refused> {
    recover(&mut bytes).expect("memory does not fail")
}

#[test]
fn every_cut_recovers_the_state_of_the_last_whole_entry() {
    let session = session();
    for cut in 0..=session.bytes.len() {
        let recovered = read(&session.bytes[..cut]);
        if cut < HEAD_BYTES {
            assert_eq!(recovered.err(), Some(Refused::NotAJournal));
            continue;
        }
        let recovered = recovered.expect("a journal");
        let last = session.states.iter().rev().find(|(len, _)| *len <= cut);
        let (len, canvas) = last.map_or((HEAD_BYTES, None), |(len, state)| (*len, state.as_ref()));
        assert_eq!(recovered.byte_len as usize, len, "cut at {cut}");
        assert!(recovered.document.canvas() == canvas, "cut at {cut}");
    }
}

#[test]
fn a_resumed_journal_reads_as_one() {
    let session = session();
    // Torn in the middle of the entry that opens the second picture.
    let cut = session.states[6].0 - 5;
    let recovered = read(&session.bytes[..cut]).expect("a journal");
    let mut bytes = session.bytes[..recovered.byte_len as usize].to_vec();
    let mut document = recovered.document;
    let mut writer = JournalWriter::resume(&mut bytes, recovered.next_record, recovered.byte_len);
    stroke(&mut document, [100.0, 5.0], [120.0, 250.0], false);
    document.apply(DocumentCommand::Undo);
    document.apply(DocumentCommand::Undo);
    for entry in document.take_journal() {
        writer.append(&entry).expect("memory");
    }
    let again = read(&bytes).expect("a journal");
    assert_eq!(again.byte_len, bytes.len() as u64);
    assert!(again.document.canvas() == document.canvas());
    assert_eq!(
        again.document.history().done().count(),
        document.history().done().count()
    );
}

#[test]
fn any_flipped_byte_costs_only_what_follows() {
    let session = session();
    for at in (HEAD_BYTES..session.bytes.len()).step_by(7) {
        let mut damaged = session.bytes.clone();
        damaged[at] ^= 0x40;
        let recovered = read(&damaged).expect("a journal");
        let reached = recovered.byte_len as usize;
        assert!(reached <= at, "damage at {at} was taken in");
        let known = session.states.iter().find(|(len, _)| *len == reached);
        let canvas = known.and_then(|(_, canvas)| canvas.as_ref());
        assert!(recovered.document.canvas() == canvas, "damage at {at}");
    }
}

#[test]
fn a_condensed_journal_keeps_undo_and_redo() {
    let mut session = session();
    let (base, entries) = condense(&session.document);
    let mut writer = JournalWriter::create(Vec::new(), base.as_ref()).expect("memory");
    for entry in &entries {
        writer.append(entry).expect("memory");
    }
    let bytes = std::mem::take(writer.get_mut());
    assert!(bytes.len() <= session.bytes.len());
    let mut recovered = read(&bytes).expect("a journal").document;
    assert!(recovered.canvas() == session.document.canvas());
    for document in [&mut recovered, &mut session.document] {
        document.apply(DocumentCommand::Redo);
    }
    assert!(recovered.canvas() == session.document.canvas());
    loop {
        let before = session.document.history().done().count();
        for document in [&mut recovered, &mut session.document] {
            document.apply(DocumentCommand::Undo);
        }
        assert!(recovered.canvas() == session.document.canvas());
        if before == 0 {
            break;
        }
    }
}

#[test]
fn strangers_and_newer_journals_are_refused() {
    assert_eq!(
        read(b"something else, long enough").err(),
        Some(Refused::NotAJournal)
    );
    let mut newer = session().bytes;
    newer[8] = 9;
    assert_eq!(read(&newer).err(), Some(Refused::Newer { version: 9 }));
}
