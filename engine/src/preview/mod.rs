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
use crate::pace::{Arriving, Moment, Pace};
use crate::pipeline::pixels::picture_from_values;
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
    pace: &'a Pace,
    /// Size of the picture being made, without padding, in pixels.
    size_px: [u32; 2],
    began: Instant,
    spent: Duration,
    /// Last known cost of one decode.
    decode_cost: Option<Duration>,
}

/// A preview that the device is still at.
pub struct Draft {
    values: Arriving,
    kind: Kind,
    began: Moment,
    done: Moment,
    /// What was spent on it beforehand, as the last decode cost.
    booked: Duration,
}

enum Kind {
    /// x0 itself, of that shape.
    Latents([usize; 4]),
    /// Decoded, of that width and height.
    Decoded([usize; 2]),
}

impl<'a> Previewer<'a> {
    /// For a picture of `size_px`.
    pub fn new(means: PreviewMeans<'a>, size_px: [u32; 2], pace: &'a Pace) -> Self {
        Self {
            map: means.map,
            decoder: means.decoder,
            pace,
            size_px,
            began: Instant::now(),
            spent: Duration::ZERO,
            decode_cost: means.decode_cost,
        }
    }

    /// Asks the device for what a preview of x0 is drawn from.
    ///
    /// # Errors
    /// `Cancelled`, or `Compute` when the device fails.
    pub fn begin(&mut self, x0: &Latents, cancel: &CancelToken) -> Result<Draft> {
        let start = Instant::now();
        let decoder = self.may_decode(x0, cancel)?;
        let began = self.pace.mark()?;
        let (values, kind) = match decoder {
            Some(decoder) => self.decode(decoder, x0, cancel)?,
            None => (self.pace.fetch(x0.tensor())?, Kind::Latents(x0.shape())),
        };
        let done = self.pace.mark()?;
        // The device's time, which a card has not taken yet. Booked now, it counts when the next preview is decided.
        let booked = match kind {
            Kind::Decoded(_) if self.pace.is_behind() => self.decode_cost.unwrap_or_default(),
            _ => start.elapsed(),
        };
        self.spent += booked;
        Ok(Draft {
            values,
            kind,
            began,
            done,
            booked,
        })
    }

    /// Draws it, once the device is done; says whether the tiny decoder did it.
    ///
    /// # Errors
    /// `Compute` when the device fails.
    pub fn draw(&mut self, draft: Draft) -> Result<(Picture, bool)> {
        let values = self.pace.values(draft.values)?;
        let start = Instant::now();
        let picture = match draft.kind {
            Kind::Latents(shape) => self.map.draw(&values, shape)?,
            Kind::Decoded(size) => picture_from_values(&values, size, self.size_px)?,
        };
        let decoded = matches!(draft.kind, Kind::Decoded(_));
        let drawing = start.elapsed();
        self.spent += drawing;
        if decoded {
            // On a card, its own time: the host was at other things meanwhile.
            let computing = draft.began.until(&draft.done)?;
            self.decode_cost = Some(computing + drawing);
            self.spent = self.spent.saturating_sub(draft.booked) + computing;
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
        let began = self.pace.mark()?;
        decoder.decode(&Act::from_tensor(corner), cancel)?;
        let done = self.pace.mark()?;
        done.wait()?;
        let cost = began
            .until(&done)?
            .mul_f64((height * width) as f64 / (rows * columns) as f64);
        self.decode_cost = Some(cost);
        Ok(cost)
    }

    fn decode(
        &self,
        decoder: &dyn Autoencoder,
        x0: &Latents,
        cancel: &CancelToken,
    ) -> Result<(Arriving, Kind)> {
        let latents = x0.scaled(1.0 / decoder.scaling_factor())?;
        let y = decoder.decode(&Act::from_tensor(latents.tensor().clone()), cancel)?;
        let y = y.to_tensor()?;
        let (_, _, height, width) = y.dims4()?;
        Ok((self.pace.fetch(&y)?, Kind::Decoded([width, height])))
    }
}
