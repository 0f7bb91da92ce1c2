//! Who is told how fetching goes.

/// Who is told how it goes. Nothing here decides what is fetched.
pub trait Observer {
    /// Something begins.
    fn stage(&mut self, _what: &str) {}
    /// So many bytes are done, of so many.
    fn progress(&mut self, _done: u64, _all: Option<u64>) {}
    /// Something went wrong and will be tried again, or is worth knowing.
    fn warned(&mut self, _warning: &str) {}
    /// Whether to stop; what has arrived stays.
    fn should_stop(&mut self) -> bool {
        false
    }
}

/// Wants to know nothing.
impl Observer for () {}
