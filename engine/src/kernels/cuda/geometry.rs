//! How work is cut into blocks. The kernels stride over whatever a grid does not cover, so that every choice
//! here is right; these are to keep a card busy. And the lengths of a convolution, as cuDNN counts them.

/// Threads of a block: a power of two, at most `MOST_THREADS` of `kernels.cu`.
pub const THREADS: u32 = 256;

/// CUDA's limit of a grid along y.
const MOST_ROWS: usize = 65_535;
/// CUDA's limit of a grid along x is 2^31 - 1; nothing here needs as many.
const MOST_COLUMNS: usize = 1 << 20;

/// Values of a run that one block sums up: enough to outweigh its start.
const VALUES_OF_A_SPLIT: usize = 8192;
/// The partial sums of a run are merged by one block, one a thread.
const MOST_SPLITS: usize = THREADS as usize;
/// Blocks for a picture channels last: enough for any card, and few enough for one block to merge a group's sums.
const MOST_PARTS: usize = 1024;
/// Threads of a block that take a channel each: half of CUDA's limit, so that two blocks fit where one does.
const MOST_CHANNELS: usize = 512;

/// Values that a thread writes of a row, where rows are long.
const VALUES_OF_A_THREAD: usize = 4;

/// Blocks along x and y.
pub type Grid = (u32, u32);

/// Of a pass over `rows` of `length` values: a row along y.
pub fn pass(rows: usize, length: usize) -> Grid {
    let columns = length.div_ceil(THREADS as usize * VALUES_OF_A_THREAD);
    (
        columns.clamp(1, MOST_COLUMNS) as u32,
        rows.clamp(1, MOST_ROWS) as u32,
    )
}

/// Of the sums over `runs` of `length` values: the splits of a run along x.
pub fn sums(runs: usize, length: usize) -> Grid {
    let splits = length.div_ceil(VALUES_OF_A_SPLIT);
    (
        splits.clamp(1, MOST_SPLITS) as u32,
        runs.clamp(1, MOST_ROWS) as u32,
    )
}

/// Of one block for each row.
pub fn rows(rows: usize) -> Grid {
    (rows.clamp(1, MOST_COLUMNS) as u32, 1)
}

/// How the sums of channels are cut up, where those of a pixel lie together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChannelSums {
    /// Blocks: parts of a picture along x, pictures along y.
    pub grid: Grid,
    /// Of a block.
    pub threads: u32,
    /// Threads side by side, a channel each.
    pub width: u32,
    /// Partial sums of a channel of a picture.
    pub parts: usize,
}

impl ChannelSums {
    /// Of `pictures` of `pixels` with `channels` each.
    pub fn new(pictures: usize, pixels: usize, channels: usize) -> Self {
        // Equal shares: of 640 channels not 512 and then 128, which would leave most threads idle.
        let rounds = channels.div_ceil(MOST_CHANNELS).max(1);
        let width = channels.div_ceil(rounds).max(1);
        let rows = (THREADS as usize / width).max(1);
        let splits = (pixels * channels).div_ceil(VALUES_OF_A_SPLIT);
        let splits = splits.clamp(1, MOST_PARTS);
        Self {
            grid: (splits as u32, pictures.clamp(1, MOST_ROWS) as u32),
            threads: (width * rows) as u32,
            width: width as u32,
            parts: splits * rows,
        }
    }
}

/// The order in which the values of a map lie: of one (B, C, H, W), channels first or last. Its shape is the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum MapOrder {
    /// A whole plane of one channel, then the next.
    #[default]
    ChannelsFirst,
    /// All channels of a pixel, then the next pixel: what tensor cores read.
    ChannelsLast,
}

/// A convolution without dilation and groups: the lengths of its maps (B, C, H, W) and its weight (O, C, k, l).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Convolution {
    /// Of all three.
    pub order: MapOrder,
    /// Of the map that is read.
    pub x: [i32; 4],
    /// Of the weight.
    pub weight: [i32; 4],
    /// Of the map that is written.
    pub y: [i32; 4],
    /// Pixels from one window to the next, in both directions.
    pub stride: i32,
    /// Zeros at each of the four edges.
    pub padding: i32,
}

impl Convolution {
    /// `None` where the lengths do not fit each other, a map is empty, or one has more values than 31 bits count,
    /// which is where many of cuDNN's kernels end.
    pub fn new(
        x: &[usize],
        weight: &[usize],
        (stride, padding): (usize, usize),
        order: MapOrder,
    ) -> Option<Self> {
        let &[pictures, channels, height, width] = x else {
            return None;
        };
        let &[filters, depth, rows, columns] = weight else {
            return None;
        };
        let windows = |length: usize, window: usize| {
            let space = (length + 2 * padding).checked_sub(window)?;
            Some(space.checked_div(stride)? + 1)
        };
        let y = [
            pictures,
            filters,
            windows(height, rows)?,
            windows(width, columns)?,
        ];
        let convolution = Self {
            order,
            x: countable([pictures, channels, height, width])?,
            weight: countable([filters, depth, rows, columns])?,
            y: countable(y)?,
            stride: stride.try_into().ok()?,
            padding: padding.try_into().ok()?,
        };
        (channels == depth).then_some(convolution)
    }
}

/// The same lengths, if they are of one value up to as many as 31 bits count.
fn countable(lengths: [usize; 4]) -> Option<[i32; 4]> {
    let mut counted = [0; 4];
    let mut values = 1_i32;
    for (counted, length) in counted.iter_mut().zip(lengths) {
        *counted = length.try_into().ok()?;
        values = values.checked_mul(*counted)?;
    }
    (values > 0).then_some(counted)
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Tensor};

    use super::*;

    #[test]
    fn grids_fill_a_card_and_stay_within_its_limits() {
        // A group of an autoencoder's last level at 1024 x 1024.
        assert_eq!(sums(32, 4 << 20), (256, 32));
        assert_eq!(sums(64, 640), (1, 64));
        assert_eq!(pass(2 * 320, 64 * 64), (4, 640));
        assert_eq!(pass(8192, 320), (1, 8192));
        assert_eq!(pass(1 << 20, 1), (1, 65_535));
        assert_eq!(rows(77), (77, 1));
        assert_eq!(rows(1 << 30), (1 << 20, 1));
        assert!(THREADS.is_power_of_two());
    }

    #[test]
    fn channels_are_shared_out_evenly() {
        let of = |channels| ChannelSums::new(2, 64 * 64, channels);
        assert_eq!((of(320).width, of(320).threads), (320, 320));
        assert_eq!((of(128).width, of(128).threads), (128, 256));
        assert_eq!((of(640).width, of(640).threads), (320, 320));
        assert_eq!((of(1).width, of(1).threads), (1, 256));
        assert_eq!(of(128).grid, (64, 2));
        assert_eq!(of(128).parts, 128);
        assert_eq!(ChannelSums::new(1, 4 << 20, 128).grid, (1024, 1));
        for channels in 1..3000 {
            let cut = of(channels);
            assert!(cut.threads <= 1024 && cut.threads.is_multiple_of(cut.width));
        }
    }

    #[test]
    fn convolutions_have_the_lengths_of_the_tensor_librarys() {
        for (x, weight, stride, padding) in [
            ([2, 4, 9, 7], [4, 4, 3, 3], 1, 1),
            ([1, 4, 9, 8], [6, 4, 3, 3], 2, 1),
            ([1, 3, 28, 14], [5, 3, 14, 14], 14, 0),
            ([1, 3, 6, 5], [2, 3, 3, 1], 2, 0),
        ] {
            let zeros = |dims: [usize; 4]| Tensor::zeros(&dims, DType::F32, &Device::Cpu).unwrap();
            let y = zeros(x).conv2d(&zeros(weight), padding, stride, 1, 1);
            let order = MapOrder::ChannelsFirst;
            let convolution = Convolution::new(&x, &weight, (stride, padding), order).unwrap();
            let lengths = convolution.y.map(|length| length as usize);
            assert_eq!(lengths.as_slice(), y.unwrap().dims());
        }
    }

    #[test]
    fn what_is_no_convolution_has_none() {
        let weight = [4, 4, 3, 3];
        let of = |x: &[usize], stride, padding| {
            Convolution::new(x, &weight, (stride, padding), MapOrder::ChannelsLast)
        };
        assert!(of(&[1, 4, 3, 3], 1, 0).is_some());
        assert!(of(&[1, 4, 2, 3], 1, 0).is_none(), "smaller than a window");
        assert!(of(&[1, 5, 9, 9], 1, 0).is_none(), "other channels");
        assert!(of(&[1, 4, 9, 9], 0, 0).is_none(), "no stride");
        assert!(of(&[0, 4, 9, 9], 1, 0).is_none(), "no picture");
        assert!(of(&[4, 9, 9], 1, 0).is_none(), "no map");
        assert!(of(&[1, 4, 32_768, 16_384], 1, 1).is_none(), "2^31 values");
        assert!(of(&[1, 4, 32_768, 16_383], 1, 1).is_some());
    }
}
