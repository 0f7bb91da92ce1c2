//! Decoders of others, which panic on some damaged files: a bad file is the user's, no bug of ours.
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    /// Whether this thread is inside such a decoder.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs a part of a decoder; `None` if it panics. Arrow and Parquet take lengths in a file for granted in
/// more places than can be checked before.
///
/// The panic hook of the process is wrapped once, so that nothing is said of these panics: what is told is
/// the error that the caller makes of them.
pub(crate) fn guarded<T>(decode: impl FnOnce() -> T) -> Option<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !GUARDED.get() {
                before(info);
            }
        }));
    });
    let outer = GUARDED.replace(true);
    let decoded = panic::catch_unwind(AssertUnwindSafe(decode)).ok();
    GUARDED.set(outer);
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_no_answer_and_others_are() {
        assert_eq!(guarded(|| 3), Some(3));
        assert_eq!(guarded(|| [1, 2].iter().copied().nth(5).expect("a length that lies")), None);
        assert!(!GUARDED.get());
    }
}
