//! How work is cut into blocks. The kernels stride over whatever a grid does not cover, so that every choice
//! here is right; these are to keep a card busy.

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

#[cfg(test)]
mod tests {
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
}
