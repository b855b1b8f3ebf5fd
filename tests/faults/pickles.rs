//! Hostile PyTorch checkpoints: none runs anything, none kills the program.

use pentimento_engine::weights::files::ByteSource;
use pentimento_engine::weights::format;
use support::pickles::{self, Pickle, zip};

use crate::place::Place;

/// The pickle in both layouts.
fn both(pickle: &[u8]) -> [Vec<u8>; 2] {
    let old = [
        pickles::legacy_head(),
        pickle.to_vec(),
        Pickle::default().raw(b"]").end(),
    ]
    .concat();
    [zip(&[("archive/data.pkl", pickle)]), old]
}

#[test]
fn the_known_killers_of_other_readers() {
    let place = Place::new();
    // 50 KB of tuples in tuples overflow a stack; 1 MB overflows the main one.
    for count in [50_000, 1_000_000] {
        let nest = Pickle::default().raw(b")").raw(vec![0x85; count]).end();
        for file in both(&nest) {
            place.refuses("nested tuples", &file, "nested deeper than 64");
        }
        place.refuses("bare nested tuples", &nest, "nested deeper than 64");
    }
    // A memo that copies takes a gigabyte from 130 bytes; by reference it takes nothing.
    let bomb = (0..14).fold(Pickle::default().raw(b")q\0"), |bomb, _| {
        bomb.raw(b"h\0h\0h\0\x87q\0")
    });
    for file in both(&bomb.end()) {
        place.refuses("memo bomb", &file, "no dictionary");
    }
    let long = Pickle::default().raw([0x8a, 200]).raw([0xff; 200]).end();
    for file in both(&long) {
        place.refuses("a long number", &file, "a number of 200 bytes");
    }
    for file in both(&Pickle::default().raw(b"X\xff\xff\xff\xff").end()) {
        place.refuses("a text of 4 GiB", &file, "announced");
    }
    for count in 0..4 {
        let short = Pickle::default()
            .global("torch._utils", "_rebuild_tensor_v2")
            .ints(&vec![1; count])
            .raw(b"R")
            .end();
        for file in both(&short) {
            place.refuses("short arguments", &file, "a tensor");
        }
    }
}

#[test]
fn nothing_that_python_could_run_is_accepted() {
    let place = Place::new();
    for (module, name) in [
        ("posix", "system"),
        ("nt", "system"),
        ("os", "system"),
        ("os", "popen"),
        ("subprocess", "Popen"),
        ("subprocess", "check_output"),
        ("builtins", "eval"),
        ("builtins", "exec"),
        ("builtins", "getattr"),
        ("builtins", "__import__"),
        ("__builtin__", "apply"),
        ("__builtin__", "file"),
        ("importlib", "import_module"),
        ("runpy", "_run_code"),
        ("pickle", "loads"),
        ("shutil", "rmtree"),
        ("socket", "create_connection"),
        ("webbrowser", "open"),
        ("operator", "attrgetter"),
        ("functools", "partial"),
        ("pip._internal", "main"),
        ("asyncio.unix_events", "_UnixSubprocessTransport._start"),
        ("code", "InteractiveInterpreter"),
        ("torch.hub", "load"),
        ("torch", "load"),
        ("torch.utils.data.datapipes.utils.decoder", "basichandlers"),
        ("torch._dynamo", "disable"),
        ("numpyevil", "system"),
    ] {
        let called = Pickle::default()
            .global(module, name)
            .raw(b"(")
            .text("touch /tmp/x")
            .raw(b"tR.")
            .0;
        let modern = Pickle::default()
            .text(module)
            .text(name)
            .raw([0x93])
            .raw(b"(")
            .text("x")
            .raw(b"tR.")
            .0;
        let old = Pickle::default()
            .raw(b"(")
            .text("x")
            .raw(format!("i{module}\n{name}\n."))
            .0;
        for pickle in [called, modern, old] {
            for file in both(&pickle) {
                place.refuses(name, &file, &format!("{module}.{name}"));
            }
        }
    }
    // What training programs leave is left alone, called or not, and named.
    let harmless = Pickle::default()
        .raw(b"}(")
        .text("callbacks")
        .global(
            "pytorch_lightning.callbacks.model_checkpoint",
            "ModelCheckpoint",
        )
        .raw(b")R}b")
        .text("weight")
        .tensor("FloatStorage", "0", 2, &[2])
        .raw(b"u")
        .end();
    let file = zip(&[("archive/data.pkl", &harmless), ("archive/data/0", &[0; 8])]);
    assert_eq!(place.verdict("harmless", &file), Ok(()));
    let source = ByteSource::open(&place.path()).unwrap();
    let header = (format::identify(&source).unwrap().read_header)(&source).unwrap();
    assert_eq!(header.entries.len(), 1);
    assert!(
        header.notes[0].contains("ModelCheckpoint"),
        "{:?}",
        header.notes
    );
}

#[test]
fn malformed_pickles() {
    let place = Place::new();
    let p = Pickle::default;
    let many = p().raw(b"]q\0").raw(b"h\0a".repeat(600_000)).end();
    let deep_lists = p().raw("](".repeat(80)).raw("e".repeat(80)).end();
    let deep_dicts = (0..80)
        .fold(p().raw(b"}"), |pickle, _| {
            pickle.raw(b"q\0}").text("k").raw(b"h\0s")
        })
        .end();
    let called_often = p()
        .raw(b"(")
        .raw(b"K\x01".repeat(100_000))
        .raw(b"tq\x01")
        .global("collections", "OrderedDict")
        .raw(b"q\x02")
        .raw(b"0h\x02h\x01R".repeat(60_000))
        .end();
    for (what, pickle, word) in [
        ("empty", p().0, "announced"),
        ("no end", p().raw(b"}").0, "announced"),
        ("pop of nothing", p().raw(b"0").end(), "nothing is left"),
        ("mark of nothing", p().raw(b"t").end(), "no mark"),
        (
            "an item for a number",
            p().raw(b"K\x01K\x02a").end(),
            "no list",
        ),
        (
            "an entry for a list",
            p().raw(b"]K\x01K\x02s").end(),
            "no dictionary",
        ),
        (
            "a key without a value",
            p().raw(b"}(K\x01u").end(),
            "without a value",
        ),
        (
            "an unknown memo",
            p().raw(b"h\x07").end(),
            "remembered as 7",
        ),
        ("an unknown instruction", p().raw(b"\xff").end(), "0xff"),
        ("an extension", p().raw(b"\x82\x01").end(), "0x82"),
        ("protocol 9", vec![0x80, 2, 0x80, 9, b'.'], "protocol 9"),
        (
            "a text of 2^63",
            p().raw([0x8d]).raw((1_u64 << 63).to_le_bytes()).end(),
            "announced",
        ),
        (
            "a line without an end",
            p().raw(b"cposix").0,
            "without an end",
        ),
        (
            "a list in itself",
            p().raw(b"]q\0h\0a").end(),
            "no dictionary",
        ),
        ("too many instructions", many, "nested deeper"),
        ("lists in lists", deep_lists, "nested deeper"),
        ("dictionaries in dictionaries", deep_dicts, "nested deeper"),
        ("long arguments, often", called_often, "no tensors"),
        (
            "a call of a number",
            p().raw(b"K\x01)R").end(),
            "no function",
        ),
        (
            "a storage of a number",
            p().raw(b"K\x01Q").end(),
            "without a description",
        ),
        (
            "a short storage",
            p().raw(b"(").text("storage").raw(b"tQ").end(),
            "described by 1",
        ),
        ("only a number", p().raw(b"K\x01").end(), "no dictionary"),
    ] {
        for file in both(&pickle) {
            place.refuses(what, &file, word);
        }
    }
    let endless = p().raw(b"N0".repeat(400_000)).end();
    place.refuses(
        "endless",
        &both(&endless)[0],
        "more than 500000 instructions",
    );
}

#[test]
fn tensors_that_do_not_fit_their_storages() {
    let place = Place::new();
    let huge = i64::MAX;
    for (what, tensor, stored, word) in [
        (
            "no storage",
            ("FloatStorage", 4, 0, &[4][..], &[1][..]),
            None,
            "not in the file",
        ),
        (
            "a storage too small",
            ("FloatStorage", 4, 0, &[4], &[1]),
            Some(15),
            "should have 16 bytes",
        ),
        (
            "beyond its storage",
            ("FloatStorage", 4, 0, &[5], &[1]),
            Some(16),
            "ends at byte 20",
        ),
        (
            "behind its storage",
            ("FloatStorage", 4, 2, &[3], &[1]),
            Some(16),
            "ends at byte 20",
        ),
        (
            "before its storage",
            ("FloatStorage", 4, -1, &[4], &[1]),
            Some(16),
            "before",
        ),
        (
            "a negative side",
            ("FloatStorage", 4, 0, &[-4], &[1]),
            Some(16),
            "no length",
        ),
        (
            "a negative stride",
            ("FloatStorage", 4, 0, &[4], &[-1]),
            Some(16),
            "no length",
        ),
        (
            "sides that overflow",
            ("FloatStorage", 4, 0, &[huge, huge, 4], &[1, 1, 1]),
            Some(16),
            "",
        ),
        (
            "strides that overflow",
            ("FloatStorage", 4, 0, &[4, 4], &[huge, 1]),
            Some(16),
            "overflows",
        ),
        (
            "a count that overflows",
            ("FloatStorage", huge, 0, &[4], &[1]),
            Some(16),
            "",
        ),
        (
            "an offset that overflows",
            ("FloatStorage", 4, huge, &[4], &[1]),
            Some(16),
            "overflows",
        ),
        (
            "one number a billion times",
            ("FloatStorage", 4, 0, &[1 << 30], &[0]),
            Some(16),
            "repeats",
        ),
        (
            "two sides, one stride",
            ("FloatStorage", 4, 0, &[2, 2], &[1]),
            Some(16),
            "2 sides and 1",
        ),
        (
            "nine sides",
            ("FloatStorage", 4, 0, &[1; 9], &[1; 9]),
            Some(16),
            "9 dimensions",
        ),
    ] {
        let (class, count, offset, shape, strides) = tensor;
        let pickle = Pickle::default()
            .raw(b"}")
            .text("weight")
            .tensor_at(class, "0", count, offset, shape, strides)
            .raw(b"s")
            .end();
        let data = vec![0; stored.unwrap_or(0)];
        let mut entries: Vec<(&str, &[u8])> = vec![("a/data.pkl", &pickle)];
        if stored.is_some() {
            entries.push(("a/data/0", &data));
        }
        place.refuses(what, &zip(&entries), word);
    }
}

#[test]
fn zip_archives_that_lie() {
    let place = Place::new();
    let pickle = Pickle::default()
        .raw(b"}")
        .text("w")
        .tensor("FloatStorage", "0", 4, &[4])
        .raw(b"s")
        .end();
    let good = zip(&[("a/data.pkl", &pickle), ("a/data/0", &[0; 16])]);
    assert_eq!(place.verdict("good", &good), Ok(()));
    for cut in (0..good.len())
        .step_by(7)
        .chain(good.len() - 30..good.len())
    {
        let what = format!("cut at {cut}");
        assert!(place.verdict(&what, &good[..cut]).is_err(), "{what}");
    }
    place.refuses("no pickle", &zip(&[("a/readme", b"x")]), "data.pkl");
    place.refuses(
        "another byte order",
        &zip(&[("a/data.pkl", &pickle), ("a/byteorder", b"big")]),
        "byte order",
    );
    let end = good.len() - 22;
    let central = u32::from_le_bytes(good[end + 16..end + 20].try_into().unwrap()) as usize;
    let second = central + 46 + "a/data.pkl".len();
    let edit = |at: usize, bytes: &[u8]| {
        let mut file = good.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    };
    for (what, file, word) in [
        ("compressed", edit(central + 10, &[8]), "compressed"),
        ("compressed, said inside", edit(8, &[8]), "compressed"),
        ("encrypted", edit(central + 8, &[1]), "encrypted"),
        (
            "sizes that differ",
            edit(central + 20, &[1]),
            "sizes differ",
        ),
        (
            "a size of 4 GiB",
            edit(
                second + 20,
                &[0xfe, 0xff, 0xff, 0xff, 0xfe, 0xff, 0xff, 0xff],
            ),
            "reaches beyond",
        ),
        (
            "a size that is nowhere",
            edit(second + 20, &[0xff; 8]),
            "size is missing",
        ),
        (
            "entries that overlap",
            edit(second + 42, &[0; 4]),
            "overlap",
        ),
        ("an entry that is none", edit(second + 42, &[1]), ""),
        (
            "an entry beyond the end",
            edit(second + 42, &[0xfe, 0xff, 0xff, 0x7f]),
            "",
        ),
        (
            "more entries than fit",
            edit(end + 10, &[0xff, 0xfe]),
            "entries",
        ),
        (
            "a directory elsewhere",
            edit(end + 16, &[0xff, 0xff, 0xff, 0x7f]),
            "outside",
        ),
        (
            "a directory of 4 GiB",
            edit(end + 12, &[0xfe, 0xff, 0xff, 0xff]),
            "outside",
        ),
        ("no text for a name", edit(central + 46, &[0xff]), "name"),
    ] {
        place.refuses(what, &file, word);
    }
}
