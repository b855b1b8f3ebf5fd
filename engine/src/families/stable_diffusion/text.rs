//! CLIP text transformer (Radford et al. 2021), as transformers' `CLIPTextModel`: tokens to the
//! last hidden state after the final layer norm; and as `CLIPTextModelWithProjection`: to the states
//! of an inner layer, and to one vector for the whole text.

use serde_json::json;

use crate::cancel::CancelToken;
use crate::error::{EngineError, Result};
use crate::families::config::Config;
use crate::nn::ops::{self, Activation, Then};
use crate::nn::{Act, Embedding, LayerNorm, Linear};
use crate::weights::Scope;
use crate::weights::files::ModelFiles;

/// Sizes of a text transformer.
#[derive(Clone, Debug)]
pub struct TextConfig {
    /// Rows of the token table.
    pub vocabulary: usize,
    /// Channels of a token.
    pub channels: usize,
    /// Channels inside the feed-forward layers.
    pub inner: usize,
    /// Transformer layers.
    pub layers: usize,
    /// Attention heads.
    pub heads: usize,
    /// Tokens it reads, start and end marks included.
    pub context: usize,
    /// Pointwise function of the feed-forward layers.
    pub activation: Activation,
    /// Epsilon of the layer norms.
    pub epsilon: f64,
    /// Channels of the whole text's vector, where the transformer has a projection to it.
    pub projection: usize,
}

impl TextConfig {
    /// Reads `<folder>/config.json`.
    ///
    /// # Errors
    /// `BadFile` for malformed fields, `UnsupportedModel` for ones this build cannot run.
    pub fn read(files: &ModelFiles, folder: &str) -> Result<Self> {
        let mut config = Config::read(files, &format!("{folder}/config.json"))?;
        config.only("model_type", &[json!("clip_text_model")])?;
        let activation = match config.text("hidden_act", "quick_gelu")?.as_str() {
            "quick_gelu" => Activation::QuickGelu,
            "gelu" => Activation::Gelu,
            other => return Err(config.unsupported("hidden_act", &json!(other))),
        };
        let this = Self {
            vocabulary: config.count("vocab_size", 49408)?,
            channels: config.count("hidden_size", 512)?,
            inner: config.count("intermediate_size", 2048)?,
            layers: config.count("num_hidden_layers", 12)?,
            heads: config.count("num_attention_heads", 8)?,
            context: config.count("max_position_embeddings", 77)?,
            activation,
            epsilon: config.number("layer_norm_eps", 1e-5)?,
            projection: config.count("projection_dim", 512)?,
        };
        if !this.channels.is_multiple_of(this.heads) {
            return Err(config.bad("num_attention_heads", "must divide hidden_size"));
        }
        if this.context < 3 {
            return Err(config.bad("max_position_embeddings", "must be at least 3"));
        }
        // Training, housekeeping, and where the text ends, which the tokenizer knows.
        config.skip(&[
            "architectures",
            "attention_dropout",
            "dropout",
            "dtype",
            "torch_dtype",
            "transformers_version",
            "initializer_factor",
            "initializer_range",
            "bos_token_id",
            "eos_token_id",
            "pad_token_id",
            "gradient_checkpointing",
            "use_cache",
            "hidden_act",
            "return_dict",
            "tie_word_embeddings",
            "is_encoder_decoder",
            "is_decoder",
            "chunk_size_feed_forward",
            "output_attentions",
            "output_hidden_states",
            "problem_type",
            "id2label",
            "label2id",
        ]);
        config.finish()?;
        Ok(this)
    }
}

/// The loaded transformer.
pub struct TextEncoder {
    tokens: Embedding,
    positions: Embedding,
    layers: Vec<Layer>,
    last_norm: LayerNorm,
    projection: Option<Linear>,
    config: TextConfig,
}

/// What a text transformer gives where its inner states are wanted.
pub struct Inner {
    /// Hidden states (1, N, channels) after an inner layer, without norm.
    pub hidden: Act,
    /// The whole text (1, 1, projection): the state at its end after the last layer, normalised and
    /// projected. `None` where the transformer was loaded without its projection.
    pub pooled: Option<Act>,
}

struct Layer {
    norm_1: LayerNorm,
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    norm_2: LayerNorm,
    up: Linear,
    down: Linear,
}

impl TextEncoder {
    /// Loads the weights, with or without the prefix `text_model.` of older files.
    ///
    /// # Errors
    /// As [`Scope::tensor`].
    pub fn load(config: TextConfig, root: &Scope<'_>) -> Result<Self> {
        let nested = root.has("text_model.final_layer_norm.weight");
        let scope = if nested {
            root.at("text_model")
        } else {
            root.clone()
        };
        let (width, epsilon) = (config.channels, config.epsilon);
        let embeddings = scope.at("embeddings");
        embeddings.ignore("position_ids");
        let table = |name: &str, rows| Embedding::load(&embeddings.at(name), rows, width);
        let layers = (0..config.layers).map(|index| {
            let scope = scope.at("encoder.layers").at(index);
            let attention = scope.at("self_attn");
            let square = |name: &str| Linear::load(&attention.at(name), [width, width]);
            Ok(Layer {
                norm_1: LayerNorm::load(&scope.at("layer_norm1"), width, epsilon)?,
                query: square("q_proj")?,
                key: square("k_proj")?,
                value: square("v_proj")?,
                out: square("out_proj")?,
                norm_2: LayerNorm::load(&scope.at("layer_norm2"), width, epsilon)?,
                up: Linear::load(&scope.at("mlp.fc1"), [width, config.inner])?,
                down: Linear::load(&scope.at("mlp.fc2"), [config.inner, width])?,
            })
        });
        Ok(Self {
            tokens: table("token_embedding", config.vocabulary)?,
            positions: table("position_embedding", config.context)?,
            layers: layers.collect::<Result<_>>()?,
            last_norm: LayerNorm::load(&scope.at("final_layer_norm"), width, epsilon)?,
            projection: None,
            config,
        })
    }

    /// As [`Self::load`], with the projection of the whole text.
    ///
    /// # Errors
    /// As [`Scope::tensor`].
    pub fn load_projected(config: TextConfig, root: &Scope<'_>) -> Result<Self> {
        let sides = [config.channels, config.projection];
        let projection = Linear::load_without_bias(&root.at("text_projection"), sides)?;
        Ok(Self {
            projection: Some(projection),
            ..Self::load(config, root)?
        })
    }

    /// Sizes.
    pub fn config(&self) -> &TextConfig {
        &self.config
    }

    /// Layers that a clip skip of `clip_skip` leaves out, 0 at 1. OpenCLIP's transformer (the one with
    /// exact GELU) was trained to be read at the last layer but one, and comes without the last: it
    /// leaves out none at 2 as well.
    ///
    /// # Errors
    /// `InvalidRequest` when no layer would be left.
    pub fn layers_left_out(&self, clip_skip: u32) -> Result<usize> {
        let absent = usize::from(self.config.activation == Activation::Gelu);
        let count = (clip_skip.max(1) as usize - 1).saturating_sub(absent);
        if count >= self.layers.len() {
            let most = self.layers.len() + absent;
            return Err(EngineError::invalid(
                "network.clip_skip",
                format!("{clip_skip} is more than this model's text encoder has layers, {most}"),
            ));
        }
        Ok(count)
    }

    /// Adds rows to the token table, in the place of those added before: [`Embedding::learn`].
    pub fn learn(&mut self, rows: Vec<f32>) {
        self.tokens.learn(rows);
    }

    /// Token ids (at most `context`) to hidden states (1, N, channels). The last `left_out` layers are
    /// not run; the final norm comes in any case, as in A1111 and diffusers (`clip_skip`).
    ///
    /// # Errors
    /// `Cancelled`, or `Compute` when the device fails.
    pub fn encode(&self, ids: &[u32], left_out: usize, cancel: &CancelToken) -> Result<Act> {
        let read = self.layers.len().saturating_sub(left_out);
        let x = self.run(self.embed(ids)?, &self.layers[..read], cancel)?;
        ops::layer_norm(&x, &self.last_norm)
    }

    /// Token ids (at most `context`) to the states before the last `left_out` layers, and to the
    /// whole text's vector, read at place `end`: where its end mark stands.
    ///
    /// # Errors
    /// `Cancelled`, or `Compute` when the device fails.
    pub fn encode_inner(
        &self,
        ids: &[u32],
        left_out: usize,
        end: usize,
        cancel: &CancelToken,
    ) -> Result<Inner> {
        let inner = self.layers.len().saturating_sub(left_out);
        let (inner, rest) = self.layers.split_at(inner);
        let hidden = self.run(self.embed(ids)?, inner, cancel)?;
        let Some(projection) = &self.projection else {
            return Ok(Inner {
                hidden,
                pooled: None,
            });
        };
        let x = self.run(hidden.clone(), rest, cancel)?;
        let x = ops::layer_norm(&x, &self.last_norm)?.to_tensor()?;
        let last = Act::from_tensor(x.narrow(1, end.min(ids.len() - 1), 1)?.contiguous()?);
        Ok(Inner {
            hidden,
            pooled: Some(ops::linear(&last, projection)?),
        })
    }

    fn embed(&self, ids: &[u32]) -> Result<Act> {
        let tokens = ops::embed(ids, &self.tokens)?;
        ops::add(&tokens, &ops::first_rows(&self.positions, ids.len())?)
    }

    fn run(&self, mut x: Act, layers: &[Layer], cancel: &CancelToken) -> Result<Act> {
        for layer in layers {
            cancel.check()?;
            let y = ops::layer_norm(&x, &layer.norm_1)?;
            let (q, k) = (ops::linear(&y, &layer.query)?, ops::linear(&y, &layer.key)?);
            let v = ops::linear(&y, &layer.value)?;
            let y = ops::attention(&q, &k, &v, self.config.heads, true)?;
            x = ops::linear_then(&y, &layer.out, &Then::add(&x))?;
            let y = ops::layer_norm(&x, &layer.norm_2)?;
            let y = ops::linear_then(&y, &layer.up, &Then::activate(self.config.activation))?;
            x = ops::linear_then(&y, &layer.down, &Then::add(&x))?;
        }
        Ok(x)
    }
}
