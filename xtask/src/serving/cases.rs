//! What all servers are asked.
use super::load::{Tool, Wire};
use super::sides::Who;

/// A way in which a server is asked.
#[derive(Clone, Copy)]
pub(super) struct Way {
    pub(super) who: Who,
    pub(super) tool: Tool,
}

/// A question to several servers.
pub(super) struct Case {
    /// What `--only` calls it.
    pub(super) name: &'static str,
    /// As tables write it.
    pub(super) title: &'static str,
    /// Which files of requests are sent.
    pub(super) kind: &'static str,
    /// What the slowest of a hundred answers may take.
    pub(super) bound_ms: f64,
    /// Connections to try.
    pub(super) connections: &'static [usize],
    pub(super) ways: &'static [Way],
}

const fn wrk(who: Who, path: &'static str) -> Way {
    Way { who, tool: Tool::Wrk(path) }
}

const fn analyzer(who: Who, wire: Wire) -> Way {
    Way { who, tool: Tool::Analyzer(wire) }
}

pub(super) const CASES: [Case; 5] = [
    Case {
        name: "one",
        title: "one row, wrk",
        kind: "one",
        bound_ms: 10.0,
        connections: &[1, 4, 16, 64],
        ways: &[
            wrk(Who::Dlrm, "/v1/predict"),
            wrk(Who::FastApi, "/predict"),
            wrk(Who::MlServer, "/v2/models/k/infer"),
        ],
    },
    Case {
        name: "rank",
        title: "rank of 270, wrk",
        kind: "rank",
        bound_ms: 50.0,
        connections: &[1, 4, 16],
        ways: &[wrk(Who::Dlrm, "/v1/rank"), wrk(Who::FastApi, "/rank")],
    },
    Case {
        name: "many",
        title: "270 rows, wrk",
        kind: "many",
        bound_ms: 50.0,
        connections: &[1, 4, 16],
        ways: &[
            wrk(Who::Dlrm, "/v1/predict"),
            wrk(Who::FastApi, "/predict"),
            wrk(Who::MlServer, "/v2/models/k/infer"),
        ],
    },
    Case {
        name: "one-analyzer",
        title: "one row, perf_analyzer",
        kind: "one",
        bound_ms: 10.0,
        connections: &[4, 16],
        ways: &[
            analyzer(Who::Dlrm, Wire::Json),
            analyzer(Who::Dlrm, Wire::Binary),
            analyzer(Who::Dlrm, Wire::Grpc),
            analyzer(Who::MlServer, Wire::Json),
        ],
    },
    // In JSON it sends one row of a tensor only, so MLServer is asked by wrk alone.
    Case {
        name: "many-analyzer",
        title: "270 rows, perf_analyzer",
        kind: "many",
        bound_ms: 50.0,
        connections: &[4, 16],
        ways: &[analyzer(Who::Dlrm, Wire::Binary), analyzer(Who::Dlrm, Wire::Grpc)],
    },
];
