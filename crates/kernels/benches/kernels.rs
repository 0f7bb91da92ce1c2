//! Speed of the kernels on one core, per instruction set, at the shapes of a DLRM (Criteo-Kaggle).
//!
//! `cargo bench -p dlrm-kernels` prints a table; `-- --quick` runs each for a moment, to see that all still
//! run. "best" is what the core can do, "median" what it did beside whatever else the machine was doing.
use std::hint::black_box;
use std::time::{Duration, Instant};

use dlrm_kernels::dot_interaction::{self, Dims, Pairs};
use dlrm_kernels::embedding::{self, BagsView, Pool, TableView};
use dlrm_kernels::half::Numbers;
use dlrm_kernels::matmul::{
    Epilogue, Packed, PackedBf16, Panels, RowsBf16, Strips, View, matmul, matmul_bf16, matmul_part,
};
use dlrm_kernels::optimizer::{self, Adagrad, Adam};
use dlrm_kernels::{Buffer, Isa, Strided};

/// How long each line is measured.
#[derive(Clone, Copy)]
struct Patience(Duration);

/// What one call does.
enum Work {
    Flops(usize),
    Bytes(usize),
}

impl Patience {
    /// Copies of `len` floats that no near cache holds.
    fn copies(self, len: usize) -> usize {
        let bytes = if self.0 < Duration::from_millis(10) { 1 << 20 } else { 32 << 20 };
        (bytes / (4 * len)).max(2)
    }

    /// Times `call` again and again and prints one line of the table.
    fn line(self, isa: Isa, kernel: &str, shape: &str, work: Work, mut call: impl FnMut()) {
        call();
        let start = Instant::now();
        let mut times = Vec::new();
        while times.len() < 3 || start.elapsed() < self.0 {
            let before = Instant::now();
            call();
            times.push(before.elapsed().as_secs_f64());
        }
        times.sort_by(f64::total_cmp);
        let (amount, unit) = match work {
            Work::Flops(n) => (n as f64, "GFLOP/s"),
            Work::Bytes(n) => (n as f64, "GB/s"),
        };
        let (best, median) = (amount / times[0] / 1e9, amount / times[times.len() / 2] / 1e9);
        println!("{kernel:<24} {shape:<26} {:<7} {best:>8.1} {median:>8.1}  {unit}", isa.level().name());
    }
}

fn numbers(len: usize) -> Buffer {
    let mut out = Buffer::zeroed(len);
    for (i, x) in out.iter_mut().enumerate() {
        *x = ((i as u32).wrapping_mul(2_654_435_761) >> 16) as f32 / 32768.0 - 1.0;
    }
    out
}

fn products(isa: Isa, patience: Patience) {
    for (k, n) in [(13, 512), (512, 256), (256, 64), (64, 16), (367, 512), (256, 1)] {
        for m in [64, 128, 256] {
            let (a, b, bias, mut c) = (numbers(m * k), numbers(k * n), numbers(n), Buffer::zeroed(m * n));
            let mut packed = Packed::default();
            packed.pack(isa, View::of(&b, n), k, n);
            patience.line(
                isa,
                "linear forward",
                &format!("m={m} k={k} n={n}"),
                Work::Flops(2 * m * n * k),
                || {
                    matmul(
                        isa,
                        Strided::new(black_box(&mut c), n),
                        m,
                        View::of(&a, k),
                        &packed,
                        Epilogue::BiasRelu(&bias),
                    );
                },
            );
        }
    }
}

/// The f32 product beside the bf16 product, alone and with A packed at every call.
fn bf16_products(isa: Isa, patience: Patience) {
    let m = 128;
    for (k, n) in [(512, 256), (1024, 1024), (367, 512)] {
        let (a, b, bias, mut c) = (numbers(m * k), numbers(k * n), numbers(n), Buffer::zeroed(m * n));
        let (shape, work) = (format!("m={m} k={k} n={n}"), || Work::Flops(2 * m * n * k));
        let (mut packed, mut packed_bf16, mut rows) =
            (Packed::default(), PackedBf16::default(), RowsBf16::default());
        packed.pack(isa, View::of(&b, n), k, n);
        packed_bf16.pack(isa, View::of(&b, n), k, n);
        rows.pack(isa, View::of(&a, k), m, k);
        let epilogue = Epilogue::BiasRelu(&bias);
        patience.line(isa, "f32 product", &shape, work(), || {
            matmul(isa, Strided::new(black_box(&mut c), n), m, View::of(&a, k), &packed, epilogue);
        });
        patience.line(isa, "bf16 product", &shape, work(), || {
            matmul_bf16(isa, Strided::new(black_box(&mut c), n), &rows, &packed_bf16, epilogue)
        });
        patience.line(isa, "bf16 product, pack A", &shape, work(), || {
            rows.pack(isa, View::of(black_box(&a), k), m, k);
            matmul_bf16(isa, Strided::new(black_box(&mut c), n), &rows, &packed_bf16, epilogue);
        });
        let (packing_a, packing_b) = (|| Work::Bytes(6 * m * k), || Work::Bytes(6 * k * n));
        patience.line(isa, "bf16 pack A", &shape, packing_a(), || {
            rows.pack(isa, View::of(black_box(&a), k), m, k)
        });
        patience.line(isa, "bf16 pack A transposed", &shape, packing_a(), || {
            rows.pack(isa, View::of(black_box(&a), m).transposed(), m, k)
        });
        patience.line(isa, "bf16 pack B", &shape, packing_b(), || {
            packed_bf16.pack(isa, View::of(black_box(&b), n), k, n)
        });
        patience.line(isa, "bf16 pack B transposed", &shape, packing_b(), || {
            packed_bf16.pack(isa, View::of(black_box(&b), k).transposed(), k, n);
        });
    }
}

/// Which operands a product finds in a near cache: in training steps they have been written long ago.
#[derive(Clone, Copy)]
enum Near {
    All,
    /// All but the result.
    Operands,
    None,
}

/// dW[out, in] = dyᵀ x: A is dy seen transposed, B is x; both change with every shard, so packing them
/// counts.
fn weight_gradients(isa: Isa, patience: Patience) {
    for (m, n) in [(512, 13), (256, 512), (64, 256), (16, 64), (512, 367), (1024, 1024)] {
        for k in [128, 256, 512] {
            for (near, where_from) in [
                (Near::All, "weight gradient"),
                (Near::Operands, "  result from afar"),
                (Near::None, "  all from afar"),
            ] {
                let copies = |far: bool, len: usize| if far { patience.copies(len) } else { 1 };
                let (far_result, far) = (!matches!(near, Near::All), matches!(near, Near::None));
                let (dys, xs, mut cs) = (
                    numbers(k * m * copies(far, k * m)),
                    numbers(k * n * copies(far, k * n)),
                    Buffer::zeroed(m * n * copies(far_result, m * n)),
                );
                let (strips, panels) = (Strips::new(isa, m, k), Panels::new(isa, k, n));
                let (mut a, mut b) = (Buffer::hot(strips.floats()), Buffer::hot(panels.floats()));
                let (mut dys, mut xs) = (dys.chunks_exact(k * m).cycle(), xs.chunks_exact(k * n).cycle());
                let mut c = 0;
                let shape = format!("m={m} k={k} n={n}");
                patience.line(isa, where_from, &shape, Work::Flops(2 * m * n * k), || {
                    let (dy, x) = (dys.next().expect("a cycle"), xs.next().expect("a cycle"));
                    c = (c + m * n) % cs.len();
                    strips.pack(View::of(dy, m).transposed(), &mut a);
                    panels.pack(isa, View::of(x, n), &mut b);
                    matmul_part(
                        isa,
                        Strided::new(black_box(&mut cs[c..c + m * n]), n),
                        (strips.operand(&a), 0..strips.count()),
                        (panels.operand(&b), 0..panels.count()),
                        Epilogue::Set,
                    );
                });
            }
        }
    }
}

/// dx[rows, in] = dy W, with dy and the result near or from afar; W is what every shard multiplies with.
fn input_gradients(isa: Isa, patience: Patience) {
    for (k, n) in [(512, 367), (256, 512), (1024, 1024)] {
        let m = 128;
        let (w, mut packed) = (numbers(k * n), Packed::default());
        packed.pack(isa, View::of(&w, n), k, n);
        for (far, where_from) in [(false, "input gradient"), (true, "  all from afar")] {
            let copies = |len: usize| if far { patience.copies(len) } else { 1 };
            let (dys, mut dxs) = (numbers(m * k * copies(m * k)), Buffer::zeroed(m * n * copies(m * n)));
            let mut dys = dys.chunks_exact(m * k).cycle();
            let mut dx = 0;
            patience.line(isa, where_from, &format!("m={m} k={k} n={n}"), Work::Flops(2 * m * n * k), || {
                dx = (dx + m * n) % dxs.len();
                let (dy, dx) = (dys.next().expect("a cycle"), &mut dxs[dx..dx + m * n]);
                matmul(isa, Strided::new(black_box(dx), n), m, View::of(dy, k), &packed, Epilogue::Set);
            });
        }
    }
}

fn packing(isa: Isa, patience: Patience) {
    let (k, n) = (512, 256);
    let b = numbers(k * n);
    let mut packed = Packed::default();
    patience.line(isa, "pack", &format!("k={k} n={n}"), Work::Bytes(8 * k * n), || {
        packed.pack(isa, View::of(&b, n), k, n)
    });
    patience.line(isa, "pack transposed", &format!("k={k} n={n}"), Work::Bytes(8 * k * n), || {
        packed.pack(isa, View::of(&b, k).transposed(), k, n);
    });
}

fn interactions(isa: Isa, patience: Patience) {
    for dim in [16, 64] {
        let d = Dims { rows: 128, fields: 27, dim, pairs: Pairs::Distinct };
        let (x, dz) = (numbers(d.rows * d.fields * dim), numbers(d.rows * d.pairs()));
        let (mut z, mut dx) = (Buffer::zeroed(dz.len()), Buffer::zeroed(x.len()));
        let mut scratch = Buffer::zeroed(dot_interaction::scratch_len(d));
        let shape = format!("rows=128 F=27 D={dim}");
        // Useful work only: what the kernels compute twice or into padding does not count.
        let flops = 2 * d.rows * d.pairs() * dim;
        patience.line(isa, "interaction forward", &shape, Work::Flops(flops), || {
            dot_interaction::forward(isa, black_box(&mut z), &x, d, &mut scratch);
        });
        patience.line(isa, "interaction backward", &shape, Work::Flops(2 * flops), || {
            dot_interaction::backward(isa, black_box(&mut dx), &dz, &x, d, &mut scratch);
        });
    }
}

fn embeddings(isa: Isa, patience: Patience) {
    let rows = 1 << 20;
    for dim in [16, 64] {
        let table = numbers(rows * dim);
        for (name, per_bag) in [("one-hot", 1), ("bags of 8", 8)] {
            let bags = 2048;
            // A new stretch of ids at every call, so that no row is met again while still in a cache.
            let ids: Vec<u32> = (0..64 * bags * per_bag)
                .map(|i| ((i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 44) as u32 % rows as u32)
                .collect();
            let offsets: Vec<u32> = (0..=bags).map(|b| (b * per_bag) as u32).collect();
            let mut y = Buffer::zeroed(bags * dim);
            let mut stretches = ids.chunks_exact(bags * per_bag).cycle();
            let bytes = 4 * dim * bags * (per_bag + 1);
            patience.line(
                isa,
                "embedding forward",
                &format!("1M x {dim}, {name}"),
                Work::Bytes(bytes),
                || {
                    let ids = stretches.next().expect("a cycle has no end");
                    embedding::forward(
                        isa,
                        Strided::new(black_box(&mut y), dim),
                        TableView { values: Numbers::F32(&table), dim },
                        BagsView { ids, offsets: &offsets },
                        Pool::Sum,
                    );
                },
            );
        }
    }
}

fn updates(isa: Isa, patience: Patience) {
    let n = 1 << 16;
    let (mut w, mut m, mut v, g) = (numbers(n), Buffer::zeroed(n), Buffer::zeroed(n), numbers(n));
    let adam = Adam { lr: 1e-3, eps: 1e-8, ..Adam::default() }.at_step(1, 0.9, 0.999);
    patience.line(isa, "sgd", &format!("{n}"), Work::Bytes(12 * n), || {
        optimizer::sgd(isa, black_box(&mut w), &g, 1e-3, 0.0)
    });
    patience.line(isa, "adagrad", &format!("{n}"), Work::Bytes(20 * n), || {
        optimizer::adagrad(isa, black_box(&mut w), &mut v, &g, Adagrad { lr: 1e-3, eps: 1e-10, l2: 0.0 });
    });
    patience.line(isa, "adam", &format!("{n}"), Work::Bytes(28 * n), || {
        optimizer::adam(isa, black_box(&mut w), &mut m, &mut v, &g, adam);
    });
}

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let patience = Patience(Duration::from_millis(if quick { 1 } else { 200 }));
    println!("{:<24} {:<26} {:<7} {:>8} {:>8}", "kernel", "shape", "isa", "best", "median");
    for isa in Isa::available() {
        products(isa, patience);
        bf16_products(isa, patience);
        weight_gradients(isa, patience);
        input_gradients(isa, patience);
        packing(isa, patience);
        interactions(isa, patience);
        embeddings(isa, patience);
        updates(isa, patience);
    }
}
