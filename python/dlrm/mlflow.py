"""MLflow: models kept, logged and loaded as those of a flavour of its own.

What is kept is the model directory, without any pickle. Not imported with ``dlrm``, and imports MLflow
when it is called:

>>> import dlrm.mlflow
"""

from __future__ import annotations

import json
import os
import pathlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from . import _dlrm
from ._model import Model, load
from .errors import ArgumentError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

#: Name of the flavour.
FLAVOR_NAME = "dlrm"
#: The model directory within that of MLflow.
_DATA = "dlrm"


def get_default_pip_requirements() -> list[str]:
    """What an environment that serves a model needs."""
    import numpy as np
    import pandas as pd

    return [f"dlrm=={_dlrm.__version__}", f"numpy=={np.__version__}", f"pandas=={pd.__version__}"]


def save_model(
    dlrm_model: Model,
    path: str | os.PathLike[str],
    *,
    mlflow_model: Any = None,
    signature: Any = None,
    input_example: Any = None,
    pip_requirements: Sequence[str] | str | None = None,
    extra_pip_requirements: Sequence[str] | str | None = None,
    code_paths: Sequence[str] | None = None,
    metadata: dict[str, Any] | None = None,
) -> None:
    """Keep a model in a directory as MLflow does.

    Parameters
    ----------
    dlrm_model : Model
        Of any kind; an estimator's is its ``model_``.
    path : path
        A directory that is not there yet, or is empty.
    mlflow_model : mlflow.models.Model, optional
        What MLflow knows of it already.
    signature : mlflow.models.ModelSignature or False, optional
        Columns and their types. Made of the model's schema if left out: numbers are ``double``, categories of
        whole numbers ``long``, of texts ``string``, times and columns of several values ``Any``. False for none.
    input_example : rows that MLflow can keep, or False, optional
        The rows that the model directory keeps to check itself by, if left out. False for none.
    pip_requirements, extra_pip_requirements : list of str or str, optional
        In place of, or beside, :func:`get_default_pip_requirements`. Name the wheel where no index has dlrm.
    code_paths : list of str, optional
        Code to keep with it.
    metadata : dict, optional
        Kept with it.

    Raises
    ------
    ArgumentError
        `dlrm_model` is none (a ``ValueError``).
    mlflow.exceptions.MlflowException
        Something stands at `path`, or an example does not fit the signature.
    """
    from mlflow import pyfunc
    from mlflow.models import Model as MlflowModel
    from mlflow.models.model import MLMODEL_FILE_NAME
    from mlflow.models.utils import _save_example
    from mlflow.utils.model_utils import (
        _validate_and_copy_code_paths,
        _validate_and_prepare_target_save_path,
    )

    if not isinstance(dlrm_model, Model):
        raise ArgumentError(
            f"dlrm_model: expected a dlrm.Model, found {dlrm_model!r}",
            "give what dlrm.train or dlrm.load returned, or an estimator's `model_`",
        )
    root = os.fspath(path)
    _validate_and_prepare_target_save_path(root)
    code = _validate_and_copy_code_paths(list(code_paths) if code_paths else None, root)
    dlrm_model.save(os.path.join(root, _DATA))

    kept = MlflowModel() if mlflow_model is None else mlflow_model
    kept.signature = _signature(dlrm_model) if signature is None else (signature or None)
    example = _example(dlrm_model) if input_example is None else input_example
    if example is not None and example is not False:
        _save_example(kept, example, root)
    if metadata is not None:
        kept.metadata = metadata
    files = _environment(root, pip_requirements, extra_pip_requirements)
    pyfunc.add_to_model(kept, loader_module=__name__, data=_DATA, code=code, **files)
    about = {"kind": dlrm_model.kind, "task": dlrm_model.task, "id": dlrm_model._about["id"]}
    kept.add_flavor(FLAVOR_NAME, dlrm_version=_dlrm.__version__, data=_DATA, code=code, **about)
    kept.save(os.path.join(root, MLMODEL_FILE_NAME))


def log_model(dlrm_model: Model, name: str, **said: Any) -> Any:
    """Log a model to the active run of MLflow.

    Parameters
    ----------
    dlrm_model : Model
        Of any kind.
    name : str
        Its name in the run.
    **said
        Arguments of :func:`save_model`, and of ``mlflow.models.Model.log``, such as ``registered_model_name``.

    Returns
    -------
    mlflow.models.model.ModelInfo
    """
    from mlflow.models import Model as MlflowModel

    flavor = sys.modules[__name__]
    return MlflowModel.log(artifact_path=None, flavor=flavor, name=name, dlrm_model=dlrm_model, **said)


def load_model(model_uri: str, dst_path: str | None = None) -> Model:
    """Load a model that was kept or logged.

    Parameters
    ----------
    model_uri : str
        A path or an address, as MLflow takes them.
    dst_path : str, optional
        Where it is downloaded to.

    Returns
    -------
    Model
    """
    from mlflow.tracking.artifact_utils import _download_artifact_from_uri
    from mlflow.utils.model_utils import _get_flavor_configuration

    root = _download_artifact_from_uri(artifact_uri=os.fspath(model_uri), output_path=dst_path)
    flavor = _get_flavor_configuration(model_path=root, flavor_name=FLAVOR_NAME)
    return load(os.path.join(root, flavor["data"]))


class _Scorer:
    """What ``mlflow.pyfunc`` calls."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def get_raw_model(self) -> Model:
        """The model itself."""
        return self._model

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> npt.NDArray[np.float64]:
        """Probabilities, or ratings; logits with ``params={"logits": True}``."""
        return self._model.predict(model_input, logits=bool((params or {}).get("logits", False)))


def _load_pyfunc(path: str) -> _Scorer:
    """The model of a directory, for ``mlflow.pyfunc.load_model``."""
    return _Scorer(load(path))


def _environment(
    root: str, requirements: Sequence[str] | str | None, extra: Sequence[str] | str | None
) -> dict[str, str]:
    """Writes what an environment for the model needs; the names of the files by what they are."""
    from mlflow.utils.environment import (
        _CONDA_ENV_FILE_NAME,
        _PYTHON_ENV_FILE_NAME,
        _REQUIREMENTS_FILE_NAME,
        _process_pip_requirements,
        _PythonEnv,
    )
    from mlflow.utils.file_utils import write_to
    from mlflow.utils.yaml_utils import write_yaml

    usual = get_default_pip_requirements() if requirements is None else None
    conda, pip, constraints = _process_pip_requirements(usual, requirements, extra)
    write_yaml(root, _CONDA_ENV_FILE_NAME, conda)
    if constraints:
        write_to(os.path.join(root, "constraints.txt"), "\n".join(constraints))
    write_to(os.path.join(root, _REQUIREMENTS_FILE_NAME), "\n".join(pip))
    _PythonEnv.current().to_yaml(os.path.join(root, _PYTHON_ENV_FILE_NAME))
    return {"conda_env": _CONDA_ENV_FILE_NAME, "python_env": _PYTHON_ENV_FILE_NAME}


def _signature(model: Model) -> Any:
    """The columns that it reads and what it returns; any column may be left empty, none may be missing."""
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types.schema import AnyType, ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec

    types = _types(model)
    inputs = Schema([ColSpec(AnyType() if kind == "any" else kind, name) for name, kind in types.items()])
    outputs = Schema([TensorSpec(np.dtype("float64"), (-1,))])
    return ModelSignature(inputs, outputs, ParamSchema([ParamSpec("logits", "boolean", False)]))


def _types(model: Model) -> dict[str, str]:
    """MLflow's types of the columns that the model reads."""
    schema, kept = _kept(model, "encoder.json")["schema"], _kept_rows(model)
    types = {column["name"]: "double" for column in schema.get("dense", [])}
    for column in schema.get("categorical", []):
        several = column.get("multi") is not None
        types[column["name"]] = "any" if several else "long" if column.get("integers") else "string"
    # Numbers may be written as texts, and MLflow's integers cannot be missing.
    for name, kind in types.items():
        found = [_value(text, kind) for text in kept.get(name, [])]
        if kind != "string" and any(isinstance(value, str) or (value is None and kind == "long") for value in found):
            types[name] = "any"
    # The others are times, as texts or as what pandas makes of them.
    return {name: types.get(name, "any") for name in model.inputs}


def _example(model: Model) -> Any:
    """The rows that the model directory keeps, typed; None where it keeps none of all columns."""
    import pandas as pd

    kept, types = _kept_rows(model), _types(model)
    if not kept or not set(types) <= set(kept):
        return None
    return pd.DataFrame({name: _column(kept[name], kind) for name, kind in types.items()})


def _column(texts: Sequence[str | None], kind: str) -> Any:
    import pandas as pd

    values = [_value(text, kind) for text in texts]
    return pd.Series(values, dtype={"double": "float64", "long": "int64"}.get(kind, "object"))


def _value(text: str | None, kind: str) -> Any:
    """A text as a value of this type; itself where it is none."""
    if text is None or kind not in ("double", "long"):
        return text
    try:
        return float(text) if kind == "double" else int(text)
    except ValueError:
        return text


def _kept_rows(model: Model) -> dict[str, list[str | None]]:
    """Columns of the rows that a model directory keeps to check itself by, with None for what is missing."""
    if not (_folder(model) / "golden.json").is_file():
        return {}
    kept, schema = _kept(model, "golden.json"), _kept(model, "encoder.json")["schema"]
    missing = {"", *schema.get("missing", [])}
    columns = zip(*kept["rows"])
    return {
        name: [None if text in missing else text for text in column]
        for name, column in zip(kept["columns"], columns)
    }


def _kept(model: Model, name: str) -> Any:
    return json.loads((_folder(model) / name).read_text(encoding="utf-8"))


def _folder(model: Model) -> pathlib.Path:
    root = pathlib.Path(model.path)
    return root / "model" if (root / "model").is_dir() else root
