//! Packed bodies: those of requests, within the limits of what is in them, and answers that are worth it.
use super::beside::{Work, beside};
use crate::limits::Limits;
use crate::refusal::{Code, Refusal};
use crate::trace::{Stage, Trace};
use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::bufread::{GzEncoder, MultiGzDecoder, ZlibDecoder, ZlibEncoder};
use http_body_util::BodyExt;
use std::io::{self, Read};
use std::time::Instant;

/// Bytes from which on an answer is packed: a smaller one goes in a packet or two as it is.
pub(crate) const PACKED_FROM: u64 = 4096;

/// A way of packing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    /// That of zlib (RFC 1950), as HTTP means the name.
    Deflate,
}

/// What is understood, the better one first.
const CODINGS: [(&str, Coding); 3] =
    [("gzip", Coding::Gzip), ("x-gzip", Coding::Gzip), ("deflate", Coding::Deflate)];
/// Their names in a header.
pub(super) const UNDERSTOOD: &str = "gzip, deflate";

impl Coding {
    fn named(name: &str) -> Option<Self> {
        CODINGS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|&(_, coding)| coding)
    }

    fn name(self) -> &'static str {
        CODINGS.iter().find(|&&(_, coding)| coding == self).map_or("", |&(name, _)| name)
    }

    /// How the body of a request is packed, if it is.
    ///
    /// # Errors
    /// In a way that is not understood, or in several.
    pub(super) fn of_request(headers: &HeaderMap) -> Result<Option<Self>, Refusal> {
        let mut found = None;
        for name in list(headers, &header::CONTENT_ENCODING) {
            if ["", "identity"].contains(&name.to_ascii_lowercase().as_str()) {
                continue;
            }
            let coding = Coding::named(&name).filter(|_| found.is_none());
            found = Some(coding.ok_or_else(|| {
                let expected = format!("one of {UNDERSTOOD} and identity");
                let found = dlrm_data::error::quoted(&name);
                let refusal =
                    Refusal::expected(Code::UnsupportedEncoding, "Content-Encoding", &expected, found);
                refusal.with_hint("pack the body once, in one of these ways, or not at all")
            })?);
        }
        Ok(found)
    }

    /// How the client would have an answer packed, if it would.
    pub(super) fn of_answer(headers: &HeaderMap) -> Option<Self> {
        let mut wanted = Vec::new();
        for item in list(headers, &header::ACCEPT_ENCODING) {
            let (name, weight) = item.split_once(';').unwrap_or((&item, "q=1"));
            let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok());
            if weight.is_some_and(|weight| weight > 0.0) {
                wanted.extend(Coding::named(name.trim()));
            }
        }
        CODINGS.iter().map(|&(_, coding)| coding).find(|coding| wanted.contains(coding))
    }

    /// What is packed in `bytes`, if it is within the limits: no more than that is unpacked of anything.
    pub(super) fn unpack(self, bytes: &[u8], limits: &Limits) -> Result<Bytes, Refusal> {
        let most = limits.body as u64;
        let mut whole = Vec::new();
        let read = match self {
            Coding::Gzip => MultiGzDecoder::new(bytes).take(most + 1).read_to_end(&mut whole),
            Coding::Deflate => {
                let mut decoder = ZlibDecoder::new(bytes);
                let read = (&mut decoder).take(most + 1).read_to_end(&mut whole);
                let rest = decoder.into_inner().len();
                let more = || io::Error::other(format!("{rest} bytes behind its end"));
                read.and_then(|read| if rest == 0 || read as u64 > most { Ok(read) } else { Err(more()) })
            }
        };
        match read {
            Ok(read) if read as u64 > most => {
                let expected = format!("at most {} bytes when it is unpacked", limits.body);
                let refusal = Refusal::expected(Code::TooLarge, "body", &expected, "more");
                Err(refusal.with_hint("ask in several requests"))
            }
            Ok(_) => Ok(whole.into()),
            Err(error) => {
                let expected = format!("bytes packed by {}, as Content-Encoding says", self.name());
                Err(Refusal::expected(Code::BadRequest, "body", &expected, format!("others ({error})")))
            }
        }
    }

    fn pack(self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut packed = Vec::new();
        match self {
            Coding::Gzip => GzEncoder::new(bytes, Compression::fast()).read_to_end(&mut packed)?,
            Coding::Deflate => ZlibEncoder::new(bytes, Compression::fast()).read_to_end(&mut packed)?,
        };
        Ok(packed)
    }
}

/// The items of a header that is a list, however many lines it has.
fn list(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let lines = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    let items = lines.flat_map(|line| line.split(',').map(|item| item.trim().to_owned()).collect::<Vec<_>>());
    items.collect()
}

/// The answer as `coding` packs it, if it is long enough for that.
pub(super) async fn packed(mut response: Response, coding: Option<Coding>, trace: &Trace) -> Response {
    if response.body().size_hint().exact().is_none_or(|size| size < PACKED_FROM) {
        return response;
    }
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    let Some(coding) = coding else { return response };
    let begun = Instant::now();
    let (mut head, body) = response.into_parts();
    let lost = |_| Refusal::new(Code::Internal, "the answer could not be packed: a fault of the server");
    let packed = match body.collect().await.map(|whole| whole.to_bytes()).map_err(lost) {
        Ok(bytes) => {
            let work = Work::OfBytes(bytes.len());
            beside(work, move || coding.pack(&bytes).map_err(|error| lost(axum::Error::new(error)))).await
        }
        Err(refusal) => Err(refusal),
    };
    trace.took(Stage::Write, begun.elapsed());
    match packed {
        Ok(packed) => {
            head.headers.remove(header::CONTENT_LENGTH);
            head.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
            Response::from_parts(head, Body::from(packed))
        }
        Err(refusal) => refusal.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, lines: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name.clone(), HeaderValue::from_static(line));
        }
        headers
    }

    #[test]
    fn how_a_request_is_packed() {
        let of = |lines: &[&'static str]| Coding::of_request(&headers(header::CONTENT_ENCODING, lines));
        for (lines, coding) in [
            (&[][..], None),
            (&["identity"], None),
            (&["gzip"], Some(Coding::Gzip)),
            (&["X-GZIP, identity"], Some(Coding::Gzip)),
            (&["deflate"], Some(Coding::Deflate)),
        ] {
            assert_eq!(of(lines).unwrap(), coding, "{lines:?}");
        }
        for lines in [&["br"][..], &["gzip, gzip"], &["gzip", "deflate"], &["gzip;q=1"]] {
            assert_eq!(of(lines).unwrap_err().code(), Code::UnsupportedEncoding, "{lines:?}");
        }
    }

    #[test]
    fn how_an_answer_is_wanted() {
        let of = |lines: &[&'static str]| Coding::of_answer(&headers(header::ACCEPT_ENCODING, lines));
        for (lines, coding) in [
            (&[][..], None),
            (&["br", "identity"], None),
            (&["br, deflate;q=0.5, gzip"], Some(Coding::Gzip)),
            (&["gzip;q=0, deflate"], Some(Coding::Deflate)),
            (&["gzip; q=0.0"], None),
        ] {
            assert_eq!(of(lines), coding, "{lines:?}");
        }
    }

    #[test]
    fn bytes_are_unpacked_as_they_were_and_no_more_than_may_be() {
        let limits = Limits { body: 10_000, ..Limits::default() };
        let text = b"some text ".repeat(1000);
        for coding in [Coding::Gzip, Coding::Deflate] {
            let packed = coding.pack(&text).unwrap();
            assert_eq!(coding.unpack(&packed, &limits).unwrap(), text);
            let bomb = coding.pack(&vec![0; 100 << 20]).unwrap();
            assert!(bomb.len() < 1 << 20);
            for large in [bomb, coding.pack(&[&text[..], b"x"].concat()).unwrap()] {
                assert_eq!(coding.unpack(&large, &limits).unwrap_err().code(), Code::TooLarge);
            }
            let more = [&packed[..], b"more"].concat();
            for bad in [&packed[..packed.len() - 1], &more, b"", b"{}", &text] {
                assert_eq!(coding.unpack(bad, &limits).unwrap_err().code(), Code::BadRequest, "{coding:?}");
            }
        }
    }
}
