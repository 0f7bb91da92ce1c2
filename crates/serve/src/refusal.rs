//! Why a request is not answered: what the client is told, in one form over HTTP and gRPC.
use dlrm_data::error::{BadRow, nearest, quoted};
use serde::Serialize;

/// A stable name of a reason, which programs may rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Code {
    BadRequest,
    BadJson,
    BadValue,
    UnknownColumn,
    Unauthorized,
    NotFound,
    UnknownModel,
    UnknownVersion,
    MethodNotAllowed,
    Timeout,
    TooLarge,
    UnsupportedEncoding,
    TooManyRows,
    Overloaded,
    Internal,
    Unavailable,
    DeadlineExceeded,
    OutOfTime,
}

impl Code {
    /// As clients read it.
    pub(crate) fn name(self) -> String {
        let value = serde_json::to_value(self).unwrap_or_default();
        value.as_str().unwrap_or_default().to_owned()
    }

    /// The status of an answer over HTTP.
    pub(crate) fn status(self) -> u16 {
        match self {
            Code::BadRequest | Code::BadJson | Code::BadValue | Code::UnknownColumn => 400,
            Code::Unauthorized => 401,
            Code::NotFound | Code::UnknownModel | Code::UnknownVersion => 404,
            Code::MethodNotAllowed => 405,
            Code::Timeout | Code::OutOfTime => 408,
            Code::TooLarge => 413,
            Code::UnsupportedEncoding => 415,
            Code::TooManyRows => 422,
            Code::Overloaded => 429,
            Code::Internal => 500,
            Code::Unavailable => 503,
            Code::DeadlineExceeded => 504,
        }
    }
}

/// A request that is not answered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Refusal {
    /// The whole in one sentence: input, what was expected, what was found, what to do.
    error: String,
    code: Code,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl Refusal {
    pub(crate) fn new(code: Code, error: impl Into<String>) -> Self {
        Refusal { error: error.into(), code, hint: None }
    }

    /// `input` is not what was expected.
    pub(crate) fn expected(code: Code, input: &str, expected: &str, found: impl AsRef<str>) -> Self {
        Refusal::new(code, format!("{input}: expected {expected}, found {}", found.as_ref()))
    }

    pub(crate) fn with_hint(self, hint: impl Into<String>) -> Self {
        Refusal { hint: Some(hint.into()), ..self }
    }

    /// A name that is none of `known`.
    pub(crate) fn unknown<'a>(
        code: Code,
        what: &str,
        name: &str,
        known: impl Iterator<Item = &'a str> + Clone,
    ) -> Self {
        let listed = known.clone().take(20).collect::<Vec<_>>().join(", ");
        let refusal = Refusal::new(code, format!("expected {what} among {listed}, found {}", quoted(name)));
        match nearest(name, known) {
            Some(near) => refusal.with_hint(format!("did you mean \"{near}\"?")),
            None => refusal,
        }
    }

    /// A field that is not what the schema says. `place` names the row.
    pub(crate) fn bad_row(place: &str, bad: &BadRow) -> Self {
        let column = match &bad.position.column {
            Some((_, name)) => format!("{place}, column \"{name}\""),
            None => place.to_owned(),
        };
        let refusal = Refusal::expected(Code::BadValue, &column, &bad.expected, &bad.found);
        match &bad.hint {
            Some(hint) => refusal.with_hint(hint.to_string()),
            None => refusal,
        }
    }

    pub(crate) fn code(&self) -> Code {
        self.code
    }

    pub(crate) fn message(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{} ({hint})", self.error),
            None => self.error.clone(),
        }
    }
}
