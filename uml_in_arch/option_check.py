"""Checks a whole option file before anything is written: keys, types, registered names, arguments, files, data."""

from __future__ import annotations

import importlib.util
import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_type_hints

import torch
from pydantic import BaseModel, ConfigDict, PydanticUserError, TypeAdapter, ValidationError

from uml_in_arch import checkpoints, data_check
from uml_in_arch.data.basicsr_options import SCHEMAS
from uml_in_arch.errors import CheckpointError, OptionError, UserError
from uml_in_arch.options import (
    LoggerOptions,
    MetricOptions,
    OptimizerOptions,
    SchedulerOptions,
    TrainOptions,
    ValOptions,
    did_you_mean,
)
from uml_in_arch.schedules import LinearDecayLR

Where = tuple[str | int, ...]

_TOP_LEVEL = ("name", "model_type", "scale", "num_gpu", "manual_seed", "datasets", "network_g", "path", "train", "val")
_TOP_LEVEL += ("logger", "dist_params", "find_unused_parameters")
_PATH_KEYS = re.compile(
    r"(pretrain_network|strict_load|param_key)_\w+|resume_state|ignore_resume_networks|experiments_root|results_root"
)
_REDUCTIONS = ("none", "mean", "sum")


def check(options: Mapping[str, Any], is_train: bool, source: str = "options", world_size: int = 1) -> None:
    """Refuse options that cannot work, in one line.

    Args:
        options: As `options.load` and `options.complete` give them.
        is_train: Whether they are for training or for testing.
        source: What to call them in errors, the file's name.
        world_size: Number of processes in a distributed run.

    Raises:
        OptionError: A key is unknown, missing or has an impossible value.
        DataError: Data is missing or does not fit.
        CheckpointError: A checkpoint is missing or belongs to another network.
    """
    try:
        _Check(options, is_train, world_size).run()
    except OptionError as error:
        raise OptionError(f"{source}: {error}") from error


def check_network(section: Mapping[str, Any]) -> None:
    """The same for the section ``network_g`` alone.

    Raises:
        OptionError: It names no network, or one that cannot be built with these arguments.
    """
    _Check({"network_g": section, "path": {}}, False, 1).check_networks()


def check_arguments(
    function: Callable[..., Any], arguments: Mapping[str, Any], where: Where, given: Sequence[str] = ()
) -> None:
    """Compare YAML keys with the parameters of a constructor or function: names, and types where it states them.

    Args:
        function: Its signature is looked at; it is not called.
        arguments: The keys and values.
        where: Path of the section in the option file.
        given: Parameters that BasicSR passes itself.
    """
    parameters = inspect.signature(function).parameters
    named = {
        name: parameter
        for name, parameter in parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY) and name not in given
    }
    swallows = any(parameter.kind == parameter.VAR_KEYWORD for parameter in parameters.values())
    for key in arguments:
        if key not in named and not swallows:
            raise OptionError(f"{_dotted(*where, key)}: unknown key{did_you_mean(key, ('type', *named))}")
    hints = _type_hints(function)
    for name, parameter in named.items():
        if name not in arguments:
            if parameter.default is parameter.empty:
                raise OptionError(f"{_dotted(*where, name)}: missing; add it")
            continue
        _check_argument(arguments[name], parameter, hints.get(name), (*where, name))


def validate(schema: Any, value: Any, where: Where) -> None:
    """Check a YAML value against a pydantic model or a type. Strict: ``"3"`` is no number; a list may be a tuple."""
    config = None if inspect.isclass(schema) and issubclass(schema, BaseModel) else _LENIENT
    try:
        TypeAdapter(schema, config=config).validate_json(json.dumps(value, default=str), strict=True)
    except ValidationError as error:
        raise OptionError(_describe(error, schema, value, where)) from error


def optimizer_class(name: str) -> type[torch.optim.Optimizer]:
    """A class of torch.optim by its name; raises OptionError if there is none."""
    found = vars(torch.optim).items()
    known = {key: kind for key, kind in found if inspect.isclass(kind) and issubclass(kind, torch.optim.Optimizer)}
    if name not in known or name == "Optimizer":
        raise OptionError(f"torch.optim has no {name!r}{did_you_mean(name, known)}")
    return known[name]


_LENIENT = ConfigDict(arbitrary_types_allowed=True)


class _AnyTrainOptions(TrainOptions):
    """For BasicSR's other models, whose keys are nowhere listed."""

    model_config = ConfigDict(extra="allow")
    optim_g: OptimizerOptions | None = None
    scheduler: SchedulerOptions | None = None


class _AnyValOptions(ValOptions):
    model_config = ConfigDict(extra="allow")


class _Check:
    def __init__(self, options: Mapping[str, Any], is_train: bool, world_size: int) -> None:
        self.options = options
        self.is_train = is_train
        self.world_size = world_size

    def run(self) -> None:
        self._top_level()
        model = self._registered("model", self.options.get("model_type"), ("model_type",))
        self._known_top_level_keys(model)
        self._path()
        if self.is_train:
            validate(LoggerOptions, self._section("logger"), ("logger",))
            if self.options["logger"].get("use_tb_logger") and importlib.util.find_spec("tensorboard") is None:
                raise OptionError("logger.use_tb_logger: TensorBoard is not installed; set it to false or install it")
            self._train(model)
        if self.options.get("val") is not None:
            self._val(model)
        self._datasets()
        self.check_networks()
        if hasattr(model, "check_options"):
            model.check_options({**self.options, "is_train": self.is_train})

    def _section(self, name: str) -> Mapping[str, Any]:
        section = self.options.get(name)
        if not isinstance(section, Mapping):
            raise OptionError(f"{name}: " + ("missing; add this section" if section is None else "must be a section"))
        return section

    def _top_level(self) -> None:
        for key, kind in {"name": str, "model_type": str, "num_gpu": int | str}.items():
            if key not in self.options:
                raise OptionError(f"{key}: missing; add it")
            validate(kind, self.options[key], (key,))
        for key, kind in {"scale": int, "manual_seed": int | None, "find_unused_parameters": bool}.items():
            if key in self.options:
                validate(kind, self.options[key], (key,))
        num_gpu, found = self.options["num_gpu"], torch.cuda.device_count()
        if isinstance(num_gpu, str) and num_gpu != "auto":
            raise OptionError(f"num_gpu: found {num_gpu!r}; a number or auto is expected")
        if num_gpu != "auto" and not 0 <= num_gpu <= found:
            raise OptionError(f"num_gpu: {num_gpu}, but PyTorch finds {found} here; set num_gpu: auto (0 is the CPU)")

    def _known_top_level_keys(self, model: type) -> None:
        if _schema(model, "TrainOptions") is None:
            return
        known = (*_TOP_LEVEL, *getattr(model, "FURTHER_NETWORKS", ()))
        for key in self.options:
            if key not in known:
                raise OptionError(f"{key}: unknown key{did_you_mean(key, known)}")

    def _path(self) -> None:
        known = ("pretrain_network_g", "strict_load_g", "param_key_g", "resume_state", "ignore_resume_networks")
        for key, value in self._section("path").items():
            if not _PATH_KEYS.fullmatch(key):
                raise OptionError(f"path.{key}: unknown key{did_you_mean(key, known)}")
            kind: Any = bool if key.startswith("strict") else str | None
            validate(list[str] if key == "ignore_resume_networks" else kind, value, ("path", key))
            is_file = key.startswith(("pretrain_network", "resume_state"))
            if is_file and value and not Path(value).expanduser().is_file():
                raise CheckpointError(f"{value}: there is no such file; correct path.{key}, or set it to ~")

    def _train(self, model: type) -> None:
        train = self._section("train")
        validate(_schema(model, "TrainOptions") or _AnyTrainOptions, train, ("train",))
        for key, value in train.items():
            if key.startswith("optim_") and isinstance(value, Mapping):
                validate(OptimizerOptions, value, ("train", key))
                self._optimizer(value, ("train", key))
            elif key.endswith("_opt") and isinstance(value, Mapping) and "type" in value:
                loss = self._registered("loss", value["type"], ("train", key, "type"))
                check_arguments(loss, _without(value, "type"), ("train", key))
        if train.get("scheduler"):
            self._scheduler(train["scheduler"], train["total_iter"])

    def _optimizer(self, options: Mapping[str, Any], where: Where) -> None:
        try:
            constructor = optimizer_class(options["type"])
        except OptionError as error:
            raise OptionError(f"{_dotted(*where, 'type')}: {error}") from error
        check_arguments(constructor, _without(options, "type"), where, given=("params",))

    def _scheduler(self, options: Mapping[str, Any], total_iter: int) -> None:
        from basicsr.models import lr_scheduler  # noqa: PLC0415 (BasicSR may still be importing this module's importer)

        where = ("train", "scheduler")
        name = "MultiStepRestartLR" if options["type"] == "MultiStepLR" else options["type"]
        arguments = _without(options, "type")
        constructor = LinearDecayLR if name == "LinearDecayLR" else getattr(lr_scheduler, name)
        check_arguments(constructor, arguments, where, given=("optimizer",))
        if constructor is LinearDecayLR:
            length = arguments["constant"] + arguments["decay"]
            if length < total_iter or arguments["decay"] < 1:
                raise OptionError(
                    f"train.scheduler: constant and decay sum to {length}, total_iter is {total_iter}; lengthen decay"
                )
        for key in {"milestones", "periods", "restarts", "restart_weights"} & arguments.keys():
            validate(list[float], arguments[key], (*where, key))
        if "periods" in arguments:
            periods = arguments["periods"]
            if sum(periods) < total_iter:
                raise OptionError(
                    f"train.scheduler.periods: they sum to {sum(periods)}, less than total_iter {total_iter}; "
                    "lengthen the last one"
                )
            if len(arguments.get("restart_weights", [1])) != len(periods):
                raise OptionError("train.scheduler.restart_weights: must be as many as periods")

    def _val(self, model: type) -> None:
        val = self._section("val")
        validate(_schema(model, "ValOptions") or _AnyValOptions, val, ("val",))
        if self.is_train and val.get("val_freq") is None:
            raise OptionError("val.val_freq: missing; say after how many iterations to validate")
        for name, metric in (val.get("metrics") or {}).items():
            where = ("val", "metrics", name)
            validate(MetricOptions, metric, where)
            function = self._registered("metric", metric["type"], (*where, "type"))
            needed = inspect.signature(function).parameters
            check_arguments(function, _without(metric, "type", "better"), where, given=("img", "img2"))
            if "img2" in needed and needed["img2"].default is inspect.Parameter.empty:
                self._refuse_without_truth(where)

    def _refuse_without_truth(self, where: Where) -> None:
        for phase, options in (self.options.get("datasets") or {}).items():
            if phase != "train" and isinstance(options, Mapping) and options.get("type") == "SingleImageDataset":
                raise OptionError(
                    f"{_dotted(*where)}: compares with a ground truth, which datasets.{phase} does not have; "
                    "remove this metric or use PairedImageDataset"
                )

    def _datasets(self) -> None:
        datasets = self._section("datasets")
        phases = ("train", "val") if self.is_train else ("test", "val")
        if not datasets or (self.is_train and "train" not in datasets):
            raise OptionError(f"datasets: there is none for {phases[0]}; add datasets.{phases[0]}")
        for key, options in datasets.items():
            where = ("datasets", key)
            phase = key.split("_")[0]
            if phase not in phases or (phase == "train" and key != "train"):
                raise OptionError(
                    f"datasets.{key}: call it {phases[0]} or {phases[1]}; several are {phases[1]}_1, {phases[1]}_2"
                )
            if not isinstance(options, Mapping):
                raise OptionError(f"datasets.{key}: must be a section")
            validate(str, options.get("name"), (*where, "name"))
            self._dataset(options, phase, where)

    def _dataset(self, options: Mapping[str, Any], phase: str, where: Where) -> None:
        kind = self._registered("dataset", options.get("type"), (*where, "type"))
        full = {**options, "phase": phase, **({"scale": self.options["scale"]} if "scale" in self.options else {})}
        schema = getattr(kind, "Options", None) or SCHEMAS.get(kind.__name__)
        if schema is not None:
            validate(schema, full, where)
        if phase == "train":
            self._loader(options, where)
        data_check.check_dataset(full, _dotted(*where), self._batch_size(options), self.world_size)

    def _loader(self, options: Mapping[str, Any], where: Where) -> None:
        for key in ("batch_size_per_gpu", "num_worker_per_gpu"):
            if key not in options:
                raise OptionError(f"{_dotted(*where, key)}: missing; add it")
        if options.get("persistent_workers") and not options["num_worker_per_gpu"]:
            raise OptionError(f"{_dotted(*where, 'persistent_workers')}: needs num_worker_per_gpu of at least 1")
        if options.get("prefetch_mode") == "cuda" and (not torch.cuda.is_available() or not options.get("pin_memory")):
            raise OptionError(f"{_dotted(*where, 'prefetch_mode')}: cuda needs a GPU and pin_memory: true; set it to ~")

    def _batch_size(self, options: Mapping[str, Any]) -> int:
        """Of one step in one process; without a launcher BasicSR multiplies it by the number of GPUs."""
        num_gpu = torch.cuda.device_count() if self.options["num_gpu"] == "auto" else self.options["num_gpu"]
        return options.get("batch_size_per_gpu", 1) * (max(num_gpu, 1) if self.world_size == 1 else 1)

    def check_networks(self) -> None:
        """All sections ``network_*``, with their checkpoints in ``path``."""
        path = self._section("path")
        names = [key for key in self.options if key.startswith("network_")]
        if not names:
            raise OptionError("network_g: missing; add this section")
        for key in names:
            section = self._section(key)
            constructor = self._registered("arch", section.get("type"), (key, "type"))
            check_arguments(constructor, _without(section, "type"), (key,))
            net = _build_without_memory(constructor, _without(section, "type"), key)
            file = path.get(f"pretrain_{key}")
            if net is not None and file:
                label = key.removeprefix("network_")
                content = checkpoints.read(Path(file).expanduser())
                weights = checkpoints.weights_of(content, path.get(f"param_key_{label}", "params"), file)
                checkpoints.refuse_mismatch(net, weights, file, path.get(f"strict_load_{label}", True))

    def _registered(self, kind: str, name: Any, where: Where) -> Callable[..., Any]:
        from basicsr.utils import registry as registries  # noqa: PLC0415 (see _scheduler)

        registry = getattr(registries, f"{kind.upper()}_REGISTRY")
        if not isinstance(name, str):
            problem = "missing; add it" if name is None else f"found {name!r}, not a name"
            raise OptionError(f"{_dotted(*where)}: {problem}")
        known = dict(iter(registry))
        # BasicSR registers some of its classes under a suffix and finds them without it
        found = known.get(name, known.get(f"{name}_basicsr"))
        if found is None:
            hint = did_you_mean(name, (entry.removesuffix("_basicsr") for entry in known))
            raise OptionError(f"{_dotted(*where)}: no {kind} is registered as {name!r}{hint}")
        return found


def _schema(model: type, name: str) -> type[BaseModel] | None:
    """The keys that a model class says it knows; SRModel's are listed in `options`."""
    if name in vars(model) or model.__name__ != "SRModel":
        return getattr(model, name, None)
    return {"TrainOptions": TrainOptions, "ValOptions": ValOptions}[name]


def _check_argument(value: Any, parameter: inspect.Parameter, hint: Any, where: Where) -> None:
    if value is None and parameter.default is None:
        return
    if hint is not None:
        try:
            validate(hint, value, where)
        except (PydanticUserError, TypeError):  # a type that says nothing about plain data
            return
    elif isinstance(value, str) and isinstance(parameter.default, (int, float)):
        raise OptionError(f"{_dotted(*where)}: found {value!r}; something like {parameter.default} is expected")
    if parameter.name == "reduction" and value not in _REDUCTIONS:
        raise OptionError(f"{_dotted(*where)}: found {value!r}; one of {', '.join(_REDUCTIONS)} is expected")


def _type_hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(function.__init__ if inspect.isclass(function) else function)
    except (NameError, TypeError, AttributeError):  # hints that only a type checker can resolve
        return {}


def _build_without_memory(constructor: Callable[..., Any], arguments: Mapping[str, Any], key: str) -> Any:
    """The network on the meta device, or None if it cannot be built there; its own complaints pass through."""
    try:
        with torch.device("meta"):
            return constructor(**arguments)
    except UserError as error:
        raise OptionError(f"{key}: {error}") from error
    except Exception:
        return None


def _describe(error: ValidationError, schema: Any, value: Any, where: Where) -> str:
    places = [(_place(detail, value), detail) for detail in error.errors() if detail["type"] != "needs_python_object"]
    path, first = places[0]
    if first["type"] == "extra_forbidden":
        return f"{_dotted(*where, *path)}: unknown key{did_you_mean(str(path[-1]), _fields(schema, path[:-1]))}"
    if first["type"] == "missing":
        return f"{_dotted(*where, *path)}: missing; add it"
    wanted = dict.fromkeys(_lower(detail["msg"]) for place, detail in places if place == path)
    found = repr(_get(value, path))
    shown = found if len(found) < 60 else f"{found[:57]}..."
    return f"{_dotted(*where, *path)}: found {shown}; {' or '.join(wanted)}"


def _place(detail: Mapping[str, Any], value: Any) -> Where:
    """pydantic's location without the names of union members that it puts in between."""
    path: Where = ()
    last = len(detail["loc"]) - 1
    for index, part in enumerate(detail["loc"]):
        inside = isinstance(value, Mapping) and part in value
        inside = inside or (isinstance(value, list) and isinstance(part, int) and part < len(value))
        if inside:
            value = value[part]
        if inside or (index == last and detail["type"] == "missing"):
            path = (*path, part)
    return path


def _get(value: Any, path: Where) -> Any:
    for part in path:
        value = value[part]
    return value


def _fields(schema: Any, path: Where) -> list[str]:
    """Names of the keys at a place in a model, as far as they can be known from its annotations."""
    for part in path:
        if not (inspect.isclass(schema) and issubclass(schema, BaseModel)) or part not in schema.model_fields:
            return []
        annotation = schema.model_fields[part].annotation
        choices = [annotation, *getattr(annotation, "__args__", ())]
        schema = next((c for c in choices if inspect.isclass(c) and issubclass(c, BaseModel)), None)
    return list(schema.model_fields) if inspect.isclass(schema) and issubclass(schema, BaseModel) else []


def _lower(message: str) -> str:
    message = message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _dotted(*where: str | int) -> str:
    return ".".join(map(str, where))


def _without(section: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in section.items() if key not in keys}
