//! gRPC: the Open Inference Protocol, with the standard health and reflection services beside it.
//!
//! `generated.rs` and `descriptor.bin` are made of `proto/inference.proto` by `proto/generate.sh`, so that no
//! build needs protoc.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
#[rustfmt::skip]
mod generated;
mod inference;

use crate::refusal::{Code, Refusal};
use crate::service::Service;
use axum::Router;
use generated::grpc_inference_service_server::GrpcInferenceServiceServer;
use inference::Inference;
use std::sync::Arc;
use tonic::service::Routes;
use tonic::{Request, Status};

/// What reflection answers from.
const DESCRIPTOR: &[u8] = include_bytes!("descriptor.bin");

/// All services.
pub(crate) async fn routes(service: Arc<Service>) -> Router {
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<GrpcInferenceServiceServer<Inference>>().await;
    let admitted = service.clone();
    let check = move |request: Request<()>| match admitted.keys.admits(key(&request)) {
        true => Ok(request),
        false => Err(status(&Refusal::expected(
            Code::Unauthorized,
            "request",
            "a key in the metadata `authorization: Bearer …` or `x-api-key`",
            "none that is known",
        ))),
    };
    let most = service.limits.body;
    let inference = GrpcInferenceServiceServer::new(Inference::new(service)).max_decoding_message_size(most);
    let inference = tonic::service::interceptor::InterceptedService::new(inference, check);
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTOR)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
    let mut routes = Routes::new(inference).add_service(health_service);
    // The descriptors are those that the build was made with.
    if let Ok(reflection) = reflection.build_v1() {
        routes = routes.add_service(reflection);
    }
    routes.prepare().into_axum_router()
}

fn key(request: &Request<()>) -> Option<&[u8]> {
    let bearer = request.metadata().get("authorization").map(|value| value.as_encoded_bytes());
    let bearer = bearer.and_then(|value| value.strip_prefix(b"Bearer "));
    bearer.or_else(|| request.metadata().get("x-api-key").map(|value| value.as_encoded_bytes()))
}

/// A refusal in gRPC's terms, with our own code among the metadata.
fn status(refusal: &Refusal) -> Status {
    let code = match refusal.code() {
        Code::BadRequest | Code::BadJson | Code::BadValue | Code::UnknownColumn | Code::TooManyRows => {
            tonic::Code::InvalidArgument
        }
        Code::Unauthorized => tonic::Code::Unauthenticated,
        Code::NotFound | Code::UnknownModel | Code::UnknownVersion => tonic::Code::NotFound,
        Code::MethodNotAllowed => tonic::Code::Unimplemented,
        Code::TooLarge | Code::Overloaded => tonic::Code::ResourceExhausted,
        Code::Internal => tonic::Code::Internal,
        Code::Unavailable => tonic::Code::Unavailable,
        Code::Timeout | Code::DeadlineExceeded => tonic::Code::DeadlineExceeded,
    };
    let mut status = Status::new(code, refusal.message());
    if let Ok(code) = refusal.code().name().parse() {
        status.metadata_mut().insert("dlrm-code", code);
    }
    status
}
