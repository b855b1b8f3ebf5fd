//! What stands between the products of a network, fused, for NVIDIA cards: group and layer norm with their
//! scales, gated GELU, and bias, activation and residual after a product. Each is one read and one write of
//! the activation, where the tensor library makes up to ten. And convolutions, by NVIDIA's library of them.
//!
//! # Trust
//! A card computes pictures with these kernels only after `verify` has compared them with [`mod@reference`] on
//! that card, once a process. Where they differ or cannot be loaded (cards before compute capability 8.0, for
//! which the code is not made), where the build has no CUDA, on another device or for a shape or number type
//! that they do not know, the functions here give `None`, and the caller goes its plain way. It is the same with
//! cuDNN, which is looked for at run time and compared with the tensor library's own convolution.
//!
//! The arithmetic is also tested where there is no card: `tests/parity/cuda_kernels.rs` compiles `kernels.cu`
//! for the CPU.
//!
//! # Map
//! | file | what it holds |
//! |---|---|
//! | `kernels.cu` | the kernels |
//! | `kernels.ptx` | the same, compiled by `packaging/cuda/kernels`: drivers translate it for their card |
//! | [`geometry`] | how work is cut into blocks; the lengths of a convolution |
//! | [`mod@reference`] | the slow twin of each kernel, in plain Rust |
//! | `fused` (with CUDA), `absent` (without) | the functions, and whether they may be used |
//! | `launch` | the kernels as operations on tensors, without any check of trust |
//! | `convolution` (with cuDNN), `without_cudnn` | the convolution, and whether cuDNN may be used |
//! | `verify` | the comparisons on a card |
//! | `device` | opens a card with one stream and a pool of memory |
//! | `graph` (with CUDA), `without_graph` | a network's call, recorded and launched as one |
//! | `side` (with CUDA), `without_side` | values on their way to the host while the card computes on |

use candle_core::{DType, Device, Tensor};

use super::cpu::Activation;

#[cfg(not(feature = "cuda"))]
mod absent;
#[cfg(feature = "cudnn")]
mod convolution;
#[cfg(feature = "cuda")]
mod device;
#[cfg(feature = "cuda")]
mod fused;
pub mod geometry;
#[cfg(feature = "cuda")]
mod graph;
#[cfg(feature = "cuda")]
mod launch;
pub mod reference;
#[cfg(feature = "cuda")]
mod side;
#[cfg(feature = "cuda")]
mod verify;
#[cfg(not(feature = "cudnn"))]
mod without_cudnn;
#[cfg(not(feature = "cuda"))]
mod without_graph;
#[cfg(not(feature = "cuda"))]
mod without_side;

#[cfg(not(feature = "cuda"))]
pub use self::absent::{enlarge, finish, geglu, group_norm, layer_norm, trusted};
#[cfg(feature = "cudnn")]
pub use self::convolution::{conv2d, convolves};
#[cfg(feature = "cuda")]
pub use self::device::open;
#[cfg(feature = "cuda")]
pub use self::fused::{enlarge, finish, geglu, group_norm, layer_norm, trusted};
pub use self::geometry::MapOrder;
#[cfg(feature = "cuda")]
pub use self::graph::{Recording, may_record};
#[cfg(feature = "cuda")]
pub use self::side::{Fetch, Mark, Side};
#[cfg(feature = "cuda")]
pub use self::verify::distrust;
#[cfg(not(feature = "cudnn"))]
pub use self::without_cudnn::{conv2d, convolves};
#[cfg(not(feature = "cuda"))]
pub use self::without_graph::{Recording, may_record};
#[cfg(not(feature = "cuda"))]
pub use self::without_side::{Fetch, Mark, Side};

/// The order in which maps of this number type are best kept on `device`: channels last where convolutions
/// multiply on tensor cores, which read pixel by pixel, and our kernels stand between them; else as the tensor
/// library keeps them. The first to ask waits until the card has been tried.
pub fn order_of_maps(device: &Device, dtype: DType) -> MapOrder {
    let narrow = matches!(dtype, DType::F16 | DType::BF16);
    // Both orders are tried now: what is refused in one is asked for in the other, maybe where nothing can be tried.
    let both =
        || [MapOrder::ChannelsLast, MapOrder::ChannelsFirst].map(|order| convolves(device, order));
    if narrow && trusted(device) && both()[0] {
        MapOrder::ChannelsLast
    } else {
        MapOrder::ChannelsFirst
    }
}

/// A group norm and what follows it.
#[derive(Clone, Copy, Debug)]
pub struct GroupNorm<'a> {
    /// Of the map.
    pub order: MapOrder,
    /// Divides the channels.
    pub groups: usize,
    /// Added to the variance.
    pub epsilon: f64,
    /// Of each channel, f32.
    pub weight: &'a Tensor,
    /// Of each channel, f32.
    pub bias: &'a Tensor,
    /// Applied to the result.
    pub activation: Activation,
}

/// What comes after a product, in this order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Finish<'a> {
    /// Of each channel, f32.
    pub bias: Option<&'a Tensor>,
    /// A value for each picture and channel, of the result's number type.
    pub vector: Option<&'a Tensor>,
    /// A pointwise function.
    pub activation: Activation,
    /// Of the result's shape and number type.
    pub residual: Option<&'a Tensor>,
}

/// The number by which `kernels.cu` knows a function, if it does.
pub const fn function(activation: Activation) -> Option<i32> {
    match activation {
        Activation::None => Some(0),
        Activation::Silu => Some(1),
        Activation::Gelu => Some(2),
        Activation::QuickGelu => Some(3),
        Activation::Relu => Some(4),
        Activation::GeluTanh => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::hash::sha256_hex;

    const SOURCE: &str = include_str!("kernels.cu");
    const PTX: &str = include_str!("kernels.ptx");

    #[test]
    fn the_compiled_kernels_are_of_this_source() {
        let want = format!(
            "// SHA-256 of kernels.cu: {}",
            sha256_hex(SOURCE.as_bytes())
        );
        assert_eq!(
            PTX.lines().next(),
            Some(&*want),
            "kernels.ptx is of an older kernels.cu: run packaging/cuda/kernels"
        );
        // What drivers from 525 on and cards from Ampere on take.
        assert!(PTX.lines().any(|line| line == ".version 8.0"));
        assert!(PTX.lines().any(|line| line == ".target sm_80"));
    }

    /// Types of an entry's parameters, in order, as `u64 f32 u32`.
    fn parameters(name: &str) -> String {
        let head = format!(".visible .entry {name}(");
        let (_, rest) = PTX.split_once(&head).expect(name);
        let (list, _) = rest.split_once(')').expect("closes");
        let types = list
            .split_whitespace()
            .filter_map(|word| word.strip_prefix('.'))
            .filter(|word| word.starts_with(['u', 'f', 'b', 's']));
        types.collect::<Vec<_>>().join(" ")
    }

    /// The launches push their arguments by hand: these are the lists they follow.
    #[test]
    fn entries_take_what_the_launches_give() {
        for number in ["f32", "f16", "bf16"] {
            for (name, want) in [
                ("group_norm_sums", "u64 u64 u64 u64"),
                (
                    "group_norm_apply",
                    "u64 u64 u64 u64 u64 u64 u64 u64 u64 u64 f32 u32",
                ),
                ("group_norm_last_sums", "u64 u64 u64 u64 u64 u32"),
                ("group_norm_last_apply", "u64 u64 u64 u64 u64 u64 u32"),
                ("layer_norm", "u64 u64 u64 u64 u64 u64 f32"),
                ("geglu", "u64 u64 u64 u64 u64"),
                ("finish", "u64 u64 u64 u64 u64 u64 u64 u64 u32 u32"),
                ("enlarge", "u64 u64 u64 u64 u64 u64 u64 u64"),
            ] {
                let entry = format!("{name}_{number}");
                assert_eq!(parameters(&entry), want, "{entry}");
            }
        }
        let scales = parameters("group_norm_last_scales");
        assert_eq!(scales, "u64 u64 u64 u64 u64 u64 u64 u64 f32");
    }
}
