//! One algorithm, several instruction sets.

/// Defines a kernel from a body `fn body(simd: impl Simd, …)` that is `#[inline(always)]`: the compiler
/// vectorises the body anew inside each instruction set. The body gets its token ([`crate::simd`]) from a
/// function compiled for those instructions, and only a CPU that has them ([`crate::Isa`]) enters that
/// function.
macro_rules! bind {
    ($(#[$meta:meta])*
     $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? = $body:ident) => {
        $(#[$meta])*
        $vis fn $name(isa: $crate::Isa, $($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma,f16c")]
                fn avx2($($arg: $ty),*) $(-> $ret)? {
                    $body($crate::simd::Avx2::new(), $($arg),*)
                }
                #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma,f16c")]
                fn avx512($($arg: $ty),*) $(-> $ret)? {
                    $body($crate::simd::Avx2::new(), $($arg),*)
                }
                match isa.level() {
                    // SAFETY: an Isa of this level exists only where the CPU has these features.
                    $crate::isa::Level::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: as above.
                    $crate::isa::Level::Avx2 => return unsafe { avx2($($arg),*) },
                    $crate::isa::Level::Scalar => {}
                }
            }
            let _ = isa;
            $body($crate::simd::Scalar, $($arg),*)
        }
    };
}
