//! The Open Inference Protocol over gRPC.
use super::generated::grpc_inference_service_server::GrpcInferenceService;
use super::generated::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use super::generated::model_infer_response::InferOutputTensor;
use super::generated::model_metadata_response::TensorMetadata;
use super::generated::repository_index_response::ModelIndex;
use super::generated::{
    DataType as ConfigType, InferStatistics, InferTensorContents, ModelConfig, ModelConfigRequest,
    ModelConfigResponse, ModelInferRequest, ModelInferResponse, ModelInput, ModelMetadataRequest,
    ModelMetadataResponse, ModelOutput, ModelReadyRequest, ModelReadyResponse, ModelStatistics,
    ModelStatisticsRequest, ModelStatisticsResponse, RepositoryIndexRequest, RepositoryIndexResponse,
    ServerLiveRequest, ServerLiveResponse, ServerMetadataRequest, ServerMetadataResponse, ServerReadyRequest,
    ServerReadyResponse, StatisticDuration,
};
use super::{key, reply, status};
use crate::data_type::{DataType, fp32, fp64, utf8};
use crate::models::Loaded;
use crate::oip::{EXTENSIONS, Output, config_type, inputs};
use crate::refusal::{Code, Refusal};
use crate::service::{Ask, Service, Which};
use crate::statistics::Sum;
use crate::tensor_text::{TensorTexts, elements, rows};
use crate::trace::{Stage, Trace};
use crate::work::Scored;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;
use tonic::{Request, Response, Status};

/// The service.
pub(super) struct Inference {
    service: Arc<Service>,
}

type Answer<T> = Result<Response<T>, Status>;

impl Inference {
    pub(super) fn new(service: Arc<Service>) -> Self {
        Inference { service }
    }

    /// Refuses who has no key, where keys are asked for. Whether the server lives may always be asked.
    fn check<T>(&self, request: &Request<T>) -> Result<(), Status> {
        if self.service.keys.admits(key(request.metadata())) {
            return Ok(());
        }
        let expected = "a key in the metadata `authorization: Bearer …` or `x-api-key`";
        let refusal = Refusal::expected(Code::Unauthorized, "request", expected, "none that is known");
        Err(status(&refusal))
    }

    fn model(&self, name: &str, version: &str) -> Result<Arc<Loaded>, Status> {
        let which = Which { model: Some(name), version: Some(version) };
        self.service.model(which).map_err(|refusal| status(&refusal))
    }
}

#[tonic::async_trait]
impl GrpcInferenceService for Inference {
    async fn server_live(&self, _: Request<ServerLiveRequest>) -> Answer<ServerLiveResponse> {
        Ok(reply(ServerLiveResponse { live: true }))
    }

    async fn server_ready(&self, _: Request<ServerReadyRequest>) -> Answer<ServerReadyResponse> {
        let loaded = self.service.registry.statuses().iter().all(|status| status.current.is_some());
        let ready = loaded && self.service.ready.load(Ordering::Relaxed);
        Ok(reply(ServerReadyResponse { ready }))
    }

    async fn model_ready(&self, request: Request<ModelReadyRequest>) -> Answer<ModelReadyResponse> {
        self.check(&request)?;
        let ModelReadyRequest { name, version } = request.into_inner();
        self.model(&name, &version)?;
        Ok(reply(ModelReadyResponse { ready: true }))
    }

    async fn server_metadata(
        &self,
        request: Request<ServerMetadataRequest>,
    ) -> Answer<ServerMetadataResponse> {
        self.check(&request)?;
        Ok(reply(ServerMetadataResponse {
            name: "dlrm".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            extensions: EXTENSIONS.map(str::to_owned).to_vec(),
        }))
    }

    async fn model_metadata(&self, request: Request<ModelMetadataRequest>) -> Answer<ModelMetadataResponse> {
        self.check(&request)?;
        let ModelMetadataRequest { name, version } = request.into_inner();
        let model = self.model(&name, &version)?;
        let tensor = |(name, datatype): (String, &str)| TensorMetadata {
            name,
            datatype: datatype.into(),
            shape: vec![-1],
        };
        let outputs = Output::ALL.map(|output| tensor((output.name().into(), output.datatype())));
        Ok(reply(ModelMetadataResponse {
            name: model.name.clone(),
            versions: self.service.versions(&model.name),
            platform: "dlrm".into(),
            inputs: inputs(&model).into_iter().map(tensor).collect(),
            outputs: outputs.to_vec(),
        }))
    }

    async fn model_infer(&self, request: Request<ModelInferRequest>) -> Answer<ModelInferResponse> {
        self.check(&request)?;
        let (begun, trace) =
            (Instant::now(), request.extensions().get::<Trace>().cloned().unwrap_or_default());
        let request = request.into_inner();
        let id = if request.id.is_empty() { self.service.ids.next() } else { request.id.clone() };
        trace.named(&id);
        let model = self.model(&request.model_name, &request.model_version)?;
        trace.asks(&model);
        let room = self.service.admit().map_err(|refusal| status(&refusal))?;
        let outputs = wanted(&request.outputs).map_err(|refusal| status(&refusal))?;
        let raw = !request.raw_input_contents.is_empty();
        let most = self.service.limits.values;
        let tensors = tensors(request.inputs, request.raw_input_contents, most);
        let mut rows =
            tensors.and_then(|tensors| rows(&model, tensors)).map_err(|refusal| status(&refusal))?;
        if self.service.join.is_some() {
            let (service, own, noted) = (self.service.clone(), model.clone(), trace.clone());
            let joined = tokio::task::spawn_blocking(move || service.joined(&own, rows, &noted)).await;
            rows = joined.map_err(|_| Status::internal("this request met a fault of the server"))?;
        }
        self.service.parsed(&trace, begun);
        let ask = Ask { id, time: None, trace: trace.clone(), room };
        let scored = self.service.score(&model, rows, ask).await.map_err(|refusal| status(&refusal))?;
        let begun = Instant::now();
        let answer = answer(&model, request.id, &outputs, raw, &scored);
        trace.took(Stage::Write, begun.elapsed());
        Ok(reply(answer))
    }

    async fn model_config(&self, request: Request<ModelConfigRequest>) -> Answer<ModelConfigResponse> {
        self.check(&request)?;
        let ModelConfigRequest { name, version } = request.into_inner();
        let model = self.model(&name, &version)?;
        let kind = |datatype: &str| {
            let known = ConfigType::from_str_name(&config_type(datatype));
            i32::from(known.unwrap_or(ConfigType::TypeInvalid))
        };
        let input = inputs(&model).into_iter().map(|(name, datatype)| ModelInput {
            name,
            data_type: kind(datatype),
            dims: vec![-1],
            optional: true,
        });
        let output = Output::ALL.map(|output| ModelOutput {
            name: output.name().into(),
            data_type: kind(output.datatype()),
            dims: vec![-1],
        });
        let config = ModelConfig {
            name: model.name.clone(),
            platform: "dlrm".into(),
            max_batch_size: 0,
            input: input.collect(),
            output: output.to_vec(),
            backend: "dlrm".into(),
        };
        Ok(reply(ModelConfigResponse { config: Some(config) }))
    }

    async fn model_statistics(
        &self,
        request: Request<ModelStatisticsRequest>,
    ) -> Answer<ModelStatisticsResponse> {
        self.check(&request)?;
        let ModelStatisticsRequest { name, version } = request.into_inner();
        let models = match name.is_empty() {
            true => {
                self.service.registry.statuses().into_iter().filter_map(|status| status.current).collect()
            }
            false => vec![self.model(&name, &version)?],
        };
        let sum = |sum: Sum| Some(StatisticDuration { count: sum.count, ns: sum.ns });
        let of = |model: Arc<Loaded>| {
            let of = self.service.statistics.of(&model.name);
            let none = sum(Sum::default());
            ModelStatistics {
                name: model.name.clone(),
                version: model.version.clone(),
                last_inference: of.last,
                inference_count: of.rows,
                execution_count: of.success.count,
                inference_stats: Some(InferStatistics {
                    success: sum(of.success),
                    fail: sum(of.fail),
                    queue: sum(of.queue),
                    compute_input: sum(of.encode),
                    compute_infer: sum(of.score),
                    compute_output: none,
                }),
            }
        };
        Ok(reply(ModelStatisticsResponse { model_stats: models.into_iter().map(of).collect() }))
    }

    async fn repository_index(
        &self,
        request: Request<RepositoryIndexRequest>,
    ) -> Answer<RepositoryIndexResponse> {
        self.check(&request)?;
        let ready = request.into_inner().ready;
        let index = |status: crate::models::Status| ModelIndex {
            name: status.name,
            state: if status.current.is_some() { "READY" } else { "UNAVAILABLE" }.into(),
            version: status.current.map(|model| model.version.clone()).unwrap_or_default(),
            reason: status.failed.unwrap_or_default(),
        };
        let statuses = self.service.registry.statuses().into_iter();
        let models = statuses.filter(|status| !ready || status.current.is_some()).map(index).collect();
        Ok(reply(RepositoryIndexResponse { models }))
    }
}

fn wanted(outputs: &[InferRequestedOutputTensor]) -> Result<Vec<Output>, Refusal> {
    if outputs.is_empty() {
        return Ok(Output::ALL.to_vec());
    }
    outputs.iter().map(|output| Output::named(&output.name)).collect()
}

/// `left` is how many values there may be.
fn tensors(
    inputs: Vec<InferInputTensor>,
    raw: Vec<Vec<u8>>,
    mut left: usize,
) -> Result<Vec<TensorTexts>, Refusal> {
    if !raw.is_empty() && raw.len() != inputs.len() {
        let expected = format!("as many as the {} inputs, or none", inputs.len());
        let found = raw.len().to_string();
        return Err(Refusal::expected(Code::BadRequest, "raw_input_contents", &expected, found));
    }
    let mut raw = raw.into_iter();
    let mut tensors = Vec::with_capacity(inputs.len());
    for input in inputs {
        let place = format!("input \"{}\"", input.name);
        let kind = DataType::named(&input.datatype, &place)?;
        let count = elements(&input.shape, &place)?;
        // Nothing is made of values that are too many.
        left = left.checked_sub(count).ok_or_else(|| {
            let expected = format!("at most {left} values, with those of the inputs before it");
            Refusal::expected(Code::TooManyRows, &place, &expected, count.to_string())
        })?;
        let values = match (raw.next(), input.contents) {
            (Some(bytes), None) => kind.of_bytes(&bytes, count, &place)?,
            (None, Some(contents)) => texts(contents, (kind, count), &place)?,
            (Some(_), Some(_)) => {
                return Err(Refusal::expected(Code::BadRequest, &place, "contents or raw contents", "both"));
            }
            (None, None) => return Err(Refusal::expected(Code::BadRequest, &place, "contents", "none")),
        };
        tensors.push(TensorTexts { name: input.name, shape: input.shape, values });
    }
    Ok(tensors)
}

/// The texts of the list that belongs to the type.
fn texts(
    contents: InferTensorContents,
    (kind, count): (DataType, usize),
    place: &str,
) -> Result<Vec<String>, Refusal> {
    let length = match kind {
        DataType::Bool => contents.bool_contents.len(),
        DataType::Int8 | DataType::Int16 | DataType::Int32 => contents.int_contents.len(),
        DataType::Int64 => contents.int64_contents.len(),
        DataType::Uint8 | DataType::Uint16 | DataType::Uint32 => contents.uint_contents.len(),
        DataType::Uint64 => contents.uint64_contents.len(),
        DataType::Fp32 => contents.fp32_contents.len(),
        DataType::Fp64 => contents.fp64_contents.len(),
        DataType::Bytes => contents.bytes_contents.len(),
    };
    if length != count {
        let expected = format!("as many values as the shape has, {count}");
        return Err(Refusal::expected(Code::BadRequest, place, &expected, length.to_string()));
    }
    match kind {
        DataType::Bool => {
            Ok(contents.bool_contents.into_iter().map(|value| u8::from(value).to_string()).collect())
        }
        DataType::Int8 | DataType::Int16 | DataType::Int32 => kind.of_integers(&contents.int_contents, place),
        DataType::Int64 => kind.of_integers(&contents.int64_contents, place),
        DataType::Uint8 | DataType::Uint16 | DataType::Uint32 => {
            kind.of_integers(&contents.uint_contents, place)
        }
        DataType::Uint64 => kind.of_integers(&contents.uint64_contents, place),
        DataType::Fp32 => Ok(contents.fp32_contents.into_iter().map(fp32).collect()),
        DataType::Fp64 => Ok(contents.fp64_contents.into_iter().map(fp64).collect()),
        DataType::Bytes => contents.bytes_contents.into_iter().map(|bytes| utf8(bytes, place)).collect(),
    }
}

/// Scores as tensors: raw where the request was.
fn answer(model: &Loaded, id: String, outputs: &[Output], raw: bool, scored: &Scored) -> ModelInferResponse {
    let shape = vec![scored.logits.len() as i64];
    let mut response = ModelInferResponse {
        model_name: model.name.clone(),
        model_version: model.version.clone(),
        id,
        ..ModelInferResponse::default()
    };
    for output in outputs {
        let contents = match output {
            Output::Prediction => {
                InferTensorContents { fp64_contents: scored.predictions.clone(), ..Default::default() }
            }
            Output::Logit => {
                InferTensorContents { fp32_contents: scored.logits.clone(), ..Default::default() }
            }
        };
        if raw {
            response.raw_output_contents.push(output.bytes(scored));
        }
        response.outputs.push(InferOutputTensor {
            name: output.name().into(),
            datatype: output.datatype().into(),
            shape: shape.clone(),
            contents: (!raw).then_some(contents),
            ..InferOutputTensor::default()
        });
    }
    response
}
