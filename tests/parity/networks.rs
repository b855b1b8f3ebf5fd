//! Every tiny model's networks, and the starter's, against diffusers on the same weights and inputs: at most
//! 1e-4 of the output's scale apart.

use candle_core::{DType, Device};
use pentimento_engine::cancel::CancelToken;
use pentimento_engine::families::identify;
use pentimento_engine::families::model::{Model, NetworkInput};
use pentimento_engine::kernels::cpu::{Packing, trusted_isa};
use pentimento_engine::latent::Latents;
use pentimento_engine::nn::{Act, Compute, MapOrder};
use pentimento_engine::prompt::{Reading, Role};
use pentimento_engine::weights::files::ModelFiles;
use support::compare::expect_near;
use support::fixture::{Fixture, Recorded};
use support::places;

const TOLERANCE: f64 = 1e-4;
/// As in `fixtures/networks/record.py`.
const PROMPTS: [&str; 2] = ["a red apple, 3d", ""];
const CALLS: usize = 5;
const SIZE_PX: [u32; 2] = [120, 88];

/// The paths behind `nn::ops`: our kernels, and the tensor library's operations as their slow twin, with maps in
/// either order, as on cards.
pub(crate) fn paths() -> [Compute; 3] {
    let last = Compute::Tensors {
        device: Device::Cpu,
        dtype: DType::F32,
        order: MapOrder::ChannelsLast,
    };
    let ours = Compute::cpu(trusted_isa(), Packing::F32);
    [ours, Compute::twin(), last]
}

fn load(name: &str, compute: &Compute) -> Box<dyn Model> {
    let files = ModelFiles::folder(places::model(name));
    let family = identify(&files).unwrap_or_else(|error| panic!("{name}: {error}"));
    let model = (family.load)(&files, compute, &CancelToken::default());
    model.unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn act(recorded: &Recorded) -> Act {
    Act::from_values(recorded.values.clone(), &recorded.shape, &Device::Cpu).expect("shape fits")
}

fn values(act: &Act) -> Vec<f32> {
    let tensor = act.to_tensor().expect("values can be read");
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn text_and_unet(name: &str) {
    paths()
        .iter()
        .for_each(|compute| text_and_unet_on(name, compute));
}

fn text_and_unet_on(name: &str, compute: &Compute) {
    let fixture = Fixture::open(&format!("networks/{name}.safetensors"));
    check_text_and_unet(name, load(name, compute).as_ref(), &fixture);
}

/// A model's text encoder and UNet against what was recorded.
pub(crate) fn check_text_and_unet(name: &str, model: &dyn Model, fixture: &Fixture) {
    text_and_unet_within(TOLERANCE, name, model, fixture);
}

fn text_and_unet_within(tolerance: f64, name: &str, model: &dyn Model, fixture: &Fixture) {
    let cancel = CancelToken::default();
    assert!(
        model.warnings().is_empty(),
        "{name}: {:?}",
        model.warnings()
    );

    let roles = [Role::Prompt, Role::Negative];
    let conditions: Vec<_> = PROMPTS
        .iter()
        .zip(roles)
        .map(|(prompt, role)| {
            model
                .encode_prompt(prompt, Reading::default().of(role), &cancel)
                .unwrap()
        })
        .collect();
    let hidden: Vec<f32> = conditions
        .iter()
        .flat_map(|one| values(&one.tokens))
        .collect();
    expect_near(
        &format!("{name}: text"),
        &hidden,
        &fixture.f32("hidden").values,
        tolerance,
    );

    let pooled: Vec<f32> = conditions
        .iter()
        .filter_map(|one| one.pooled.as_ref())
        .flat_map(values)
        .collect();
    assert_eq!(pooled.is_empty(), !fixture.has("pooled"), "{name}");
    if !pooled.is_empty() {
        let reference = fixture.f32("pooled");
        expect_near(
            &format!("{name}: whole text"),
            &pooled,
            &reference.values,
            tolerance,
        );
    }

    let guidance = fixture
        .has("guidance")
        .then(|| f64::from(fixture.f32("guidance").values[0]));
    assert_eq!(
        guidance.is_some(),
        model.facts().guidance_channels.is_some(),
        "{name}"
    );
    let conditions: Vec<_> = conditions.iter().collect();
    for call in 0..CALLS {
        let x = act(&fixture.f32(&format!("unet.{call}.x")))
            .to_tensor()
            .unwrap();
        let channels = model.facts().latent_channels;
        let extra_channels = x.dims()[1] - channels;
        let sees = model.facts().inpainting || model.facts().edits;
        assert_eq!(extra_channels > 0, sees, "{name}");
        let extra = (extra_channels > 0).then(|| {
            x.narrow(1, channels, extra_channels)
                .unwrap()
                .contiguous()
                .unwrap()
        });
        let latents = Latents::new(x.narrow(1, 0, channels).unwrap().contiguous().unwrap());
        let timestep = f64::from(fixture.f32(&format!("unet.{call}.t")).values[0]);
        let input = NetworkInput {
            latents: &latents,
            extra: extra.as_ref(),
            timestep,
            size_px: SIZE_PX,
            conditions: &conditions,
            guidance,
            deep: None,
            replays: None,
        };
        let both = model.predict(&input, &cancel).unwrap();
        let ours: Vec<f32> = both
            .iter()
            .flat_map(|one| one.to_values().unwrap())
            .collect();
        let reference = fixture.f32(&format!("unet.{call}.y"));
        expect_near(
            &format!("{name}: unet at {timestep}"),
            &ours,
            &reference.values,
            tolerance,
        );
    }
}

fn autoencoder(name: &str) {
    paths()
        .iter()
        .for_each(|compute| autoencoder_on(name, compute));
}

fn autoencoder_on(name: &str, compute: &Compute) {
    let fixture = Fixture::open(&format!("networks/{name}.safetensors"));
    check_autoencoder(name, load(name, compute).as_ref(), &fixture);
}

/// A model's autoencoder against what was recorded, both ways.
pub(crate) fn check_autoencoder(name: &str, model: &dyn Model, fixture: &Fixture) {
    autoencoder_within(TOLERANCE, name, model, fixture);
}

fn autoencoder_within(tolerance: f64, name: &str, model: &dyn Model, fixture: &Fixture) {
    let cancel = CancelToken::default();
    let autoencoder = model.autoencoder();

    let decoded = autoencoder
        .decode(&act(&fixture.f32("vae.z")), &cancel)
        .unwrap();
    let reference = fixture.f32("vae.decoded");
    expect_near(
        &format!("{name}: decoder"),
        &values(&decoded),
        &reference.values,
        tolerance,
    );

    let moments = autoencoder
        .encode(&act(&fixture.f32("vae.picture")), &cancel)
        .unwrap();
    let mean: Vec<f32> = moments.mean.flatten_all().unwrap().to_vec1().unwrap();
    expect_near(
        &format!("{name}: encoder"),
        &mean,
        &fixture.f32("vae.mean").values,
        tolerance,
    );
    assert_eq!(moments.std.is_some(), fixture.has("vae.std"), "{name}");
    if let Some(std) = moments.std {
        let std: Vec<f32> = std.flatten_all().unwrap().to_vec1().unwrap();
        let reference = fixture.f32("vae.std");
        expect_near(
            &format!("{name}: encoder's spread"),
            &std,
            &reference.values,
            tolerance,
        );
    }
}

macro_rules! each_model {
    ($($name:ident),*) => {$(
        mod $name {
            #[test]
            fn text_and_unet() {
                super::text_and_unet(stringify!($name));
            }

            #[test]
            fn autoencoder() {
                super::autoencoder(stringify!($name));
            }
        }
    )*};
}

each_model!(
    sd1,
    sd2,
    inpainting,
    lcm,
    mixed,
    plain,
    starter,
    xl,
    xl_inpainting,
    xl_refiner,
    sd1_edit,
    xl_edit
);

#[test]
fn every_model_is_tested() {
    let mut folders: Vec<String> = std::fs::read_dir(places::fixture("models"))
        .unwrap()
        .filter_map(|entry| {
            let entry = entry.unwrap();
            entry
                .file_type()
                .unwrap()
                .is_dir()
                .then(|| entry.file_name().into_string().unwrap())
        })
        .filter(|name| !name.starts_with('_'))
        .collect();
    folders.push("starter".to_owned());
    folders.sort();
    let mut known = places::MODELS.map(str::to_owned).to_vec();
    known.sort();
    assert_eq!(folders, known);
}

/// The number types of graphics cards, as far as the tensor library has them on the CPU: f16 stands for
/// bf16 too. Eleven bits of significand, through two dozen layers.
#[test]
fn half_precision_of_the_tensor_path_is_near() {
    let compute = Compute::Tensors {
        device: Device::Cpu,
        dtype: DType::F16,
        order: MapOrder::ChannelsLast,
    };
    for name in ["sd1", "sd2", "lcm", "xl", "mixed"] {
        let fixture = Fixture::open(&format!("networks/{name}.safetensors"));
        let model = load(name, &compute);
        text_and_unet_within(2e-2, name, model.as_ref(), &fixture);
        autoencoder_within(2e-2, name, model.as_ref(), &fixture);
        let reference = weighted_beside_plain(load(name, &Compute::twin()).as_ref(), &fixture);
        let ours = weighted_beside_plain(model.as_ref(), &fixture);
        expect_near(&format!("{name}: weighted"), &ours, &reference, 2e-2);
    }
}

/// What the network makes of a prompt with weights and one without, asked together: weighting computes in f32.
fn weighted_beside_plain(model: &dyn Model, fixture: &Fixture) -> Vec<f32> {
    let cancel = CancelToken::default();
    let texts = [
        ("a (red:1.3) apple, 3d", Role::Prompt),
        ("", Role::Negative),
    ];
    let conditions = texts.map(|(text, role)| {
        let reading = Reading::default().of(role);
        model.encode_prompt(text, reading, &cancel).unwrap()
    });
    let latents = Latents::new(act(&fixture.f32("unet.0.x")).to_tensor().unwrap());
    let input = NetworkInput {
        latents: &latents,
        extra: None,
        timestep: f64::from(fixture.f32("unet.0.t").values[0]),
        size_px: SIZE_PX,
        conditions: &conditions.iter().collect::<Vec<_>>(),
        guidance: fixture
            .has("guidance")
            .then(|| f64::from(fixture.f32("guidance").values[0])),
        deep: None,
        replays: None,
    };
    let both = model.predict(&input, &cancel).unwrap();
    both.iter()
        .flat_map(|one| one.to_values().unwrap())
        .collect()
}

/// Decoders of tiny autoencoders alone, in the layouts that people keep them in.
#[test]
fn tiny_decoder_in_every_layout() {
    use pentimento_engine::families::FAMILIES;
    use pentimento_engine::families::model::StandIn;
    let fixture = Fixture::open("tiny_decoder/decoded.safetensors");
    for name in [
        "taesd_decoder.safetensors",
        "taesd_decoder.pth",
        "folder/diffusion_pytorch_model.safetensors",
    ] {
        let path = places::fixture("tiny_decoder").join(name);
        let wanted = StandIn {
            path: &path,
            tiny: true,
            latent_channels: 4,
            factor: 8,
            scaling_factor: 0.18215,
        };
        for compute in paths() {
            let cancel = CancelToken::default();
            let decoder = (FAMILIES[0].stand_in)(&wanted, &compute, &cancel);
            let decoder = decoder.unwrap_or_else(|error| panic!("{name}: {error}"));
            let decoded = decoder.decode(&act(&fixture.f32("z")), &cancel).unwrap();
            let reference = fixture.f32("y");
            expect_near(name, &values(&decoded), &reference.values, TOLERANCE);
        }
    }
}
