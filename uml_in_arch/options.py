"""Option files: reading them safely, `base` inheritance, command-line overrides, and what their sections may hold."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from difflib import get_close_matches
from functools import reduce
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, NonNegativeFloat, PositiveFloat, PositiveInt

from uml_in_arch.errors import OptionError


class Loader(yaml.SafeLoader):
    """Reads plain data only; refuses duplicate keys; ``1e-4`` is a number."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping, in the file's order."""
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key_node.tag != "tag:yaml.org,2002:merge" and key in seen:
                raise OptionError(f"line {key_node.start_mark.line + 1}: the key {key!r} is there twice; remove one")
            seen.add(key)
        return super().construct_mapping(node, deep)


class Dumper(yaml.SafeDumper):
    """Writes what `Loader` reads back equal."""


Dumper.add_representer(OrderedDict, lambda dumper, mapping: dumper.represent_dict(mapping.items()))

# YAML 1.1 wants a dot in a float; everybody writes 1e-4
_EXPONENT = re.compile(r"^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$")
for _side in (Loader, Dumper):
    _side.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, list("-+.0123456789"))


def load(path: str | Path, overrides: Iterable[str] = ()) -> dict[str, Any]:
    """Read an option file.

    A file may say ``base: other.yml`` (relative to itself): its own keys are merged over that file's, see `merge`. With
    ``base: [whole.yml, part.yml]`` each file is merged over those before it; parts hold what several files share.

    Args:
        path: The YAML file.
        overrides: ``a:b=value`` each; the value is YAML, and every key but the last must exist.

    Raises:
        OptionError: The file is missing or is not plain YAML, a base is circular, or an override does not fit.
    """
    options = reduce(merge, _layers(Path(path), ()))
    for override in overrides:
        _apply(options, override)
    return options


def dump(options: Mapping[str, Any]) -> str:
    """The options as YAML text that `load` reads back equal."""
    return yaml.dump(dict(options), Dumper=Dumper, sort_keys=False, allow_unicode=True)


def merge(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """``own`` over ``base``: mappings merge, ``~`` removes the key, anything else replaces.

    A mapping with another ``type`` replaces the base's too: its other keys are arguments of something else.
    """
    merged = dict(base)
    for key, value in own.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping) and _same_type(value, merged.get(key)):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def _same_type(own: Mapping[str, Any], base: Any) -> bool:
    return isinstance(base, Mapping) and ("type" not in own or own["type"] == base.get("type"))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of an error message about an unknown word: the most similar known one, or all of them if few."""
    names = {name.lower(): name for name in sorted(map(str, known))}
    word = str(word).lower()
    close = get_close_matches(word, names, n=1) or sorted((name for name in names if word in name), key=len)
    if close:
        return f"; did you mean {names[close[0]]!r}?"
    return f"; known: {', '.join(names.values())}" if 0 < len(names) <= 20 else ""


def _layers(path: Path, above: tuple[Path, ...]) -> Iterator[dict[str, Any]]:
    """The contents of a file and of its bases, each after what it is merged over."""
    here = path.expanduser().resolve()
    if here in above:
        raise OptionError(f"{above[-1]}: 'base: {path.name}' leads back to itself; remove one of the 'base' lines")
    own = _read(path)
    bases = own.pop("base", [])
    names = [bases] if isinstance(bases, str) else bases
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise OptionError(f"{path}: base: found {bases!r}, the name of an option file or a list of names is expected")
    for name in names:
        yield from _layers(path.parent / name, (*above, here))
    yield own


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        siblings = [sibling.name for sibling in path.parent.glob("*.yml")]
        reason = getattr(error, "strerror", None) or error
        hint = did_you_mean(path.name, siblings)
        raise OptionError(f"{path}: this option file cannot be read ({reason}){hint}") from error
    content = _parse(text, str(path))
    if not isinstance(content, dict):
        raise OptionError(f"{path}: an option file is a mapping like 'name: ...', found {type(content).__name__}")
    return content


def _parse(text: str, source: str) -> Any:
    try:
        return yaml.load(text, Loader=Loader)
    except OptionError as error:
        raise OptionError(f"{source}: {error}") from None
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = " ".join(str(getattr(error, "problem", None) or error).split())
        raise OptionError(f"{source}{line}: not plain YAML: {problem}") from error


def _apply(options: dict[str, Any], override: str) -> None:
    keys, equals, text = override.partition("=")
    *parents, leaf = keys.strip().split(":")
    if not equals or not leaf:
        raise OptionError(f"--force_yml {override}: write it like train:optim_g:lr=1e-4")
    section = options
    for key in parents:
        if not isinstance(section.get(key), dict):
            raise OptionError(f"--force_yml {override}: there is no section {key!r}{did_you_mean(key, section)}")
        section = section[key]
    section[leaf] = _parse(text, f"--force_yml {override}")


def _integral(value: Any) -> Any:
    """BasicSR's own files write iteration counts as ``!!float 5e3``."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Count = Annotated[PositiveInt, BeforeValidator(_integral)]


class Section(BaseModel):
    """A section of the option file that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid")


class OpenSection(BaseModel):
    """A section whose further keys are some constructor's arguments."""

    model_config = ConfigDict(extra="allow")


class OptimizerOptions(OpenSection):
    """``train.optim_*``: a class of torch.optim and its arguments."""

    type: str
    lr: PositiveFloat


class SchedulerOptions(OpenSection):
    """``train.scheduler``: one of BasicSR's schedulers and its arguments."""

    type: Literal["MultiStepLR", "MultiStepRestartLR", "CosineAnnealingRestartLR"]


class TrainOptions(Section):
    """``train:`` as SRModel knows it. A model class with more keys has a subclass of this as ``TrainOptions``.

    Keys ending in ``_opt`` are losses: the name under which one is registered and its constructor's arguments.
    """

    total_iter: Count
    warmup_iter: Annotated[int, BeforeValidator(_integral)] = -1
    ema_decay: Annotated[NonNegativeFloat, Field(lt=1)] = 0
    optim_g: OptimizerOptions
    scheduler: SchedulerOptions
    pixel_opt: dict[str, Any] | None = None
    perceptual_opt: dict[str, Any] | None = None


class MetricOptions(OpenSection):
    """One of ``val.metrics``: a registered metric, its arguments, and which way is better."""

    type: str
    better: Literal["higher", "lower"] = "higher"


class ValOptions(Section):
    """``val:`` as SRModel knows it. A model class with more keys has a subclass of this as ``ValOptions``."""

    val_freq: Count | None = None
    save_img: bool = False
    suffix: str | None = None
    pbar: bool = False
    metrics: dict[str, MetricOptions] | None = None


class WandbOptions(Section):
    """``logger.wandb``."""

    project: str | None = None
    resume_id: str | None = None


class LoggerOptions(Section):
    """``logger:``, counts in iterations."""

    print_freq: Count
    save_checkpoint_freq: Count
    use_tb_logger: bool = False
    wandb: WandbOptions | None = None


def complete(options: Mapping[str, Any], is_train: bool) -> dict[str, Any]:
    """The options with those keys filled in that BasicSR reads without a default of its own."""
    defaults: dict[str, Any] = {"path": {}}
    if is_train:
        defaults["logger"] = {"use_tb_logger": False}
    if not is_train or isinstance(options.get("val"), Mapping):
        defaults["val"] = {"save_img": False, "suffix": None}
    full = deepcopy(dict(options))
    for section, keys in defaults.items():
        if full.get(section) is None:
            full[section] = {}
        if isinstance(full[section], dict):
            full[section] = {**keys, **full[section]}
    return full
