//! What a request may take at most.
use crate::refusal::{Code, Refusal};
use std::time::Duration;

/// Bounds of requests and connections; each has a refusal of its own.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of a body.
    pub body: usize,
    /// Pieces that a body may come in.
    pub chunks: usize,
    /// Lists and objects within one another.
    pub depth: usize,
    /// Rows of a request, or candidates.
    pub rows: usize,
    /// Values of all tensors of a request.
    pub values: usize,
    /// Requests that wait for a compute thread, and their rows.
    pub waiting: usize,
    /// See [`Limits::waiting`].
    pub waiting_rows: usize,
    /// Open connections.
    pub connections: usize,
    /// Time for the header of a request, also of the next one on an open connection.
    pub header_time: Duration,
    /// Time for a body.
    pub body_time: Duration,
    /// Time for an answer.
    pub answer_time: Duration,
    /// Time for requests that are being answered when the server is to end.
    pub drain_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            body: 16 << 20,
            chunks: 65_536,
            depth: 64,
            rows: 4096,
            values: 1 << 20,
            waiting: 1024,
            waiting_rows: 16_384,
            connections: 1024,
            header_time: Duration::from_secs(30),
            body_time: Duration::from_secs(30),
            answer_time: Duration::from_secs(10),
            drain_time: Duration::from_secs(20),
        }
    }
}

impl Limits {
    /// Refuses JSON whose lists and objects lie too deep in one another, before anything is made of it.
    pub(crate) fn check_depth(&self, json: &[u8]) -> Result<(), Refusal> {
        let (mut depth, mut in_text, mut escaped) = (0usize, false, false);
        for &byte in json {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_text => escaped = true,
                b'"' => in_text = !in_text,
                b'[' | b'{' if !in_text => {
                    depth += 1;
                    if depth > self.depth {
                        let expected = format!("lists and objects at most {} deep", self.depth);
                        return Err(Refusal::expected(Code::BadJson, "body", &expected, "deeper ones"));
                    }
                }
                b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        Ok(())
    }

    /// Refuses more rows than a request may have.
    pub(crate) fn check_rows(&self, what: &str, rows: usize) -> Result<(), Refusal> {
        if rows <= self.rows {
            return Ok(());
        }
        let expected = format!("at most {}", self.rows);
        let refusal = Refusal::expected(Code::TooManyRows, what, &expected, rows.to_string());
        Err(refusal.with_hint("ask in several requests, or start the server with a larger --max-rows"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_counted_outside_of_texts() {
        let limits = Limits { depth: 3, ..Limits::default() };
        for good in ["", "[[[]]]", r#"{"a":["[[[[[["]}"#, r#"["\"[[[[",[[]]]"#, "[][][][][]"] {
            assert!(limits.check_depth(good.as_bytes()).is_ok(), "{good}");
        }
        for deep in ["[[[[", r#"{"a":{"b":{"c":{}}}}"#, r#"["\\",[[["]"#] {
            assert!(limits.check_depth(deep.as_bytes()).is_err(), "{deep}");
        }
    }
}
