//! Attention.

use half::bf16;

use super::super::attention::{Heads, attention};
use super::super::gemm::{Rows, RowsMut};
use super::super::simd::Element;
use super::super::{Isa, Precision, reference};
use super::{as_elements, assert_close, for_all, numbers, rounded};

/// One head's columns of one batch.
fn head_of(
    rows: &[f32],
    width: usize,
    rows_range: (usize, usize),
    cols: (usize, usize),
) -> Vec<f32> {
    rows.chunks(width)
        .skip(rows_range.0)
        .take(rows_range.1)
        .flat_map(|row| row[cols.0..cols.0 + cols.1].to_vec())
        .collect()
}

fn expected(
    q: &[f32],
    k: &[f32],
    v: &[f32],
    heads: Heads,
    queries: usize,
    keys: usize,
) -> Vec<f64> {
    let width = heads.count * heads.dim;
    let mut want = vec![0.0; heads.batches * queries * width];
    for batch in 0..heads.batches {
        for head in 0..heads.count {
            let cols = (head * heads.dim, heads.dim);
            let part = |x: &[f32], n: usize| head_of(x, width, (batch * n, n), cols);
            let (q, k, v) = (part(q, queries), part(k, keys), part(v, keys));
            let out = reference::attention(&q, &k, &v, heads.dim, heads.scale, heads.causal);
            for (i, x) in out.into_iter().enumerate() {
                let row = batch * queries + i / heads.dim;
                want[row * width + cols.0 + i % heads.dim] = x;
            }
        }
    }
    want
}

fn run<T: Element, O: Element>(isa: Isa, q: &[f32], k: &[f32], v: &[f32], heads: Heads) -> Vec<O> {
    let width = heads.count * heads.dim;
    let (q, k, v) = (
        as_elements::<T>(q),
        as_elements::<T>(k),
        as_elements::<T>(v),
    );
    let rows = q.len() / width;
    let mut out = vec![O::default(); q.len()];
    attention(
        isa,
        Rows::new(&q, rows, width),
        Rows::new(&k, k.len() / width, width),
        Rows::new(&v, v.len() / width, width),
        heads,
        RowsMut::new(&mut out, rows, width),
    );
    out
}

#[test]
fn attention_of_all_shapes_matches_the_twin() {
    // batches, heads, dim, queries, keys
    let shapes = [
        (1, 1, 1, 1, 1),
        (1, 2, 8, 5, 3),
        (2, 3, 5, 49, 77),
        (1, 2, 16, 50, 128),
        (2, 2, 40, 97, 300),
        (1, 1, 64, 13, 129),
        (1, 2, 80, 64, 64),
        (1, 1, 160, 30, 257),
        (1, 1, 512, 20, 140),
    ];
    for_all(|isa, precision| {
        for (batches, count, dim, queries, keys) in shapes {
            let heads = Heads::new(batches, count, dim);
            let width = count * dim;
            // Scores far enough apart that the softmax is neither flat nor one key's.
            let scaled = |n, seed| numbers(n, seed).iter().map(|x| 3.0 * x).collect::<Vec<_>>();
            let q = rounded(&scaled(batches * queries * width, 20), precision);
            let k = rounded(&scaled(batches * keys * width, 21), precision);
            let v = rounded(&numbers(batches * keys * width, 22), precision);
            let want = expected(&q, &k, &v, heads, queries, keys);
            let what = format!("{} {precision:?} {heads:?} {queries}x{keys}", isa.name());
            match precision {
                Precision::F32 => {
                    assert_close(&run::<f32, f32>(isa, &q, &k, &v, heads), &want, 1e-5, &what);
                }
                Precision::Bf16 => {
                    assert_close(
                        &run::<bf16, f32>(isa, &q, &k, &v, heads),
                        &want,
                        6e-3,
                        &what,
                    );
                    assert_close(
                        &run::<bf16, bf16>(isa, &q, &k, &v, heads),
                        &want,
                        1e-2,
                        &what,
                    );
                }
            }
        }
    });
}

#[test]
fn a_causal_query_sees_only_what_came_before() {
    for_all(|isa, precision| {
        for n in [1, 7, 77, 200] {
            let heads = Heads {
                causal: true,
                ..Heads::new(2, 2, 24)
            };
            let draw = |seed| rounded(&numbers(2 * n * 48, seed), precision);
            let (q, k, v) = (draw(23), draw(24), draw(25));
            let want = expected(&q, &k, &v, heads, n, n);
            let what = format!("{} {precision:?} {n}", isa.name());
            match precision {
                Precision::F32 => {
                    assert_close(&run::<f32, f32>(isa, &q, &k, &v, heads), &want, 1e-5, &what);
                }
                Precision::Bf16 => {
                    assert_close(
                        &run::<bf16, f32>(isa, &q, &k, &v, heads),
                        &want,
                        6e-3,
                        &what,
                    );
                }
            }
        }
    });
}

#[test]
fn great_scores_do_not_overflow_and_a_growing_maximum_rescales() {
    let (dim, keys) = (8, 1000);
    for isa in Isa::testable() {
        // Scores grow from key to key up to 10,000.
        let q = vec![1.0; dim];
        let k: Vec<f32> = (0..keys * dim)
            .map(|i| (i / dim) as f32 * 10.0 / dim as f32)
            .collect();
        let v = numbers(keys * dim, 26);
        let heads = Heads {
            scale: 1.0,
            ..Heads::new(1, 1, dim)
        };
        let want = expected(&q, &k, &v, heads, 1, keys);
        assert_close(
            &run::<f32, f32>(isa, &q, &k, &v, heads),
            &want,
            1e-4,
            isa.name(),
        );
    }
}

#[test]
fn a_query_has_the_same_bits_in_any_company() {
    let heads = Heads::new(1, 2, 40);
    for isa in Isa::testable() {
        let (q, k, v) = (
            numbers(100 * 80, 27),
            numbers(200 * 80, 28),
            numbers(200 * 80, 29),
        );
        let all = run::<f32, f32>(isa, &q, &k, &v, heads);
        let tail = run::<f32, f32>(isa, &q[70 * 80..], &k, &v, heads);
        assert!(all[70 * 80..] == tail, "{}", isa.name());
        let q2: Vec<f32> = q[..8000].iter().chain(&q).copied().collect();
        let twice = |x: &[f32]| x.iter().chain(x).copied().collect::<Vec<f32>>();
        let pair = run::<f32, f32>(
            isa,
            &q2,
            &twice(&k),
            &twice(&v),
            Heads {
                batches: 2,
                ..heads
            },
        );
        assert!(
            pair[..8000] == all && pair[8000..] == all,
            "{}: the batch changes bits",
            isa.name()
        );
    }
}
