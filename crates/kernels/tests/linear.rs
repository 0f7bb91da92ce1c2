//! The linear layer and its parts: matrix product, bias, ReLU and their gradients.
mod common;

use common::{check_gradient, close, dot, numbers, per_isa, same_bits, sizes, wide};
use dlrm_kernels::activation::{self, reference::relu};
use dlrm_kernels::matmul::{Epilogue, Packed, View, matmul};
use dlrm_kernels::{Isa, Strided, elementwise, linear, matmul as product};
use proptest::prelude::*;

#[test]
fn reference_gradient_of_linear_is_the_derivative() {
    for shape @ (rows, n, k) in [(1, 1, 1), (3, 5, 7), (4, 3, 1), (0, 2, 3)] {
        let (x, w, bias) = (wide(&numbers(rows * k, 1)), wide(&numbers(n * k, 2)), wide(&numbers(n, 3)));
        let dy = wide(&numbers(rows * n, 4));
        let (mut dx, mut dw, mut dbias) = (vec![0.0; x.len()], vec![0.0; w.len()], vec![0.0; n]);
        linear::reference::backward((&mut dx, &mut dw, &mut dbias), &dy, &x, &w, shape);
        let loss = |x: &[f64], w: &[f64], bias: &[f64]| {
            let mut y = vec![0.0; dy.len()];
            linear::reference::forward(&mut y, x, w, bias, shape);
            dot(&y, &dy)
        };
        check_gradient("dx", &x, &dx, |x| loss(x, &w, &bias));
        check_gradient("dw", &w, &dw, |w| loss(&x, w, &bias));
        check_gradient("dbias", &bias, &dbias, |bias| loss(&x, &w, bias));
    }
}

#[test]
fn reference_gradient_of_relu_is_the_derivative() {
    // Away from the corner at 0, where there is no derivative.
    let x: Vec<f64> = wide(&numbers(77, 5)).into_iter().filter(|x| x.abs() > 1e-3).collect();
    let dy = wide(&numbers(x.len(), 6));
    let dx: Vec<f64> =
        x.iter().zip(&dy).map(|(&x, &dy)| activation::reference::relu_backward(dy, relu(x))).collect();
    check_gradient("relu", &x, &dx, |x| x.iter().zip(&dy).map(|(&x, dy)| relu(x) * dy).sum());
}

/// How a matrix lies in memory.
#[derive(Debug, Clone, Copy)]
enum Layout {
    RowMajor,
    /// Rows further apart than they are long.
    Gaps,
    Transposed,
}

fn layout() -> impl Strategy<Value = Layout> {
    prop::sample::select(vec![Layout::RowMajor, Layout::Gaps, Layout::Transposed])
}

/// Memory that shows the row-major matrix `x` in `layout`; NaN between the rows, which must never be read
/// into a sum.
fn laid_out(x: &[f32], rows: usize, columns: usize, layout: Layout) -> (Vec<f32>, usize) {
    let (lines, len) = if matches!(layout, Layout::Transposed) { (columns, rows) } else { (rows, columns) };
    let stride = if matches!(layout, Layout::Gaps) { len + 3 } else { len };
    let mut data = vec![f32::NAN; lines * stride];
    for i in 0..rows {
        for j in 0..columns {
            let at = if matches!(layout, Layout::Transposed) { j * stride + i } else { i * stride + j };
            data[at] = x[i * columns + j];
        }
    }
    (data, stride)
}

fn view((data, stride): &(Vec<f32>, usize), layout: Layout) -> View<'_> {
    let view = View::of(data, *stride);
    if matches!(layout, Layout::Transposed) { view.transposed() } else { view }
}

fn product_agrees(isa: Isa) {
    proptest!(|(
        (m, n, k) in (0usize..=40, 1usize..=70, 0usize..=70),
        gap in 0usize..4,
        (la, lb) in (layout(), layout()),
        seed: u64
    )| {
        let (a, b, bias) = (numbers(m * k, seed), numbers(k * n, seed ^ 1), numbers(n, seed ^ 2));
        let (a_data, b_data) = (laid_out(&a, m, k, la), laid_out(&b, k, n, lb));
        let mut packed = Packed::default();
        // Nothing of an earlier, larger pack may show.
        packed.pack(isa, View { data: &[f32::NAN], row: 0, column: 0 }, 70, 80);
        packed.pack(isa, view(&b_data, lb), k, n);
        let (mut sum, mut size) = (vec![0.0; m * n], vec![0.0; m * n]);
        product::reference::matmul(&mut sum, &wide(&a), &wide(&b), (m, n, k));
        product::reference::matmul(&mut size, &sizes(&a), &sizes(&b), (m, n, k));
        let stride = n + gap;
        let before = numbers(m * stride, seed ^ 3);
        for epilogue in [Epilogue::Set, Epilogue::Add, Epilogue::Bias(&bias), Epilogue::BiasRelu(&bias)] {
            let mut c = before.clone();
            matmul(isa, Strided::new(&mut c, stride), m, view(&a_data, la), &packed, epilogue);
            for (i, (c, before)) in c.chunks_exact(stride).zip(before.chunks_exact(stride)).enumerate() {
                let added = |j: usize| {
                    f64::from(match epilogue {
                        Epilogue::Set => 0.0,
                        Epilogue::Add => before[j],
                        Epilogue::Bias(bias) | Epilogue::BiasRelu(bias) => bias[j],
                    })
                };
                let finish = |x: f64| if matches!(epilogue, Epilogue::BiasRelu(_)) { x.max(0.0) } else { x };
                let want: Vec<f64> = (0..n).map(|j| finish(sum[i * n + j] + added(j))).collect();
                let size: Vec<f64> = (0..n).map(|j| size[i * n + j] + added(j).abs()).collect();
                close(&format!("{epilogue:?} row {i}"), &c[..n], &want, &size);
                same_bits("between the rows", &c[n..], &before[n..]);
            }
        }
    });
}

fn a_row_has_the_same_bits_in_any_shape(isa: Isa) {
    proptest!(|(m in 1usize..=40, n in 1usize..=70, k in 0usize..=300, la in layout(), seed: u64)| {
        let (a, b, bias) = (numbers(m * k, seed), numbers(k * n, seed ^ 1), numbers(n, seed ^ 2));
        let a_data = laid_out(&a, m, k, la);
        let mut packed = Packed::default();
        packed.pack(isa, View::of(&b, n), k, n);
        let mut c = vec![0.0; m * n];
        matmul(isa, Strided::new(&mut c, n), m, view(&a_data, la), &packed, Epilogue::BiasRelu(&bias));
        // One row alone, and one column alone: neither the tiling of rows nor that of columns shows.
        for i in 0..m {
            let mut alone = vec![0.0; n];
            matmul(
                isa,
                Strided::new(&mut alone, n),
                1,
                View::of(&a[i * k..(i + 1) * k], k),
                &packed,
                Epilogue::BiasRelu(&bias),
            );
            same_bits("row", &alone, &c[i * n..(i + 1) * n]);
        }
        for j in 0..n {
            let column: Vec<f32> = (0..k).map(|p| b[p * n + j]).collect();
            packed.pack(isa, View::of(&column, 1), k, 1);
            let mut alone = vec![0.0; m];
            matmul(
                isa,
                Strided::new(&mut alone, 1),
                m,
                view(&a_data, la),
                &packed,
                Epilogue::BiasRelu(&bias[j..=j]),
            );
            let want: Vec<f32> = (0..m).map(|i| c[i * n + j]).collect();
            same_bits("column", &alone, &want);
        }
    });
}

/// A whole layer forward and backward through the fast parts, composed as a network composes them.
fn layer_agrees(isa: Isa) {
    proptest!(|(rows in 0usize..=20, n in 1usize..=40, k in 1usize..=40, seed: u64)| {
        let shape = (rows, n, k);
        let (x, w, bias, dy) = (
            numbers(rows * k, seed),
            numbers(n * k, seed ^ 1),
            numbers(n, seed ^ 2),
            numbers(rows * n, seed ^ 3),
        );
        let mut packed = Packed::default();
        packed.pack(isa, View::of(&w, k).transposed(), k, n);
        let mut y = vec![0.0; rows * n];
        matmul(isa, Strided::new(&mut y, n), rows, View::of(&x, k), &packed, Epilogue::Bias(&bias));
        let (mut want, mut size) = (vec![0.0; rows * n], vec![0.0; rows * n]);
        linear::reference::forward(&mut want, &wide(&x), &wide(&w), &wide(&bias), shape);
        linear::reference::forward(&mut size, &sizes(&x), &sizes(&w), &sizes(&bias), shape);
        close("y", &y, &want, &size);

        let before = [numbers(rows * k, seed ^ 4), numbers(n * k, seed ^ 5), numbers(n, seed ^ 6)];
        let [mut dx, mut dw, mut dbias] = before.clone();
        packed.pack(isa, View::of(&w, k), n, k);
        matmul(isa, Strided::new(&mut dx, k), rows, View::of(&dy, n), &packed, Epilogue::Add);
        packed.pack(isa, View::of(&x, k), rows, k);
        matmul(isa, Strided::new(&mut dw, k), n, View::of(&dy, n).transposed(), &packed, Epilogue::Add);
        elementwise::column_sums(isa, &mut dbias, &dy);
        let [mut want_dx, mut want_dw, mut want_dbias] = before.clone().map(|x| wide(&x));
        let [mut size_dx, mut size_dw, mut size_dbias] = before.map(|x| sizes(&x));
        linear::reference::backward(
            (&mut want_dx, &mut want_dw, &mut want_dbias),
            &wide(&dy),
            &wide(&x),
            &wide(&w),
            shape,
        );
        linear::reference::backward(
            (&mut size_dx, &mut size_dw, &mut size_dbias),
            &sizes(&dy),
            &sizes(&x),
            &sizes(&w),
            shape,
        );
        close("dx", &dx, &want_dx, &size_dx);
        close("dw", &dw, &want_dw, &size_dw);
        close("dbias", &dbias, &want_dbias, &size_dbias);
    });
}

fn relu_lets_nan_through(isa: Isa) {
    for n in 1..=70 {
        let (a, b) = (vec![f32::NAN, 1.0], vec![1.0; n]);
        let mut packed = Packed::default();
        packed.pack(isa, View::of(&b, n), 1, n);
        let mut c = vec![0.0; 2 * n];
        matmul(isa, Strided::new(&mut c, n), 2, View::of(&a, 1), &packed, Epilogue::BiasRelu(&vec![0.0; n]));
        assert!(c[..n].iter().all(|c| c.is_nan()) && c[n..].iter().all(|&c| c == 1.0), "n = {n}: {c:?}");
    }
}

fn relu_gradient_agrees(isa: Isa) {
    proptest!(|(n in 0usize..=70, seed: u64)| {
        let (x, dy) = (numbers(n, seed), numbers(n, seed ^ 1));
        let y: Vec<f32> = x.iter().map(|&x| relu(x)).collect();
        let mut dx = dy.clone();
        activation::relu_backward(isa, &mut dx, &y);
        let want: Vec<f32> =
            dy.iter().zip(&y).map(|(&dy, &y)| activation::reference::relu_backward(dy, y)).collect();
        same_bits("dx", &dx, &want);
    });
}

fn sums_agree(isa: Isa) {
    proptest!(|(rows in 0usize..=30, n in 1usize..=70, a in -2.0f32..2.0, seed: u64)| {
        let (x, before) = (numbers(rows * n, seed), numbers(n, seed ^ 1));
        let mut sums = before.clone();
        elementwise::column_sums(isa, &mut sums, &x);
        let column = |j: usize, start: f64, f: fn(f64) -> f64| {
            start + (0..rows).map(|i| f(f64::from(x[i * n + j]))).sum::<f64>()
        };
        let want: Vec<f64> = (0..n).map(|j| column(j, f64::from(before[j]), |x| x)).collect();
        let size: Vec<f64> = (0..n).map(|j| column(j, f64::from(before[j].abs()), f64::abs)).collect();
        close("column sums", &sums, &want, &size);

        let y = numbers(n, seed ^ 2);
        let (mut added, mut scaled) = (before.clone(), before.clone());
        elementwise::add(isa, &mut added, &y);
        elementwise::axpy(isa, &mut scaled, a, &y);
        for j in 0..n {
            let (before, y, a) = (f64::from(before[j]), f64::from(y[j]), f64::from(a));
            close("add", &added[j..=j], &[before + y], &[before.abs() + y.abs()]);
            close("axpy", &scaled[j..=j], &[before + a * y], &[before.abs() + (a * y).abs()]);
        }
        let want: f64 = x.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
        prop_assert!((elementwise::sum_of_squares(&x) - want).abs() <= 1e-12 * want);
    });
}

per_isa! {
    product_agrees: matmul_scalar, matmul_avx2, matmul_avx512;
    a_row_has_the_same_bits_in_any_shape: matmul_bits_scalar, matmul_bits_avx2, matmul_bits_avx512;
    layer_agrees: linear_scalar, linear_avx2, linear_avx512;
    relu_lets_nan_through: relu_nan_scalar, relu_nan_avx2, relu_nan_avx512;
    relu_gradient_agrees: relu_backward_scalar, relu_backward_avx2, relu_backward_avx512;
    sums_agree: sums_scalar, sums_avx2, sums_avx512;
}

fn packed(k: usize, n: usize) -> Packed {
    let mut packed = Packed::default();
    packed.pack(Isa::detect(), View::of(&vec![1.0; k * n], n), k, n);
    packed
}

#[test]
#[should_panic(expected = "A is smaller than 2 x 3")]
fn a_short_a_is_refused() {
    matmul(
        Isa::detect(),
        Strided::new(&mut [0.0; 8], 4),
        2,
        View::of(&[0.0; 5], 3),
        &packed(3, 4),
        Epilogue::Set,
    );
}

#[test]
#[should_panic(expected = "C is smaller than 2 x 4")]
fn a_short_c_is_refused() {
    matmul(
        Isa::detect(),
        Strided::new(&mut [0.0; 7], 4),
        2,
        View::of(&[0.0; 6], 3),
        &packed(3, 4),
        Epilogue::Set,
    );
}

#[test]
#[should_panic(expected = "C is smaller than 2 x 4")]
fn overlapping_rows_of_c_are_refused() {
    matmul(
        Isa::detect(),
        Strided::new(&mut [0.0; 8], 3),
        2,
        View::of(&[0.0; 6], 3),
        &packed(3, 4),
        Epilogue::Set,
    );
}

#[test]
#[should_panic(expected = "one bias per column")]
fn a_short_bias_is_refused() {
    matmul(
        Isa::detect(),
        Strided::new(&mut [0.0; 8], 4),
        2,
        View::of(&[0.0; 6], 3),
        &packed(3, 4),
        Epilogue::Bias(&[0.0; 3]),
    );
}

#[test]
#[should_panic(expected = "A is smaller than 3 x 1")]
fn strides_that_overflow_are_refused() {
    // 2 · row wraps around to 0.
    let a = View { data: &[0.0], row: 1 << (usize::BITS - 1), column: 1 };
    matmul(Isa::detect(), Strided::new(&mut [0.0; 3], 1), 3, a, &packed(1, 1), Epilogue::Set);
}

#[test]
#[should_panic(expected = "overflows")]
fn a_packed_size_that_overflows_is_refused() {
    // A view of one element seen everywhere, so that only the packed copy is too large.
    let b = View { data: &[0.0], row: 0, column: 0 };
    Packed::default().pack(Isa::detect(), b, 1 << (usize::BITS / 2), 1 << (usize::BITS / 2));
}

#[test]
#[should_panic(expected = "packed for another instruction set")]
fn a_matrix_packed_for_another_cpu_is_refused() {
    let scalar = Isa::of(dlrm_kernels::isa::Level::Scalar).expect("every CPU has it");
    if Isa::detect() == scalar {
        panic!("skipped: packed for another instruction set (CPU has one only)");
    }
    matmul(scalar, Strided::new(&mut [0.0; 1], 1), 1, View::of(&[0.0; 1], 1), &packed(1, 1), Epilogue::Set);
}

/// One element seen everywhere may be a matrix of any size; its packed form may not.
#[test]
fn every_packed_size_that_overflows_is_refused() {
    let b = View { data: &[1.0], row: 0, column: 0 };
    let sizes = [1, 3, 1 << 20, 1 << 31, usize::MAX / 64, usize::MAX / 4, usize::MAX / 2, usize::MAX];
    let near = |size: usize| [size.saturating_sub(40), size - 1, size, size.saturating_add(1)];
    for isa in Isa::available() {
        for (k, n) in sizes.into_iter().flat_map(near).flat_map(|k| sizes.map(|n| (k, n))) {
            // Less would be asked of the system, which ends the process.
            if k.checked_mul(n).is_none_or(|len| len >= usize::MAX / 4) && k > 0 {
                let refused = |pack: &dyn Fn()| {
                    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(pack));
                    assert!(done.is_err(), "{isa:?}: {k} x {n}");
                };
                refused(&|| Packed::default().pack(isa, b, k, n));
                refused(&|| product::PackedBf16::default().pack(isa, b, k, n));
                refused(&|| product::RowsBf16::default().pack(isa, b, n, k));
            }
        }
    }
}
