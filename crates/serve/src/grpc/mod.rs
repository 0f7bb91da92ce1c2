//! gRPC: the Open Inference Protocol, with the standard health and reflection services beside it.
//!
//! `generated.rs` and `descriptor.bin` are made of `proto/inference.proto` by `proto/generate.sh`, so that no
//! build needs protoc.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
#[rustfmt::skip]
mod generated;
mod inference;

use crate::http::PACKED_FROM;
use crate::keys::bearer;
use crate::refusal::{Code, Refusal};
use crate::request::OpenRequest;
use crate::service::Service;
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use generated::grpc_inference_service_server::GrpcInferenceServiceServer;
use inference::Inference;
use std::sync::Arc;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::metadata::MetadataMap;
use tonic::service::Routes;
use tonic::{Response as Reply, Status};

/// What reflection answers from.
const DESCRIPTOR: &[u8] = include_bytes!("descriptor.bin");

/// All services.
pub(crate) async fn routes(service: Arc<Service>) -> Router {
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<GrpcInferenceServiceServer<Inference>>().await;
    let most = service.limits.body;
    let noted = from_fn_with_state(service.clone(), answered);
    // The bound holds for what comes out of a packed message too.
    let inference = GrpcInferenceServiceServer::new(Inference::new(service))
        .max_decoding_message_size(most)
        .accept_compressed(Gzip)
        .send_compressed(Gzip);
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTOR)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let mut routes = Routes::new(inference).add_service(health_service);
    // The descriptors are those that the build was made with.
    if let (Ok(now), Ok(before)) = (reflection().build_v1(), reflection().build_v1alpha()) {
        routes = routes.add_service(now).add_service(before);
    }
    routes.prepare().into_axum_router().layer(noted)
}

/// Notes what becomes of each request. A stream may still end in another way than it began.
async fn answered(State(service): State<Arc<Service>>, mut request: Request, next: Next) -> Response {
    let open = OpenRequest::new(&service, "grpc", &mut request);
    let response = next.run(request).await;
    let text = |name: &str| response.headers().get(name)?.to_str().ok();
    let status = text("grpc-status").and_then(|status| status.parse().ok()).unwrap_or(0);
    open.answered(status, text("dlrm-code").map(str::to_owned));
    response
}

/// An answer: packed for clients that can unpack it, which most say of themselves without being asked, where
/// it is worth it.
fn reply<T: prost::Message>(message: T) -> Reply<T> {
    let is_worth_it = message.encoded_len() as u64 >= PACKED_FROM;
    let mut reply = Reply::new(message);
    if !is_worth_it {
        reply.disable_compression();
    }
    reply
}

/// The key that somebody brings.
fn key(metadata: &MetadataMap) -> Option<&[u8]> {
    let bearer = metadata.get("authorization").and_then(|value| bearer(value.as_encoded_bytes()));
    bearer.or_else(|| metadata.get("x-api-key").map(|value| value.as_encoded_bytes()))
}

/// A refusal in gRPC's terms, with our own code among the metadata.
fn status(refusal: &Refusal) -> Status {
    let code = match refusal.code() {
        Code::BadRequest
        | Code::BadJson
        | Code::BadValue
        | Code::UnknownColumn
        | Code::TooManyRows
        | Code::UnsupportedEncoding => tonic::Code::InvalidArgument,
        Code::Unauthorized => tonic::Code::Unauthenticated,
        Code::NotFound | Code::UnknownModel | Code::UnknownVersion => tonic::Code::NotFound,
        Code::MethodNotAllowed => tonic::Code::Unimplemented,
        Code::TooLarge | Code::Overloaded => tonic::Code::ResourceExhausted,
        Code::Internal => tonic::Code::Internal,
        Code::Unavailable => tonic::Code::Unavailable,
        Code::Timeout | Code::DeadlineExceeded | Code::OutOfTime => tonic::Code::DeadlineExceeded,
    };
    let mut status = Status::new(code, refusal.message());
    if let Ok(code) = refusal.code().name().parse() {
        status.metadata_mut().insert("dlrm-code", code);
    }
    status
}
