//! The runs whose bytes are compared.

/// What is run and what it leaves.
pub(super) enum What {
    /// `dlrm demo` with these arguments.
    Demo(&'static str),
    /// `dlrm train` on `rows.csv` without baseline.
    Model(&'static str),
    /// `dlrm train` with these arguments, and the file that the model then scores.
    Train(&'static str, &'static str),
    /// `dlrm compare`.
    Compare(&'static str),
    /// Commands, `-o DIR` added to the first, and what they leave in the directory.
    Files(&'static [&'static str]),
    /// What commands print.
    Prints(&'static [&'static str]),
}
use What::{Compare, Demo, Files, Model, Prints, Train};

/// Name and work; a name that begins with a data set's needs that.
pub(super) const CASES: &[(&str, What)] = &[
    ("demo", Demo("--rows 4000")),
    ("demo with bf16 products", Demo("--rows 2000 --precision bf16")),
    ("demo with bf16 tables", Demo("--rows 2000 --table-precision bf16")),
    ("demo with f16 tables", Demo("--rows 2000 --table-precision f16")),
    // every kind of model
    ("lr", Model("--model lr")),
    ("mf", Model("--model mf")),
    ("fm", Model("--model fm")),
    ("ffm", Model("--model ffm")),
    ("ncf", Model("--model ncf")),
    ("dnn", Model("--model dnn")),
    ("wide_deep", Model("--model wide_deep")),
    ("deepfm", Model("--model deepfm")),
    ("dcn", Model("--model dcn")),
    ("dcn_v2", Model("--model dcn_v2")),
    ("xdeepfm", Model("--set model.kind=xdeepfm --set model.embedding_dim=4")),
    ("dlrm", Model("--model dlrm")),
    // their variants
    ("ncf gmf", Model("--set model.kind=ncf --set model.variant=gmf")),
    ("ncf mlp", Model("--set model.kind=ncf --set model.variant=mlp --set model.dropout=0.2")),
    ("dcn_v2 low_rank", Model("--set model.kind=dcn_v2 --set model.cross=low_rank --set model.rank=4")),
    (
        "dcn_v2 mixture",
        Model(
            "--set model.kind=dcn_v2 --set model.cross=mixture --set model.rank=4 \
             --set model.structure=stacked",
        ),
    ),
    ("dlrm cat", Model("--set model.interaction=cat --set model.dropout=0.1")),
    (
        "dlrm dot_self",
        Model("--set model.interaction=dot_self --set model.pooling=mean --set model.embedding_std=0.05"),
    ),
    ("dlrm dcn", Model("--set model.interaction=dcn --set model.cross_rank=5 --set model.cross_layers=2")),
    ("dlrm learned pooling", Model("--set model.pooling=learned --set model.norm=layer")),
    (
        "dlrm quotient_remainder",
        Model("--set model.quotient_remainder={operation='mult',collisions=3,threshold=9}"),
    ),
    (
        "dlrm quotient_remainder add",
        Model("--set model.quotient_remainder={operation='add',collisions=3,threshold=9}"),
    ),
    (
        "dlrm quotient_remainder concat",
        Model("--set model.quotient_remainder={operation='concat',collisions=3,threshold=9}"),
    ),
    ("dlrm mixed_dims", Model("--set model.mixed_dims={threshold=9}")),
    // hidden layers
    (
        "batch norm, gelu, dropout",
        Model(
            "--set model.kind=dnn --set model.norm=batch --set model.activation=gelu \
             --set model.dropout=0.2",
        ),
    ),
    (
        "layer norm, prelu",
        Model("--set model.kind=deepfm --set model.norm=layer --set model.activation=prelu"),
    ),
    ("silu", Model("--set model.kind=dcn --set model.activation=silu")),
    ("tanh", Model("--set model.kind=wide_deep --set model.activation=tanh")),
    (
        "sigmoid, batch norm",
        Model(
            "--set model.kind=xdeepfm --set model.activation=sigmoid --set model.norm=batch \
             --set model.embedding_dim=4",
        ),
    ),
    ("dlrm batch norm", Model("--set model.norm=batch --set model.dropout=0.2")),
    // optimisers and losses
    (
        "wide_deep with crosses by ftrl",
        Model(
            "--model wide_deep --cross site,tags --set train.linear_optimizer={kind='ftrl',lr=0.1,l1=0.001}",
        ),
    ),
    (
        "sgd",
        Model(
            "--set train.optimizer={kind='sgd',lr=0.05,momentum=0.9} \
             --set train.table_optimizer={kind='sgd',lr=0.1,l2=1e-4}",
        ),
    ),
    (
        "adagrad, clipped",
        Model(
            "--set train.optimizer={kind='adagrad',lr=0.02} \
             --set train.table_optimizer={kind='rowwise_adagrad',lr=0.05} \
             --set train.clip_norm=0.05",
        ),
    ),
    (
        "adamw, adam_lazy, cosine",
        Model(
            "--set train.optimizer={kind='adamw',lr=0.002} \
             --set train.table_optimizer={kind='adam_lazy',lr=0.01} \
             --set train.schedule={kind='cosine',warmup_steps=5,total_steps=40}",
        ),
    ),
    (
        "adam of all rows, plateau",
        Model(
            "--set train.table_optimizer={kind='adam',lr=0.01,l2=0.01} --set train.l2_rows=all \
             --set train.plateau={factor=0.5} \
             --set train.evaluate_every=5 --set train.monitor=auc",
        ),
    ),
    (
        "ftrl",
        Model(
            "--model lr --set train.optimizer={kind='ftrl',lr=0.1} \
             --set train.table_optimizer={kind='ftrl',lr=0.1,l1=0.01}",
        ),
    ),
    (
        "l2 of all rows",
        Model(
            "--model fm --set train.l2_rows=all \
             --set train.table_optimizer={kind='adagrad',lr=0.05,l2=0.01}",
        ),
    ),
    (
        "weight of positives",
        Model(
            "--set train.loss={kind='bce',positive_weight=3.0} --set train.shard_rows=16 \
             --set train.lanes=3",
        ),
    ),
    ("squared error of probabilities", Model("--set train.loss={kind='mse_of_probability'} --seed 5")),
    (
        "bf16 products and f16 tables",
        Model("--model dcn_v2 --set train.precision=bf16 --set train.table_precision=f16"),
    ),
    // rows
    ("with baseline", Train("rows.csv --schema rows.toml --epochs 4 --batch-size 64 --seed 3", "rows.csv")),
    ("inferred schema", Train("rows.csv --label click --epochs 1 --split order", "rows.csv")),
    (
        "ratings",
        Train("ratings.csv --schema ratings.toml --model mf --epochs 2 --batch-size 64", "ratings.csv"),
    ),
    ("negative downsampling", Model("--set data.negative_downsampling_rate=0.5")),
    ("split by time", Model("--split time")),
    ("stream", Model("--stream --set data.shuffle_window=256")),
    (
        "stream with negative downsampling",
        Model(
            "--stream --set data.shuffle_window=512 --set data.negative_downsampling_rate=0.5 \
             --set data.cache=false",
        ),
    ),
    ("sampled negatives", Train("--config ranking.toml", "x.test.negative")),
    ("sampled negatives, ncf", Train("--config ranking.toml --model ncf --epochs 2", "x.test.negative")),
    ("prepared rows", Train("prepared --epochs 2 --no-baseline", "clicks/clicks.tsv")),
    (
        "prepared rows, stream",
        Train(
            "prepared --epochs 2 --stream --set data.shuffle_window=300 --no-baseline",
            "clicks/clicks.tsv",
        ),
    ),
    (
        "reference_compat",
        Train(
            "clicks/clicks.tsv --reference-compat --max-ind-range 500 --epochs 1 --no-baseline",
            "clicks/clicks.tsv",
        ),
    ),
    ("libsvm", Train("rows.svm --format libsvm --model fm --epochs 1 --no-baseline", "rows.svm")),
    // commands
    ("compare", Compare("rows.csv --schema rows.toml --models lr,fm,dlrm --seeds 2 --epochs 2")),
    ("compare ranking", Compare("--config ranking.toml --models lr,mf --seeds 2 --epochs 2")),
    (
        "inspect",
        Prints(&["inspect rows.csv --label click --no-estimate", "inspect clicks/clicks.tsv --no-estimate"]),
    ),
    (
        "inspect parts",
        Prints(&["inspect ratings.csv --schema ratings.toml --test ratings.csv --no-estimate -o found.toml"]),
    ),
    (
        "generate clicks",
        Files(&["generate clicks --rows 1200 --days 3 --drift 0.5 --new-ids 0.2 --file-per-day"]),
    ),
    (
        "generate clicks of lr",
        Files(&["generate clicks --rows 600 --teacher lr --label-noise 0.1 --form csv"]),
    ),
    ("generate clicks of fm", Files(&["generate clicks --rows 600 --teacher fm --position-bias 0.5"])),
    ("generate clicks like demo", Files(&["generate clicks --rows 1000 --like demo"])),
    (
        "generate random",
        Files(&["generate random --rows 1000 --tables 50-7 --ids power-law --ids-per-bag 3"]),
    ),
    (
        "generate random gaussian",
        Files(&["generate random --rows 1000 --tables 50-7 --ids gaussian --fixed"]),
    ),
    (
        "generate trace",
        Prints(&[
            "generate trace profile trace.txt -o profile.txt",
            "generate trace synthesize profile.txt -n 3000 -o made.txt",
            "generate trace compare trace.txt made.txt --sizes 5,50",
        ]),
    ),
    ("prepare", Files(&["prepare rows.csv --schema rows.toml"])),
    (
        "prepare and extend",
        Files(&[
            "prepare clicks/clicks.tsv --set data.split={kind='last_day',days=3}",
            "prepare later/clicks.tsv --extend test",
        ]),
    ),
    (
        "prepare the reference's way",
        Files(&["prepare clicks/clicks.tsv --reference-compat --max-ind-range 500"]),
    ),
    // public data sets
    (
        "movielens-100k",
        Train(
            "movielens-100k --format movielens --label-rule rating>=4 --epochs 1",
            "movielens-100k/u1.test",
        ),
    ),
    (
        "movielens-100k inspected",
        Prints(&["inspect movielens-100k --format movielens --label-rule rating>=4 --no-estimate"]),
    ),
    ("movielens-1m-ncf", Train("--config movielens-1m-ncf/ncf.toml", "movielens-1m-ncf/ml-1m.test.negative")),
    (
        "criteo-kaggle-sample",
        Train("criteo-kaggle-sample/rows.txt --format criteo --epochs 1", "criteo-kaggle-sample/rows.txt"),
    ),
];
