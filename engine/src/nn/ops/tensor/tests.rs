//! The library's operations against the slow twins of the fused kernels, which are tested against the same: a
//! picture is the same whichever of the two a card runs.

use candle_core::{Device, Tensor};

use super::{
    Act, Activation, MapOrder, Repr, Then, act, activate, add, affine, concat_channels, cpu,
    enlarge, finish, gated, group_norm, layer_norm, map_from_tokens, order_of, ordered,
    soft_clamp_3, stack, tokens_from_map, unstack,
};
use crate::kernels::cuda::reference::{self, Shape};

const FUNCTIONS: [Option<Activation>; 5] = [
    None,
    Some(Activation::Silu),
    Some(Activation::Gelu),
    Some(Activation::QuickGelu),
    Some(Activation::Relu),
];

fn kernel(function: Option<Activation>) -> cpu::Activation {
    super::kernel_or_none(function)
}

/// Numbers without a pattern, about -1 to 3.
fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 4_194_304.0 - 1.0
        })
        .collect()
}

fn tensor(values: &[f32], shape: &[usize]) -> Tensor {
    Tensor::from_slice(values, shape, &Device::Cpu).unwrap()
}

#[track_caller]
fn expect_near(got: &Act, want: &[f64]) {
    let Repr::Tensor(got) = &got.0 else {
        panic!("a tensor");
    };
    let got: Vec<f32> = got.flatten_all().unwrap().to_vec1().unwrap();
    assert_eq!(got.len(), want.len());
    let scale = want.iter().fold(0.0_f64, |scale, x| scale.max(x.abs()));
    for (at, (got, want)) in got.iter().zip(want).enumerate() {
        // f32's rounding, in sums of some ten values.
        let off = (f64::from(*got) - want).abs();
        assert!(off <= 5e-6 * scale, "[{at}]: {got}, not {want}");
    }
}

#[test]
fn norms_are_what_the_fused_ones_are() {
    let (x, weight, bias) = (numbers(2 * 6 * 15, 1), numbers(6, 2), numbers(6, 3));
    let scales = [&tensor(&weight, &[6]), &tensor(&bias, &[6])];
    for (groups, then) in [(3, FUNCTIONS[1]), (6, None), (1, FUNCTIONS[2])] {
        let got = group_norm(&tensor(&x, &[2, 6, 3, 5]), (groups, 1e-5), scales, then).unwrap();
        let shape = (6, 15, 6 / groups);
        let want = reference::group_norm(&x, shape, [&weight, &bias], 1e-5, kernel(then));
        expect_near(&got, &want);
    }
    let got = layer_norm(&tensor(&x, &[2, 15, 6]), scales, 1e-5).unwrap();
    expect_near(&got, &reference::layer_norm(&x, [&weight, &bias], 1e-5));
}

#[test]
fn what_follows_a_product_is_what_the_fused_one_is() {
    let map = Shape::Map {
        pictures: 2,
        channels: 6,
        pixels: 15,
    };
    let tokens = Shape::Tokens {
        pictures: 2,
        tokens: 15,
        channels: 6,
    };
    let (x, bias) = (numbers(180, 4), numbers(6, 5));
    let (vector, residual) = (numbers(12, 6), numbers(180, 7));
    for (shape, dims) in [(map, [2, 6, 3, 5].as_slice()), (tokens, &[2, 15, 6])] {
        let line = tensor(&bias, &[6]);
        let (with_vector, with_residual) = (
            act(tensor(&vector, &[2, 1, 6])),
            act(tensor(&residual, dims)),
        );
        for (parts, function) in (0..8).zip(FUNCTIONS.into_iter().cycle()) {
            let then = Then {
                vector: (parts & 2 != 0).then_some(&with_vector),
                activation: function,
                residual: (parts & 4 != 0).then_some(&with_residual),
            };
            let line = (parts & 1 != 0).then_some(&line);
            let got = finish(tensor(&x, dims), line, &then).unwrap();
            let twin = reference::Finish {
                bias: line.map(|_| &*bias),
                vector: then.vector.map(|_| &*vector),
                activation: kernel(function),
                residual: then.residual.map(|_| &*residual),
            };
            expect_near(&got, &reference::finish(&x, shape, twin));
        }
    }
}

#[test]
fn gates_are_what_the_fused_ones_are() {
    let (x, bias) = (numbers(5 * 14, 8), numbers(14, 9));
    for bias in [None, Some(&*bias)] {
        let line = bias.map(|bias| tensor(bias, &[14]));
        let got = gated(&tensor(&x, &[1, 5, 14]), line.as_ref()).unwrap();
        expect_near(&act(got), &reference::geglu(&x, 7, bias));
    }
}

/// What `op` makes of maps channels last is what it makes of the same maps channels first, and lies channels last.
#[track_caller]
fn expect_order_kept(maps: &[&Tensor], op: impl Fn(&[Tensor]) -> crate::error::Result<Act>) {
    let of = |order: MapOrder| {
        let maps: candle_core::Result<Vec<_>> =
            maps.iter().map(|map| ordered(map, order)).collect();
        op(&maps.unwrap()).unwrap().tensor().unwrap()
    };
    let (first, last) = (of(MapOrder::ChannelsFirst), of(MapOrder::ChannelsLast));
    assert_eq!(order_of(&first), MapOrder::ChannelsFirst);
    assert_eq!(order_of(&last), MapOrder::ChannelsLast);
    let numbers = |map: &Tensor| map.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(numbers(&first), numbers(&last));
}

#[test]
fn operations_keep_the_order_of_a_map() {
    let (a, b) = (numbers(180, 10), numbers(180, 11));
    let (a, b) = (tensor(&a, &[2, 6, 3, 5]), tensor(&b, &[2, 6, 3, 5]));
    let one = [&a];
    expect_order_kept(&one, |x| activate(&x[0], Activation::Silu));
    expect_order_kept(&one, |x| soft_clamp_3(&x[0]));
    expect_order_kept(&one, |x| affine(&x[0], 2.0, -1.0));
    expect_order_kept(&one, |x| unstack(&x[0], 1));
    expect_order_kept(&one, |x| enlarge(&x[0], (7, 10)));
    let (weight, bias) = (tensor(&numbers(6, 12), &[6]), tensor(&numbers(6, 13), &[6]));
    expect_order_kept(&one, |x| {
        group_norm(&x[0], (3, 1e-5), [&weight, &bias], FUNCTIONS[1])
    });
    expect_order_kept(&one, |x| {
        let tokens = tokens_from_map(&x[0])?.tensor()?;
        map_from_tokens(&tokens, &x[0])
    });
    let two = [&a, &b];
    expect_order_kept(&two, |x| add(&x[0], &x[1]));
    expect_order_kept(&two, |x| concat_channels(&x[0], &x[1]));
    expect_order_kept(&two, stack);
    let vector = act(tensor(&numbers(12, 14), &[2, 1, 6]));
    expect_order_kept(&two, |x| {
        let residual = act(x[1].clone());
        let then = Then {
            vector: Some(&vector),
            activation: FUNCTIONS[2],
            residual: Some(&residual),
        };
        finish(x[0].clone(), Some(&bias), &then)
    });
    // Where the other map lies otherwise, the first decides, and the values are the same.
    let other = ordered(&b, MapOrder::ChannelsLast).unwrap();
    let all = |b: &Tensor| {
        let then = act(b.clone());
        let acts = [
            add(&a, b).unwrap(),
            concat_channels(&a, b).unwrap(),
            finish(a.clone(), None, &Then::add(&then)).unwrap(),
        ];
        acts.map(|act| act.tensor().unwrap())
    };
    for (alike, mixed) in all(&b).iter().zip(all(&other)) {
        assert_eq!(order_of(&mixed), MapOrder::ChannelsFirst);
        let numbers = |map: &Tensor| map.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(numbers(alike), numbers(&mixed));
    }
}

/// One channel or one pixel lie in both orders; nothing else may take one order for the other.
#[test]
fn an_order_is_told_by_strides() {
    for dims in [[2, 1, 3, 5], [2, 6, 1, 1], [2, 6, 3, 5]] {
        let map = tensor(&numbers(dims.iter().product(), 15), &dims);
        let last = ordered(&map, MapOrder::ChannelsLast).unwrap();
        let both = dims[1] == 1 || dims[2] * dims[3] == 1;
        assert_eq!(order_of(&map), MapOrder::ChannelsFirst);
        assert_eq!(order_of(&last) == MapOrder::ChannelsFirst, both, "{dims:?}");
        assert_eq!(last.dims(), dims);
        let back = act(last).to_tensor().unwrap();
        let numbers = |map: &Tensor| map.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(numbers(&back), numbers(&map));
    }
}
