//! Instruction sets, chosen at run time.

/// A level of vector instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// What every x86-64 (or other) CPU has.
    Scalar,
    /// AVX2, FMA and F16C, which every CPU with AVX2 has.
    Avx2,
    /// AVX-512 F, VL, DQ and BW.
    Avx512,
}

impl Level {
    /// All levels, slowest first.
    pub const ALL: [Level; 3] = [Level::Scalar, Level::Avx2, Level::Avx512];

    /// Lower-case name.
    pub fn name(self) -> &'static str {
        match self {
            Level::Scalar => "scalar",
            Level::Avx2 => "avx2",
            Level::Avx512 => "avx512",
        }
    }
}

/// Proof that this CPU has the instructions of a [`Level`], and perhaps those of bf16 products. Kernels take
/// it by value and rely on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Isa {
    level: Level,
    bf16: bool,
}

impl Isa {
    /// The best level of this CPU.
    pub fn detect() -> Self {
        Level::ALL.into_iter().rev().find_map(Self::of).expect("every CPU has the scalar level")
    }

    /// The given level, if this CPU has it, with what this CPU has beside it.
    pub fn of(level: Level) -> Option<Self> {
        has(level).then(|| Isa { level, bf16: level == Level::Avx512 && has_bf16() })
    }

    /// Every level that this CPU has.
    pub fn available() -> impl Iterator<Item = Self> {
        Level::ALL.into_iter().filter_map(Self::of)
    }

    /// The level.
    pub fn level(self) -> Level {
        self.level
    }

    /// Whether there are instructions that multiply pairs of bf16 numbers (AVX-512 BF16, on top of
    /// [`Level::Avx512`]).
    pub fn has_bf16(self) -> bool {
        self.bf16
    }

    /// This level without instructions for bf16, as CPUs have it that lack them.
    pub fn without_bf16(self) -> Self {
        Isa { bf16: false, ..self }
    }
}

#[cfg(target_arch = "x86_64")]
fn has(level: Level) -> bool {
    use std::arch::is_x86_feature_detected as cpu;
    let avx2 = cpu!("avx2") && cpu!("fma") && cpu!("f16c");
    match level {
        Level::Scalar => true,
        Level::Avx2 => avx2,
        Level::Avx512 => avx2 && cpu!("avx512f") && cpu!("avx512vl") && cpu!("avx512dq") && cpu!("avx512bw"),
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn has(level: Level) -> bool {
    level == Level::Scalar
}

#[cfg(target_arch = "x86_64")]
fn has_bf16() -> bool {
    std::arch::is_x86_feature_detected!("avx512bf16")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_bf16() -> bool {
    false
}
