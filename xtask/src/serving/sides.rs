//! The servers: ours and the peers, each with the same model and the same two cores.
use super::http::free_address;
use super::model::Made;
use super::program::Program;
use crate::environment::Environment;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

/// Who serves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Who {
    Dlrm,
    FastApi,
    MlServer,
}

impl Who {
    /// As tables write it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Who::Dlrm => "dlrm",
            Who::FastApi => "FastAPI + ONNX Runtime",
            Who::MlServer => "MLServer + ONNX Runtime",
        }
    }

    /// As files of requests are named.
    pub(super) fn file(self) -> &'static str {
        match self {
            Who::Dlrm => "dlrm",
            Who::FastApi => "fastapi",
            Who::MlServer => "mlserver",
        }
    }
}

/// A server that runs.
pub(super) struct Side {
    pub(super) who: Who,
    /// How it is set up, where there is a choice.
    pub(super) how: &'static str,
    pub(super) http: SocketAddr,
    pub(super) grpc: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) program: Program,
}

/// Two workers with a thread each, or one with two threads.
struct Setting {
    how: &'static str,
    workers: &'static str,
    threads: &'static str,
}

const FASTAPI: [Setting; 2] = [
    Setting { how: "2 workers of 1 thread", workers: "2", threads: "1" },
    Setting { how: "1 worker of 2 threads", workers: "1", threads: "2" },
];
/// Without workers, MLServer computes in the process that speaks HTTP.
const MLSERVER: [Setting; 2] = [
    Setting { how: "2 workers of 1 thread", workers: "2", threads: "1" },
    Setting { how: "no workers, 2 threads", workers: "0", threads: "2" },
];

/// Our server; it serves `model`.
pub(super) fn dlrm(made: &Made, model: &Path) -> Result<Side, String> {
    let [http, grpc, admin] = [free_address()?, free_address()?, free_address()?];
    let mut command = Command::new(&made.dlrm);
    command.arg("serve").arg(format!("k={}", model.display())).args(["--no-watch", "--threads", "2"]);
    for (flag, address) in [("--listen", http), ("--grpc", grpc), ("--admin", admin)] {
        command.arg(flag).arg(address.to_string());
    }
    let mut program = Program::start(command, &made.path("dlrm.log"))?;
    program.wait(http, "/v2/health/ready").map_err(|e| format!("dlrm serve: {e}"))?;
    Ok(Side { who: Who::Dlrm, how: "", http, grpc, admin, program })
}

/// FastAPI in each of its settings.
pub(super) fn fastapi(made: &Made, environment: &Environment) -> Result<Vec<Side>, String> {
    let start = |setting: &Setting| {
        let http = free_address()?;
        let mut command = Command::new(environment.program("python"));
        command.args(["-m", "uvicorn", "app:app", "--app-dir", "benches/serving/fastapi"]);
        command.args(["--no-access-log", "--log-level", "warning", "--workers", setting.workers]);
        command.args(["--port", &http.port().to_string()]);
        set(&mut command, made, setting);
        let mut program = Program::start(command, &made.path(&format!("fastapi-{}.log", setting.workers)))?;
        program.wait(http, "/ready").map_err(|e| format!("FastAPI: {e}"))?;
        Ok(Side { who: Who::FastApi, how: setting.how, http, grpc: http, admin: http, program })
    };
    FASTAPI.iter().map(start).collect()
}

/// MLServer in each of its settings.
pub(super) fn mlserver(made: &Made, environment: &Environment) -> Result<Vec<Side>, String> {
    let start = |setting: &Setting| {
        let [http, grpc] = [free_address()?, free_address()?];
        let mut command = Command::new(environment.program("mlserver"));
        command.args(["start", "benches/serving/mlserver"]);
        command.env("MLSERVER_HTTP_PORT", http.port().to_string());
        command.env("MLSERVER_GRPC_PORT", grpc.port().to_string());
        command.env("MLSERVER_PARALLEL_WORKERS", setting.workers);
        command.env("MLSERVER_ENVIRONMENTS_DIR", made.path("environments"));
        set(&mut command, made, setting);
        let mut program = Program::start(command, &made.path(&format!("mlserver-{}.log", setting.workers)))?;
        program.wait(http, "/v2/models/k/ready").map_err(|e| format!("MLServer: {e}"))?;
        Ok(Side { who: Who::MlServer, how: setting.how, http, grpc, admin: http, program })
    };
    MLSERVER.iter().map(start).collect()
}

fn set(command: &mut Command, made: &Made, setting: &Setting) {
    command.env("MODEL", made.path("k.onnx").canonicalize().unwrap_or_else(|_| made.path("k.onnx")));
    command.env("THREADS", setting.threads).env("PYTHONDONTWRITEBYTECODE", "1");
}
