//! Whole networks at their true size: a guided UNet step and a decode of Stable Diffusion 1.5 at 512 x 512, ours and
//! torch's by turns in one run; and ours of Stable Diffusion XL at 1024 x 1024.

use std::path::Path;
use std::time::Instant;

use candle_core::{Device, Tensor};
use pentimento_engine::cancel::CancelToken;
use pentimento_engine::families::identify;
use pentimento_engine::families::model::{Conditioning, Model, NetworkInput};
use pentimento_engine::kernels::cpu::peak::peak_flops;
use pentimento_engine::kernels::cpu::{Packing, Precision, trusted_isa};
use pentimento_engine::latent::Latents;
use pentimento_engine::nn::{Act, Compute};
use pentimento_engine::prompt::Reading;
use pentimento_engine::weights::files::ModelFiles;

use crate::peer::Peer;
use crate::statistics::{median, range};

/// A model's picture, and the operations of a guided step and of a decode, counted by torch's FlopCounterMode.
#[derive(Clone, Copy)]
struct Work {
    side_px: u32,
    step_flops: f64,
    decode_flops: f64,
}

const FIRST: Work = Work {
    side_px: 512,
    step_flops: 1.607e12,
    decode_flops: 2.515e12,
};
const XL: Work = Work {
    side_px: 1024,
    step_flops: 1.3522e13,
    decode_flops: 1.0470e13,
};
const ROUNDS: usize = 5;

/// A model with encoded prompts, ready to be timed.
pub(crate) struct Ours {
    model: Box<dyn Model>,
    prompts: [Conditioning; 2],
    load_secs: f64,
}

impl Ours {
    pub(crate) fn load(folder: &Path, packing: impl Into<Packing>) -> Self {
        let files = ModelFiles::folder(folder);
        let compute = Compute::cpu(trusted_isa(), packing);
        let cancel = CancelToken::default();
        let began = Instant::now();
        let family = identify(&files).unwrap();
        let model = (family.load)(&files, &compute, &cancel).unwrap();
        model.fetch_all(&cancel).unwrap();
        let load_secs = began.elapsed().as_secs_f64();
        let encode = |text: &str| model.encode_prompt(text, Reading::PLAIN, &cancel).unwrap();
        let prompts = [encode(""), encode("a small red house by the sea")];
        Self {
            model,
            prompts,
            load_secs,
        }
    }

    fn latents(side_px: u32) -> Latents {
        let side = side_px as usize / 8;
        let values = (0..4 * side * side).map(|i| (i as f32 * 0.7).sin());
        Latents::from_values(values.collect(), [1, 4, side, side], &Device::Cpu).unwrap()
    }

    /// The network's answers for both prompts, one after the other.
    fn predict(&self, side_px: u32) -> Vec<Latents> {
        let latents = Self::latents(side_px);
        let input = NetworkInput {
            latents: &latents,
            extra: None,
            timestep: 500.0,
            size_px: [side_px; 2],
            conditions: &[&self.prompts[0], &self.prompts[1]],
            guidance: None,
            deep: None,
            replays: None,
        };
        self.model.predict(&input, &CancelToken::default()).unwrap()
    }

    /// The result of a guided step of the first model's work, and the least of `times` times in seconds.
    pub(crate) fn step(&self, times: usize) -> (Vec<f32>, f64) {
        let mut result = Vec::new();
        let mut least = f64::INFINITY;
        for _ in 0..times {
            let began = Instant::now();
            let answers = self.predict(FIRST.side_px);
            least = least.min(began.elapsed().as_secs_f64());
            let values = |one: &Latents| one.tensor().flatten_all()?.to_vec1::<f32>();
            result = answers
                .iter()
                .flat_map(|one| values(one).unwrap())
                .collect();
        }
        (result, least)
    }

    fn secs(&self, kind: &str, side_px: u32) -> f64 {
        let (latents, cancel) = (Self::latents(side_px), CancelToken::default());
        let began = Instant::now();
        if kind == "unet" {
            std::hint::black_box(self.predict(side_px));
        } else {
            let latents: Tensor = latents.tensor().clone();
            let latents = Act::from_tensor(latents);
            std::hint::black_box(self.model.autoencoder().decode(&latents, &cancel).unwrap());
        }
        began.elapsed().as_secs_f64()
    }
}

/// Prints the table. `folder`: what `full_size.py` wrote; `python`: one with torch, or none.
pub(crate) fn measure(folder: &str, python: Option<&str>) {
    let folder = Path::new(folder).join("diffusers");
    let pool = rayon::ThreadPoolBuilder::new().build().unwrap();
    let mut peer = python.map(|python| Peer::start(python, "torch_networks.py", &folder));
    let versions = peer
        .as_mut()
        .map_or("torch did not run".to_owned(), Peer::answer);
    println!(
        "Stable Diffusion 1.5 (random weights), 512 x 512, {} threads, kernels {}; {ROUNDS} rounds by turns after one\n\
         to warm up. A step is the UNet on two pictures (guidance). GFLOP/s counts also the products that 3x3 \
         convolutions are spared. Reference: {versions}.\n",
        pool.current_num_threads(),
        trusted_isa().name()
    );
    println!(
        "| | ours s | range | torch s | range | ratio | ours GFLOP/s | % of peak |\n|---|---|---|---|---|---|---|---|"
    );
    let mut loads = Vec::new();
    for (precision, name) in [(Precision::Bf16, "bf16"), (Precision::F32, "f32")] {
        let (ours, peak) = pool.install(|| {
            (
                Ours::load(&folder, precision),
                peak_flops(trusted_isa(), precision),
            )
        });
        loads.push(format!("{name} {:.2} s", ours.load_secs));
        for (kind, flops) in [("unet", FIRST.step_flops), ("decode", FIRST.decode_flops)] {
            let order = format!("{kind} {name}");
            let (mut own, mut theirs) = (Vec::new(), Vec::new());
            for round in 0..=ROUNDS {
                let secs = pool.install(|| ours.secs(kind, FIRST.side_px));
                let peer = peer.as_mut().map_or(f64::NAN, |peer| peer.secs(&order));
                if round > 0 {
                    own.push(secs);
                    theirs.push(peer);
                }
            }
            let (mine, other) = (median(&own), median(&theirs));
            println!(
                "| {order} | {mine:.3} | {} | {other:.3} | {} | {:.2} | {:.0} | {:.0} |",
                range(&own, 3),
                range(&theirs, 3),
                mine / other,
                flops / mine / 1e9,
                100.0 * flops / mine / peak
            );
        }
    }
    println!("\nLoading from the page cache: {}.", loads.join(", "));
}

/// Prints the table of XL, bf16 alone. `folder`: what `full_size_xl.py` wrote.
pub(crate) fn measure_xl(folder: &str) {
    let folder = Path::new(folder).join("diffusers");
    let pool = rayon::ThreadPoolBuilder::new().build().unwrap();
    let (ours, peak) = pool.install(|| {
        let peak = peak_flops(trusted_isa(), Precision::Bf16);
        (Ours::load(&folder, Precision::Bf16), peak)
    });
    println!(
        "Stable Diffusion XL (random weights), {0} x {0}, {1} threads, bf16; one run after one to warm up.\n\n\
         | | ours s | ours GFLOP/s | % of peak |\n|---|---|---|---|",
        XL.side_px,
        pool.current_num_threads()
    );
    for (kind, flops) in [("unet", XL.step_flops), ("decode", XL.decode_flops)] {
        let runs = [(); 2].map(|()| pool.install(|| ours.secs(kind, XL.side_px)));
        let secs = runs[1];
        let rate = flops / secs;
        println!(
            "| {kind} | {secs:.2} | {:.0} | {:.0} |",
            rate / 1e9,
            100.0 * rate / peak
        );
    }
    println!("\nLoading from the page cache: {:.2} s.", ours.load_secs);
}
