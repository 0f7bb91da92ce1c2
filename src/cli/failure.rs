//! How the command ends when it cannot do what was asked: a message, a hint, an exit code by kind.
use super::flags;
use dlrm::engine::Error;

/// Flags or configuration.
pub(super) const USAGE: u8 = 2;
/// Input data.
pub(super) const DATA: u8 = 3;
/// A saved model or checkpoint.
pub(super) const SAVED: u8 = 4;
/// Memory, disk, permissions, threads, network.
pub(super) const RESOURCES: u8 = 5;
/// Training diverged.
pub(super) const DIVERGED: u8 = 6;
/// Ctrl-C or SIGTERM.
pub(super) const INTERRUPTED: u8 = 130;

/// Why the command ends.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    /// Exit code.
    pub code: u8,
    /// What was expected and found.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Failure {
    /// Of wrong flags.
    pub(super) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Failure { code: USAGE, message: message.into(), hint: Some(hint.into()) }
    }

    /// What the system refuses.
    pub(super) fn resources(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Failure { code: RESOURCES, message: message.into(), hint: Some(hint.into()) }
    }

    /// Of bad data.
    pub(super) fn data(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Failure { code: DATA, message: message.into(), hint: Some(hint.into()) }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = match &error {
            Error::Data(dlrm::data::Error::Io { .. }) | Error::Io { .. } => RESOURCES,
            Error::Data(dlrm::data::Error::Interrupted) => INTERRUPTED,
            Error::Data(dlrm::data::Error::Setting { .. }) => USAGE,
            Error::Data(_) => DATA,
            Error::Model(_) | Error::Config { .. } => USAGE,
            Error::Saved { .. } => SAVED,
            Error::Memory { .. } | Error::Threads { .. } => RESOURCES,
            Error::Diverged { .. } => DIVERGED,
            Error::Assisted | Error::Rank { .. } => RESOURCES,
            Error::Interrupted { .. } => INTERRUPTED,
            Error::Metrics(_) => DATA,
        };
        let message = match &error {
            Error::Interrupted { step, checkpoint: Some(path) } => {
                format!("after step {step}; saved in {}", path.display())
            }
            Error::Interrupted { step, checkpoint: None } => format!("after step {step}; nothing was saved"),
            Error::Config { what, expected, found, .. } => {
                format!("{}: expected {expected}, found {found}", flags::of_key(what))
            }
            other => other.to_string(),
        };
        Failure { code, message: flags::in_text(&message), hint: error.hint().as_ref().map(flags::of_hint) }
    }
}

impl From<dlrm::data::Error> for Failure {
    fn from(error: dlrm::data::Error) -> Self {
        Error::from(error).into()
    }
}

impl From<dlrm::metrics::Error> for Failure {
    fn from(error: dlrm::metrics::Error) -> Self {
        Error::from(error).into()
    }
}

impl From<dlrm::onnx::Error> for Failure {
    fn from(error: dlrm::onnx::Error) -> Self {
        use dlrm::onnx::Error as Onnx;
        match error {
            Onnx::File(error) => error.into(),
            Onnx::Name { .. } => Failure::usage(error.to_string(), "name another file"),
            Onnx::Operation { .. } => Failure::usage(error.to_string(), "train another model"),
        }
    }
}

#[cfg(feature = "fetch")]
impl From<dlrm::fetch::Error> for Failure {
    fn from(error: dlrm::fetch::Error) -> Self {
        use dlrm::fetch::Error as Fetch;
        let code = match &error {
            Fetch::Taken { .. } | Fetch::Address { .. } => USAGE,
            Fetch::Input { .. } => DATA,
            Fetch::Io { .. }
            | Fetch::Full { .. }
            | Fetch::Network { .. }
            | Fetch::Data(dlrm::data::Error::Io { .. }) => RESOURCES,
            Fetch::Data(_) => DATA,
            Fetch::Interrupted { .. } => INTERRUPTED,
        };
        Failure { code, message: error.to_string(), hint: error.hint().as_ref().map(flags::of_hint) }
    }
}

#[cfg(feature = "serve")]
impl From<dlrm::features::Error> for Failure {
    fn from(error: dlrm::features::Error) -> Self {
        use dlrm::features::Error as Features;
        let code = match error {
            Features::Data(error) => return error.into(),
            Features::Refused { .. } => USAGE,
            Features::Content { .. } => DATA,
            Features::Unavailable { .. } => RESOURCES,
        };
        Failure { code, message: error.to_string(), hint: error.hint().as_ref().map(flags::of_hint) }
    }
}

/// A failing write to standard output or to a file of results.
pub(super) fn io(
    action: &'static str,
    path: &std::path::Path,
) -> impl FnOnce(std::io::Error) -> Failure + use<> {
    let path = path.to_owned();
    move |source| Error::io(action, &path)(source).into()
}
