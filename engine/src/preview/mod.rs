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

/// Side of the corner, in latent pixels, that is decoded to learn what a decode costs.
const CORNER: usize = 4;

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
        let decoded = self.may_decode(x0, cancel)?;
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

    /// Whether another decode keeps within its share of the time.
    fn may_decode(&mut self, x0: &Latents, cancel: &CancelToken) -> Result<bool> {
        if !self.model.autoencoder().is_tiny() {
            return Ok(false);
        }
        let allowed = self.began.elapsed().mul_f64(DECODER_SHARE);
        let cost = match self.decode_cost {
            Some(cost) => cost,
            None => self.estimate(x0, allowed, cancel)?,
        };
        Ok(self.spent + cost <= allowed)
    }

    /// Cost of a decode as told by decoding one corner, once there is time for that.
    fn estimate(
        &mut self,
        x0: &Latents,
        allowed: Duration,
        cancel: &CancelToken,
    ) -> Result<Duration> {
        let [_, _, height, width] = x0.shape();
        let (rows, columns) = (height.min(CORNER), width.min(CORNER));
        // Before the first step has shown how fast this machine is, nothing can be afforded.
        if allowed < Duration::from_millis(2) {
            return Ok(Duration::MAX / 2);
        }
        let corner = x0
            .tensor()
            .narrow(2, 0, rows)?
            .narrow(3, 0, columns)?
            .contiguous()?;
        let start = Instant::now();
        self.model
            .autoencoder()
            .decode(&Act::from_tensor(corner), cancel)?;
        let cost = start
            .elapsed()
            .mul_f64((height * width) as f64 / (rows * columns) as f64);
        self.decode_cost = Some(cost);
        Ok(cost)
    }

    fn decode(&self, x0: &Latents, cancel: &CancelToken) -> Result<Picture> {
        let autoencoder = self.model.autoencoder();
        let latents = x0.scaled(1.0 / autoencoder.scaling_factor())?;
        let y = autoencoder.decode(&Act::from_tensor(latents.tensor().clone()), cancel)?;
        picture_from_tensor(&y.to_tensor()?, self.size_px)
    }
}
