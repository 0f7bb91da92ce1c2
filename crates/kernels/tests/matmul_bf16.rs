//! Products of operands rounded to bf16, with and without instructions for them.
mod common;

use common::{close, numbers, per_isa, same_bits, sizes, wide};
use dlrm_kernels::matmul::{Epilogue, PackedBf16, RowsBf16, View, matmul_bf16, reference};
use dlrm_kernels::{Isa, Strided};
use proptest::prelude::*;

/// The instruction set with and without instructions for bf16.
fn forms(isa: Isa) -> Vec<Isa> {
    if isa.has_bf16() { vec![isa, isa.without_bf16()] } else { vec![isa] }
}

/// How a matrix lies in memory.
#[derive(Debug, Clone, Copy)]
enum Order {
    Rows,
    Columns,
    /// Neither rows nor columns are contiguous.
    Apart,
}

fn any_order() -> impl Strategy<Value = Order> {
    prop_oneof![Just(Order::Rows), Just(Order::Columns), Just(Order::Apart)]
}

/// Memory and strides of the row-major `x`, with gaps between rows or columns that must not matter.
fn lay(x: &[f32], rows: usize, columns: usize, order: Order) -> (Vec<f32>, usize, usize) {
    let (row, column) = match order {
        Order::Rows => (columns + 3, 1),
        Order::Columns => (1, rows + 2),
        Order::Apart => (3 * columns + 1, 3),
    };
    let mut out = vec![f32::NAN; rows * row + columns * column];
    for i in 0..rows {
        for j in 0..columns {
            out[i * row + j * column] = x[i * columns + j];
        }
    }
    (out, row, column)
}

fn product_agrees(
    isa: Isa,
    (m, n, k): (usize, usize, usize),
    orders: (Order, Order),
    rows: &mut RowsBf16,
    packed: &mut PackedBf16,
) {
    let (a, b, bias) = (numbers(m * k, 1), numbers(k * n, 2), numbers(n, 3));
    let (data, row, column) = lay(&a, m, k, orders.0);
    rows.pack(isa, View { data: &data, row, column }, m, k);
    let (data, row, column) = lay(&b, k, n, orders.1);
    packed.pack(isa, View { data: &data, row, column }, k, n);
    let (mut product, mut size) = (vec![0.0f64; m * n], vec![0.0f64; m * n]);
    reference::matmul_bf16(&mut product, &a, &b, (m, n, k));
    reference::matmul(&mut size, &sizes(&a), &sizes(&b), (m, n, k));
    let stride = n + 1;
    for (e, epilogue) in [Epilogue::Set, Epilogue::Add, Epilogue::Bias(&bias), Epilogue::BiasRelu(&bias)]
        .into_iter()
        .enumerate()
    {
        let mut c = vec![0.5; m * stride];
        matmul_bf16(isa, Strided::new(&mut c, stride), rows, packed, epilogue);
        for (i, c) in c.chunks_exact(stride).enumerate() {
            let line = i * n..(i + 1) * n;
            let want = wide(&bias)
                .into_iter()
                .zip(&product[line.clone()])
                .map(|(bias, &x)| [x, x + 0.5, x + bias, (x + bias).max(0.0)][e]);
            // The reference's sizes are those of operands not yet rounded, and the bias is an operand, too.
            let size: Vec<f64> = size[line].iter().map(|x| 1.01 * x + 1.0).collect();
            close(
                &format!("{isa:?} {m}x{n}x{k} {orders:?} epilogue {e} row {i}"),
                &c[..n],
                &want.collect::<Vec<_>>(),
                &size,
            );
            assert_eq!(c[n], 0.5, "nothing is written between rows");
        }
    }
    if !isa.has_bf16() {
        let (mut chain, mut c) = (vec![0.0f32; m * n], vec![0.0; m * n]);
        reference::matmul_bf16(&mut chain, &a, &b, (m, n, k));
        matmul_bf16(isa, Strided::new(&mut c, n), rows, packed, Epilogue::Set);
        same_bits("products are exact, so one chain has one value", &c, &chain);
    }
}

fn products_agree(isa: Isa) {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    // Packed memory is used again for other sizes, as in training.
    let scratch = std::cell::RefCell::new((RowsBf16::default(), PackedBf16::default()));
    runner
        .run(&(1usize..40, 1usize..70, 1usize..50, any_order(), any_order()), |(m, n, k, a, b)| {
            let (rows, packed) = &mut *scratch.borrow_mut();
            for isa in forms(isa) {
                product_agrees(isa, (m, n, k), (a, b), rows, packed);
            }
            Ok(())
        })
        .expect("fast and defined products agree");
}

fn bits_depend_on_row_and_column_alone(isa: Isa) {
    let (m, n, k) = (61, 37, 701);
    let (a, b) = (numbers(m * k, 5), numbers(k * n, 6));
    let (mut rows, mut packed) = (RowsBf16::default(), PackedBf16::default());
    for isa in forms(isa) {
        let mut all = vec![0.0; m * n];
        rows.pack(isa, View::of(&a, k), m, k);
        packed.pack(isa, View::of(&b, n), k, n);
        matmul_bf16(isa, Strided::new(&mut all, n), &rows, &packed, Epilogue::Set);
        let mut one = vec![0.0; m.max(n)];
        for i in 0..m {
            rows.pack(isa, View::of(&a[i * k..], k), 1, k);
            matmul_bf16(isa, Strided::new(&mut one[..n], n), &rows, &packed, Epilogue::Set);
            same_bits("a row alone", &one[..n], &all[i * n..(i + 1) * n]);
        }
        rows.pack(isa, View::of(&lay(&a, m, k, Order::Columns).0, m + 2).transposed(), m, k);
        for j in 0..n {
            packed.pack(isa, View { data: &b[j..], row: n, column: 1 }, k, 1);
            matmul_bf16(isa, Strided::new(&mut one[..m], 1), &rows, &packed, Epilogue::Set);
            let column: Vec<f32> = all.iter().skip(j).step_by(n).copied().collect();
            same_bits("a column alone, A in another order", &one[..m], &column);
        }
    }
}

fn infinity_and_nan_stay_visible(isa: Isa) {
    let (mut rows, mut packed) = (RowsBf16::default(), PackedBf16::default());
    for isa in forms(isa) {
        for (broken, infinite) in
            [(f32::NAN, false), (f32::from_bits(0x7F80_0001), false), (f32::INFINITY, true), (f32::MAX, true)]
        {
            // The last k of an odd number of them, beside the padding.
            let (mut a, b, mut c) = (vec![1.0; 3 * 5], vec![1.0; 5 * 2], vec![0.0; 3 * 2]);
            a[5 + 4] = broken;
            rows.pack(isa, View::of(&a, 5), 3, 5);
            packed.pack(isa, View::of(&b, 2), 5, 2);
            matmul_bf16(isa, Strided::new(&mut c, 2), &rows, &packed, Epilogue::BiasRelu(&[0.0, 0.0]));
            assert_eq!((c[..2].to_vec(), c[4..].to_vec()), (vec![5.0, 5.0], vec![5.0, 5.0]), "{isa:?}");
            assert!(
                c[2..4].iter().all(|c| if infinite { *c == f32::INFINITY } else { c.is_nan() }),
                "{isa:?} {broken}: {c:?}"
            );
        }
    }
}

per_isa! {
    products_agree: scalar_products, avx2_products, avx512_products;
    bits_depend_on_row_and_column_alone: scalar_bits, avx2_bits, avx512_bits;
    infinity_and_nan_stay_visible: scalar_specials, avx2_specials, avx512_specials;
}

#[test]
#[should_panic(expected = "columns of A, rows of B")]
fn operands_must_fit() {
    let isa = Isa::detect();
    let (mut rows, mut packed) = (RowsBf16::default(), PackedBf16::default());
    rows.pack(isa, View::of(&[1.0; 6], 3), 2, 3);
    packed.pack(isa, View::of(&[1.0; 8], 2), 4, 2);
    matmul_bf16(isa, Strided::new(&mut [0.0; 4], 2), &rows, &packed, Epilogue::Set);
}
