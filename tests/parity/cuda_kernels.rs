//! The fused kernels for NVIDIA cards, without one: `kernels.cu` is compiled as C++ with a few lines in CUDA's
//! place, each thread of a block being a thread of the system, and compared with its slow twin. What this cannot
//! show (the compiler for cards, the order of launch arguments) a card is asked before it is trusted.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use half::{bf16, f16};
use pentimento_engine::kernels::cpu::Activation;
use pentimento_engine::kernels::cuda::function;
use pentimento_engine::kernels::cuda::geometry::{self, ChannelSums, Grid, THREADS};
use pentimento_engine::kernels::cuda::reference::{self, Finish, Shape};

const FUNCTIONS: [Activation; 5] = [
    Activation::None,
    Activation::Silu,
    Activation::Gelu,
    Activation::QuickGelu,
    Activation::Relu,
];

#[derive(Clone, Copy, Debug)]
enum Type {
    F32,
    F16,
    Bf16,
}

impl Type {
    const ALL: [Self; 3] = [Self::F32, Self::F16, Self::Bf16];

    /// Values as this type holds them: their bytes, and what these mean.
    fn stored(self, values: &[f32]) -> (Vec<u8>, Vec<f32>) {
        let bytes = values.iter().flat_map(|&x| match self {
            Self::F32 => x.to_le_bytes().to_vec(),
            Self::F16 => f16::from_f32(x).to_le_bytes().to_vec(),
            Self::Bf16 => bf16::from_f32(x).to_le_bytes().to_vec(),
        });
        let bytes: Vec<u8> = bytes.collect();
        let values = self.read(&bytes);
        (bytes, values)
    }

    fn read(self, bytes: &[u8]) -> Vec<f32> {
        let pairs = || bytes.chunks_exact(2).map(|pair| [pair[0], pair[1]]);
        match self {
            Self::F32 => floats(bytes),
            Self::F16 => pairs().map(|x| f16::from_le_bytes(x).to_f32()).collect(),
            Self::Bf16 => pairs().map(|x| bf16::from_le_bytes(x).to_f32()).collect(),
        }
    }

    const fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    /// Half of a last place, in parts of the value, which storing a result may cost.
    const fn rounding(self) -> f64 {
        match self {
            Self::F32 => 0.0,
            Self::F16 => 1.0 / 2048.0,
            Self::Bf16 => 1.0 / 256.0,
        }
    }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let fours = bytes.chunks_exact(4);
    fours
        .map(|x| f32::from_le_bytes([x[0], x[1], x[2], x[3]]))
        .collect()
}

fn float_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// Numbers without a pattern, `middle` - 1 to `middle` + 1.
fn numbers(count: usize, seed: u32, middle: f32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 8_388_608.0 - 1.0 + middle
        })
        .collect()
}

/// How a launch is cut: threads of a block, grid of the first of two kernels, grid.
#[derive(Clone, Copy, Debug)]
struct Cut {
    threads: u32,
    sums: Grid,
    grid: Grid,
}

/// One launch, as `Header` in `cuda_emulation.cpp` reads it, with what it must give.
struct Case {
    name: String,
    number: Type,
    head: Vec<u64>,
    given: Vec<Vec<u8>>,
    want: Vec<f64>,
    /// Of f32 arithmetic, in parts of the largest value.
    limit: f64,
}

impl Case {
    fn new(name: String, number: Type, given: Vec<Vec<u8>>, want: Vec<f64>) -> Self {
        Self {
            name,
            number,
            head: Vec::new(),
            given,
            want,
            // A few roundings of 6e-8 in sums of some hundred values, in exp and in erf.
            limit: 2e-6,
        }
    }

    fn launched(
        mut self,
        operation: u64,
        cut: Cut,
        numbers: &[usize],
        activation: Activation,
    ) -> Self {
        let Cut {
            threads,
            sums,
            grid,
        } = cut;
        let blocks = [threads, sums.0, sums.1, grid.0, grid.1].map(u64::from);
        let bytes = self.want.len() * self.number.bytes();
        self.head = vec![operation, self.number as u64];
        self.head.extend(blocks);
        self.head
            .extend((0..6).map(|at| numbers.get(at).map_or(0, |number| *number as u64)));
        let code = function(activation).expect("a function of the kernels");
        self.head
            .extend([code as u64, u64::from(EPSILON.to_bits()), bytes as u64]);
        self.name += &format!(", {:?}, {cut:?}", self.number);
        self
    }

    fn write(&self, to: &mut Vec<u8>) {
        to.extend(self.head.iter().flat_map(|number| number.to_le_bytes()));
        for at in 0..4 {
            let buffer = self.given.get(at).map_or(&[][..], Vec::as_slice);
            to.extend((buffer.len() as u64).to_le_bytes());
            to.extend(buffer);
        }
    }

    /// What is wrong with the result.
    fn wrong(&self, got: &[u8]) -> Option<String> {
        let got = self.number.read(got);
        let scale = self
            .want
            .iter()
            .fold(0.0_f64, |scale, x| scale.max(x.abs()));
        let near = |got: f32, want: f64| {
            let off = (f64::from(got) - want).abs();
            off <= self.limit * scale + self.number.rounding() * want.abs()
        };
        let mut pairs = got.iter().zip(&self.want).enumerate();
        let (at, (got, want)) = pairs.find(|(_, (got, want))| !near(**got, **want))?;
        Some(format!("{}: [{at}] is {got}, not {want}", self.name))
    }
}

const EPSILON: f32 = 1e-5;

fn group_norms() -> Vec<Case> {
    let mut cases = Vec::new();
    let shapes = [
        // Pictures, channels, pixels, groups; middle of the values.
        (2, 12, 35, 3, 0.5),
        (1, 6, 1, 3, 0.0),
        (1, 1, 1, 1, 0.0),
        (2, 5, 17, 5, 0.0),
        (3, 8, 9, 1, -2.0),
        (1, 4, 601, 2, 0.0),
        // A variance of a third beside a mean of 100.
        (1, 4, 64, 2, 100.0),
    ];
    for (index, (pictures, channels, pixels, groups, middle)) in shapes.into_iter().enumerate() {
        let group = channels / groups;
        let (runs, length) = (pictures * groups, group * pixels);
        let planes = pictures * channels;
        let real = Cut {
            threads: THREADS,
            sums: geometry::sums(runs, length),
            grid: geometry::pass(planes, pixels),
        };
        let cut = |threads, sums, grid| Cut {
            threads,
            sums,
            grid,
        };
        let cuts = [
            cut(8, (1, 1), (1, 1)),
            cut(4, (3, 2), (2, 3)),
            // More splits than threads, and most often than values.
            cut(2, (19, 1), (3, 2)),
            cut(1, (2, 5), (1, 4)),
            cut(16, (2, 2), (1, 2)),
        ];
        let cuts = cuts.into_iter().chain((index == 0).then_some(real));
        for (at, cut) in cuts.enumerate() {
            for number in Type::ALL {
                let (x, values) = number.stored(&numbers(planes * pixels, 1, middle));
                let (weight, bias) = (numbers(channels, 2, 0.5), numbers(channels, 3, 0.0));
                let activation = FUNCTIONS[at % 2];
                let want = reference::group_norm(
                    &values,
                    (channels, pixels, group),
                    [&weight, &bias],
                    f64::from(EPSILON),
                    activation,
                );
                let given = vec![x, float_bytes(&weight), float_bytes(&bias)];
                let name = format!("group norm {pictures} {channels} {pixels} {groups}");
                let case = Case {
                    // The mean's own rounding, 100 times that of a value.
                    limit: if middle > 10.0 { 3e-5 } else { 2e-6 },
                    ..Case::new(name, number, given, want)
                };
                cases.push(case.launched(0, cut, &[planes, pixels, channels, group], activation));
            }
        }
    }
    cases
}

/// The same norm of the same numbers, lying channels last.
fn group_norms_last() -> Vec<Case> {
    let mut cases = Vec::new();
    let shapes = [
        // Pictures, channels, pixels, groups; middle of the values.
        (2, 12, 35, 3, 0.5),
        (1, 6, 1, 3, 0.0),
        (1, 1, 1, 1, 0.0),
        (3, 8, 9, 1, -2.0),
        (2, 5, 17, 5, 0.0),
        // More channels than threads side by side.
        (1, 600, 3, 2, 0.0),
        // A variance of a third beside a mean of 100.
        (1, 4, 64, 2, 100.0),
    ];
    for (pictures, channels, pixels, groups, middle) in shapes {
        let group = channels / groups;
        let real = ChannelSums::new(pictures, pixels, channels);
        // Threads and width of the sums, their grid, threads of the rest, their grid.
        let cuts = [
            (1, 1, (1, 1), 1, (1, 1)),
            // The last row of threads is no whole one.
            (7, 3, (2, 1), 4, (2, 3)),
            (6, 2, (1, 5), 8, (3, 1)),
            // More parts than pixels.
            (8, 1, (9, 2), 2, (19, 2)),
        ];
        let real = (
            real.threads as usize,
            real.width as usize,
            real.grid,
            16,
            geometry::pass(pictures, pixels * channels),
        );
        let cuts = cuts.into_iter().chain((channels < 100).then_some(real));
        for (at, (sums_threads, width, sums, threads, grid)) in cuts.enumerate() {
            let cut = Cut {
                threads,
                sums,
                grid,
            };
            for number in Type::ALL {
                let (x, values) = number.stored(&numbers(pictures * channels * pixels, 1, middle));
                let (weight, bias) = (numbers(channels, 2, 0.5), numbers(channels, 3, 0.0));
                let activation = FUNCTIONS[at % 2];
                let want = reference::group_norm(
                    &reference::transposed(&values, pixels, channels),
                    (channels, pixels, group),
                    [&weight, &bias],
                    f64::from(EPSILON),
                    activation,
                );
                let want = reference::transposed(&want, channels, pixels);
                let given = vec![x, float_bytes(&weight), float_bytes(&bias)];
                let name = format!(
                    "group norm last {pictures} {channels} {pixels} {groups}, {sums_threads} {width}"
                );
                let case = Case {
                    limit: if middle > 10.0 { 3e-5 } else { 2e-6 },
                    ..Case::new(name, number, given, want)
                };
                let numbers = [pictures, pixels, channels, group, width, sums_threads];
                cases.push(case.launched(4, cut, &numbers, activation));
            }
        }
    }
    cases
}

fn enlargements() -> Vec<Case> {
    let mut cases = Vec::new();
    for (pictures, size, to, channels) in [
        (2, [3, 5], [6, 10], 7),
        (1, [5, 3], [9, 5], 19),
        (1, [1, 1], [1, 1], 1),
        (2, [2, 2], [5, 3], 4),
    ] {
        for cut in pass_cuts(pictures * to[0] * to[1], channels) {
            for number in Type::ALL {
                let count = pictures * size[0] * size[1] * channels;
                let (x, values) = number.stored(&numbers(count, 13, 0.0));
                let want = reference::enlarge(&values, (pictures, size, channels), to);
                let name = format!("enlarge {pictures} {size:?} {to:?} {channels}");
                let case = Case::new(name, number, vec![x], want);
                let numbers = [pictures, size[0], size[1], to[0], to[1], channels];
                cases.push(case.launched(5, cut, &numbers, Activation::None));
            }
        }
    }
    cases
}

fn layer_norms() -> Vec<Case> {
    let mut cases = Vec::new();
    for (rows, channels) in [(5, 33), (1, 1), (3, 7), (2, 320)] {
        for (threads, grid) in [(8, (2, 1)), (1, (1, 1)), (16, geometry::rows(rows))] {
            for number in Type::ALL {
                let (x, values) = number.stored(&numbers(rows * channels, 4, 0.7));
                let (weight, bias) = (numbers(channels, 5, 0.5), numbers(channels, 6, 0.0));
                let want = reference::layer_norm(&values, [&weight, &bias], f64::from(EPSILON));
                let given = vec![x, float_bytes(&weight), float_bytes(&bias)];
                let name = format!("layer norm {rows} {channels}");
                let cut = Cut {
                    threads,
                    sums: (0, 0),
                    grid,
                };
                let case = Case::new(name, number, given, want);
                cases.push(case.launched(1, cut, &[rows, channels], Activation::None));
            }
        }
    }
    cases
}

/// Cuts of a pass: a real one and awkward ones.
fn pass_cuts(rows: usize, length: usize) -> [Cut; 4] {
    let cut = |threads, grid| Cut {
        threads,
        sums: (0, 0),
        grid,
    };
    [
        cut(4, (1, 1)),
        cut(2, (3, 2)),
        cut(1, (1, rows as u32 + 1)),
        cut(8, geometry::pass(rows, length)),
    ]
}

fn geglus() -> Vec<Case> {
    let mut cases = Vec::new();
    for (rows, half) in [(3, 37), (1, 1), (4, 64)] {
        for (at, cut) in pass_cuts(rows, half).into_iter().enumerate() {
            for number in Type::ALL {
                let (x, values) = number.stored(&numbers(rows * 2 * half, 7, 0.0));
                let bias = (at % 2 == 0).then(|| numbers(2 * half, 8, 0.0));
                let want = reference::geglu(&values, half, bias.as_deref());
                let name = format!("geglu {rows} {half} {}", bias.is_some());
                let given = vec![x, float_bytes(&bias.unwrap_or_default())];
                let case = Case::new(name, number, given, want);
                cases.push(case.launched(2, cut, &[rows, half], Activation::None));
            }
        }
    }
    cases
}

/// Rows, their length and the rows of a picture, as `launch.rs` counts them.
fn rows_of(shape: Shape) -> (usize, usize, usize) {
    match shape {
        Shape::Map {
            pictures,
            channels,
            pixels,
        } => (pictures * channels, pixels, channels),
        Shape::Tokens {
            pictures,
            tokens,
            channels,
        } => (pictures * tokens, channels, tokens),
    }
}

fn finishes() -> Vec<Case> {
    let map = |pictures, channels, pixels| Shape::Map {
        pictures,
        channels,
        pixels,
    };
    let tokens = |pictures, tokens, channels| Shape::Tokens {
        pictures,
        tokens,
        channels,
    };
    let shapes = [
        map(2, 5, 63),
        map(3, 4, 1),
        map(1, 1, 7),
        tokens(2, 3, 37),
        tokens(3, 1, 5),
        tokens(1, 1, 1),
    ];
    let mut cases = Vec::new();
    for shape in shapes {
        let (rows, length, rows_a_picture) = rows_of(shape);
        let pictures = rows / rows_a_picture;
        let is_map = matches!(shape, Shape::Map { .. });
        // Every choice of parts, with a function each in turn.
        for parts in 0..8_usize {
            for (at, number) in Type::ALL.into_iter().enumerate() {
                let activation = FUNCTIONS[(parts + at) % FUNCTIONS.len()];
                let cut = pass_cuts(rows, length)[(parts + at) % 4];
                let of = |bit: usize, count: usize, seed: u32| {
                    let count = if parts & bit == 0 { 0 } else { count };
                    numbers(count, seed, 0.0)
                };
                let (x, values) = number.stored(&numbers(shape.values(), 9, 0.0));
                let bias = of(1, shape.channels(), 10);
                let (vector, vectors) = number.stored(&of(2, pictures * shape.channels(), 11));
                let (residual, residuals) = number.stored(&of(4, shape.values(), 12));
                let with = Finish {
                    bias: (!bias.is_empty()).then_some(&bias),
                    vector: (!vectors.is_empty()).then_some(&vectors),
                    activation,
                    residual: (!residuals.is_empty()).then_some(&residuals),
                };
                let want = reference::finish(&values, shape, with);
                let given = vec![x, float_bytes(&bias), vector, residual];
                let name = format!("finish {shape:?}, parts {parts}, {activation:?}");
                let numbers = [rows, length, rows_a_picture, usize::from(is_map)];
                let case = Case::new(name, number, given, want);
                cases.push(case.launched(3, cut, &numbers, activation));
            }
        }
    }
    cases
}

/// Compiles the kernels into `folder`; `None` without a C++ compiler.
fn compiled(folder: &Path) -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = folder.join("emulation");
    // With checks of memory and of arithmetic where the compiler has them; not every system has their libraries.
    for checks in [
        &["-fsanitize=address,undefined", "-fno-sanitize-recover=all"][..],
        &[],
    ] {
        for compiler in ["c++", "g++"] {
            let mut command = Command::new(compiler);
            command
                .args(["-std=c++17", "-O1", "-pthread", "-Wall", "-Werror"])
                .arg("-DPENTIMENTO_EMULATION")
                .args(checks)
                .arg("-I")
                .arg(here.join("parity"))
                .arg("-I")
                .arg(here.join("../engine/src/kernels/cuda"))
                .arg("-o")
                .arg(&program)
                .arg(here.join("parity/cuda_emulation.cpp"));
            let Ok(done) = command.output() else {
                continue;
            };
            if done.status.success() {
                return Some(program);
            }
            let said = String::from_utf8_lossy(&done.stderr);
            assert!(!checks.is_empty(), "{compiler}: {said}");
        }
    }
    None
}

#[test]
#[allow(
    clippy::print_stderr,
    reason = "a check that is left out is said aloud"
)]
fn fused_kernels_match_their_twins() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(program) = compiled(folder.path()) else {
        eprintln!("SKIPPED: no C++ compiler (c++, g++); the fused kernels were not run");
        return;
    };
    let cases: Vec<Case> = [
        group_norms(),
        group_norms_last(),
        layer_norms(),
        geglus(),
        finishes(),
        enlargements(),
    ]
    .into_iter()
    .flatten()
    .collect();
    let mut input = Vec::new();
    for case in &cases {
        case.write(&mut input);
    }
    let (from, to) = (folder.path().join("cases"), folder.path().join("results"));
    fs::write(&from, input).expect("cases are written");
    let done = Command::new(program)
        .args([&from, &to])
        // Leaks are of no interest, and their search needs rights that not every container gives.
        .env("ASAN_OPTIONS", "detect_leaks=0")
        .output()
        .expect("the emulation starts");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{}: {said}", done.status);
    let results = fs::read(&to).expect("results are read");
    let mut at = 0;
    let mut wrong = Vec::new();
    for case in &cases {
        let bytes = case.want.len() * case.number.bytes();
        wrong.extend(case.wrong(&results[at..at + bytes]));
        at += bytes;
    }
    assert_eq!(at, results.len());
    let (count, of) = (wrong.len(), cases.len());
    wrong.truncate(12);
    assert_eq!(count, 0, "of {of} cases, {count} are wrong: {wrong:#?}");
}
