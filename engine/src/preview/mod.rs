//! The picture as it forms: predicted x0 as a small picture after each step. The linear map costs
//! next to nothing and runs at every step; a tiny decoder runs as often as its share of the time
//! stays below [`DECODER_SHARE`].

mod linear;

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::cancel::CancelToken;
use crate::error::Result;
use crate::families::model::Autoencoder;
use crate::latent::Latents;
use crate::nn::Act;
use crate::pipeline::pixels::picture_from_tensor;
use crate::raster::Picture;
pub use linear::LinearMap;

/// Share of the sampling time that decoded previews may take.
pub const DECODER_SHARE: f64 = 0.05;

/// Side of the corner, in latent pixels, that is decoded to learn what a decode costs.
const CORNER: usize = 4;

/// How previews are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PreviewMode {
    /// Not at all.
    Off,
    /// By the linear map: coarse colours, for next to nothing.
    Linear,
    /// By a tiny decoder as often as its share of the time allows, where the model's own is one or a
    /// file of its latents' is among the models; else by the linear map.
    #[default]
    Tiny,
}

/// What draws the previews of a run.
#[derive(Clone, Copy)]
pub struct PreviewMeans<'a> {
    /// Latents to RGB.
    pub map: &'a LinearMap,
    /// A tiny decoder.
    pub decoder: Option<&'a dyn Autoencoder>,
    /// What decoding a picture of this size took before, where it is known.
    pub decode_cost: Option<Duration>,
}

/// Draws previews for one picture and keeps account of their cost.
pub struct Previewer<'a> {
    map: &'a LinearMap,
    decoder: Option<&'a dyn Autoencoder>,
    /// Size of the picture being made, without padding, in pixels.
    size_px: [u32; 2],
    began: Instant,
    spent: Duration,
    /// Last known cost of one decode.
    decode_cost: Option<Duration>,
}

impl<'a> Previewer<'a> {
    /// For a picture of `size_px`.
    pub fn new(means: PreviewMeans<'a>, size_px: [u32; 2]) -> Self {
        Self {
            map: means.map,
            decoder: means.decoder,
            size_px,
            began: Instant::now(),
            spent: Duration::ZERO,
            decode_cost: means.decode_cost,
        }
    }

    /// Draws x0; says whether the tiny decoder did it.
    ///
    /// # Errors
    /// `Cancelled`, or `Compute` when the device fails.
    pub fn draw(&mut self, x0: &Latents, cancel: &CancelToken) -> Result<(Picture, bool)> {
        let start = Instant::now();
        let decoder = self.may_decode(x0, cancel)?;
        let picture = match decoder {
            Some(decoder) => self.decode(decoder, x0, cancel)?,
            None => self.map.draw(x0)?,
        };
        let decoded = decoder.is_some();
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

    /// Last known cost of one decode.
    pub fn decode_cost(&self) -> Option<Duration> {
        self.decode_cost
    }

    /// The decoder, if another decode keeps within its share of the time.
    fn may_decode(
        &mut self,
        x0: &Latents,
        cancel: &CancelToken,
    ) -> Result<Option<&'a dyn Autoencoder>> {
        let Some(decoder) = self.decoder else {
            return Ok(None);
        };
        let allowed = self.began.elapsed().mul_f64(DECODER_SHARE);
        let cost = match self.decode_cost {
            Some(cost) => cost,
            None => self.estimate(decoder, x0, allowed, cancel)?,
        };
        Ok((self.spent + cost <= allowed).then_some(decoder))
    }

    /// Cost of a decode as told by decoding one corner, once there is time for that.
    fn estimate(
        &mut self,
        decoder: &dyn Autoencoder,
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
        decoder.decode(&Act::from_tensor(corner), cancel)?;
        let cost = start
            .elapsed()
            .mul_f64((height * width) as f64 / (rows * columns) as f64);
        self.decode_cost = Some(cost);
        Ok(cost)
    }

    fn decode(
        &self,
        decoder: &dyn Autoencoder,
        x0: &Latents,
        cancel: &CancelToken,
    ) -> Result<Picture> {
        let latents = x0.scaled(1.0 / decoder.scaling_factor())?;
        let y = decoder.decode(&Act::from_tensor(latents.tensor().clone()), cancel)?;
        picture_from_tensor(&y.to_tensor()?, self.size_px)
    }
}
