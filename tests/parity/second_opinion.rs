//! A second opinion beside diffusers: candle-transformers on the same weights.

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::clip::text_model::{
    Activation, ClipTextConfig, ClipTextTransformer,
};
use candle_transformers::models::stable_diffusion::vae::{AutoEncoderKL, AutoEncoderKLConfig};
use pentimento_engine::cancel::CancelToken;
use pentimento_engine::families::identify;
use pentimento_engine::families::model::Model;
use pentimento_engine::kernels::cpu::{Packing, trusted_isa};
use pentimento_engine::nn::{Act, Compute};
use pentimento_engine::prompt::Reading;
use pentimento_engine::prompt::tokenizer::Tokenizer;
use pentimento_engine::weights::files::ModelFiles;
use support::compare::expect_near;
use support::places;

fn weights(model: &str, relative: &str) -> VarBuilder<'static> {
    let path = places::model(model).join(relative);
    let tensors = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
    let wide = tensors
        .into_iter()
        .map(|(name, tensor)| (name, tensor.to_dtype(DType::F32).unwrap()));
    VarBuilder::from_tensors(wide.collect(), DType::F32, &Device::Cpu)
}

fn load(name: &str) -> (ModelFiles, Box<dyn Model>) {
    let files = ModelFiles::folder(places::model(name));
    let family = identify(&files).unwrap();
    let compute = Compute::cpu(trusted_isa(), Packing::F32);
    let model = (family.load)(&files, &compute, &CancelToken::default()).unwrap();
    (files, model)
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn text_encoder_agrees_with_candle_transformers() {
    let (files, model) = load("sd1");
    let prompt = "a wizard with a blue hat, 3d";
    let ours = model
        .encode_prompt(prompt, Reading::default(), &CancelToken::default())
        .unwrap();

    let ids = Tokenizer::read(&files, "tokenizer", 77)
        .unwrap()
        .encode(prompt)
        .unwrap()
        .ids;
    let config = ClipTextConfig {
        vocab_size: 623,
        embed_dim: 32,
        activation: Activation::QuickGelu,
        intermediate_size: 64,
        max_position_embeddings: 77,
        pad_with: None,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        projection_dim: 32,
    };
    let weights = weights("sd1", "text_encoder/model.safetensors").pp("text_model");
    let theirs = ClipTextTransformer::new(weights, &config).unwrap();
    let ids = Tensor::new(ids.as_slice(), &Device::Cpu)
        .unwrap()
        .unsqueeze(0)
        .unwrap();
    let theirs = theirs.forward_with_mask(&ids, usize::MAX).unwrap();
    expect_near(
        "text",
        &flat(&ours.tokens.to_tensor().unwrap()),
        &flat(&theirs),
        1e-5,
    );
}

#[test]
fn autoencoder_agrees_with_candle_transformers() {
    let (_, model) = load("sd2");
    let config = AutoEncoderKLConfig {
        block_out_channels: vec![8, 16, 16, 16],
        layers_per_block: 1,
        latent_channels: 4,
        norm_num_groups: 4,
        use_quant_conv: true,
        use_post_quant_conv: true,
    };
    let theirs = AutoEncoderKL::new(
        weights("sd2", "vae/diffusion_pytorch_model.safetensors"),
        3,
        3,
        config,
    )
    .unwrap();
    let wave: Vec<f32> = (0..4 * 6 * 5)
        .map(|n| (n as f32 * 0.7).sin() * 1.5)
        .collect();
    let latents = Tensor::from_vec(wave, (1, 4, 6, 5), &Device::Cpu).unwrap();
    let ours = model
        .autoencoder()
        .decode(&Act::from_tensor(latents.clone()), &CancelToken::default())
        .unwrap();
    let theirs = theirs.decode(&latents).unwrap();
    expect_near(
        "decoder",
        &flat(&ours.to_tensor().unwrap()),
        &flat(&theirs),
        1e-5,
    );
}
