//! The picture as it forms: predicted x0 as a small picture after each step. The linear map costs
//! next to nothing and runs at every step; a tiny decoder runs as often as its share of the time
//! stays below [`DECODER_SHARE`].

mod linear;

use std::time::{Duration, Instant};

use crate::cancel::CancelToken;
use crate::error::Result;
use crate::families::model::Model;
use crate::latent::Latents;
use crate::nn::Act;
use crate::pipeline::pixels::picture_from_tensor;
use crate::raster::Picture;
pub use linear::LinearMap;

/// Share of the sampling time that decoded previews may take.
pub const DECODER_SHARE: f64 = 0.05;

/// Draws previews for one picture and keeps account of their cost.
pub struct Previewer<'a> {
    model: &'a dyn Model,
    map: &'a LinearMap,
    /// Size of the picture being made, without padding, in pixels.
    size_px: [u32; 2],
    began: Instant,
    spent: Duration,
    /// Last known cost of one decode.
    decode_cost: Option<Duration>,
}

impl<'a> Previewer<'a> {
    /// `decode_cost`: what decoding a picture of this size took before, where it is known.
    pub fn new(
        model: &'a dyn Model,
        map: &'a LinearMap,
        size_px: [u32; 2],
        decode_cost: Option<Duration>,
    ) -> Self {
        let (began, spent) = (Instant::now(), Duration::ZERO);
        Self {
            model,
            map,
            size_px,
            began,
            spent,
            decode_cost,
        }
    }

    /// Draws x0; says whether the tiny decoder did it.
    ///
    /// # Errors
    /// `Cancelled`, or `Compute` when the device fails.
    pub fn draw(&mut self, x0: &Latents, cancel: &CancelToken) -> Result<(Picture, bool)> {
        let start = Instant::now();
        let decoded = self.may_decode();
        let picture = if decoded {
            self.decode(x0, cancel)?
        } else {
            self.map.draw(x0)?
        };
        let cost = start.elapsed();
        self.spent += cost;
        if decoded {
            self.decode_cost = Some(cost);
        }
        Ok((picture, decoded))
    }

    /// Time spent on previews so far.
    pub fn spent(&self) -> Duration {
        self.spent
    }

    fn may_decode(&self) -> bool {
        if !self.model.autoencoder().is_tiny() {
            return false;
        }
        // Without a measure yet, a decode is taken to cost a twentieth of a second.
        let cost = self.decode_cost.unwrap_or(Duration::from_millis(50));
        (self.spent + cost).as_secs_f64() <= DECODER_SHARE * self.began.elapsed().as_secs_f64()
    }

    fn decode(&self, x0: &Latents, cancel: &CancelToken) -> Result<Picture> {
        let autoencoder = self.model.autoencoder();
        let latents = x0.scaled(1.0 / autoencoder.scaling_factor())?;
        let y = autoencoder.decode(&Act::from_tensor(latents.tensor().clone()), cancel)?;
        picture_from_tensor(&y.to_tensor()?, self.size_px)
    }
}
