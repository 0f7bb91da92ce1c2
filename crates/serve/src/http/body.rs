//! Bodies of requests, read within their limits.
use super::beside::{Work, beside};
use super::packing::Coding;
use crate::limits::Limits;
use crate::refusal::{Code, Refusal};
use crate::trace::Trace;
use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::HeaderMap;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;

/// A request whose body has been read.
pub(super) struct Whole {
    pub(super) headers: HeaderMap,
    pub(super) bytes: Bytes,
    /// What is noted of it.
    pub(super) trace: Trace,
}

/// Reads the whole body, and unpacks it where it is packed.
pub(super) async fn read(request: Request, limits: &Limits) -> Result<Whole, Refusal> {
    let (head, body) = request.into_parts();
    let trace = head.extensions.get::<Trace>().cloned().unwrap_or_default();
    let coding = Coding::of_request(&head.headers)?;
    let mut bytes = all_bytes(body, limits).await?;
    if let Some(coding) = coding {
        // A few bytes may unpack to the most that there may be.
        let (packed, limits) = (bytes, limits.clone());
        bytes = beside(Work::Waits, move || coding.unpack(&packed, &limits)).await?;
    }
    Ok(Whole { headers: head.headers, bytes, trace })
}

async fn all_bytes(mut body: Body, limits: &Limits) -> Result<Bytes, Refusal> {
    let too_large = || {
        let expected = format!("at most {} bytes in at most {} pieces", limits.body, limits.chunks);
        let refusal = Refusal::expected(Code::TooLarge, "body", &expected, "more");
        refusal.with_hint("ask in several requests")
    };
    // One that says so itself is not read.
    if body.size_hint().lower() > limits.body as u64 {
        return Err(too_large());
    }
    let mut whole = BytesMut::new();
    let mut first: Option<Bytes> = None;
    let mut chunks = 0;
    let reading = async {
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Refusal::new(Code::BadRequest, format!("body: {error}")))?;
            let Ok(data) = frame.into_data() else { continue };
            chunks += 1;
            let held = first.as_ref().map_or(0, Bytes::len) + whole.len();
            if chunks > limits.chunks || held + data.len() > limits.body {
                return Err(too_large());
            }
            // Most bodies come in one piece, which needs no copy.
            match first.take() {
                None if whole.is_empty() => first = Some(data),
                None => whole.extend_from_slice(&data),
                Some(before) => {
                    whole.extend_from_slice(&before);
                    whole.extend_from_slice(&data);
                }
            }
        }
        Ok(())
    };
    match tokio::time::timeout(limits.body_time, reading).await {
        Ok(read) => read?,
        Err(_) => {
            let expected = format!("all of it within {} s", limits.body_time.as_secs());
            return Err(Refusal::expected(Code::Timeout, "body", &expected, "a part"));
        }
    }
    Ok(first.unwrap_or_else(|| whole.freeze()))
}
