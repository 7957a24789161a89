"""What is wrong with the installed BasicSR and torch for our users, and the mends, by wrapping.

Import this before ``basicsr``. It is the only file that knows; each mend is one function with its reason above it. All
are idempotent. Written against BasicSR 1.3.4.9, 1.4.2 and its GitHub head of 2024 with torch 2.4 to 2.15.

Normally importing this imports BasicSR and mends all of it. In a BasicSR checkout with our files plugged in
(``plug_in``) this is imported from inside BasicSR's own scan of ``basicsr.archs``, when the rest does not exist yet;
the plugged-in files of ``basicsr.data`` and ``basicsr.models`` have the rest mended, or else the parsing of options.
"""
# ruff: noqa: PLC0415 (BasicSR is imported where it can be, see above)

from __future__ import annotations

import argparse
import functools
import importlib
import importlib.util
import math
import os
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from datetime import timedelta
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from uml_in_arch import checkpoints, cli, option_check, options
from uml_in_arch.errors import CheckpointError, DataError, OptionError, UserError
from uml_in_arch.lmdb_files import open_lmdb
from uml_in_arch.picture_header import PictureHeader, read_header, refuse_unusable
from uml_in_arch.progress import TrainingBar

# rank 0 validates alone while the others wait for it in the next collective; the default is 10 minutes
_WAIT_FOR_RANK_0 = timedelta(days=1)

_resolved: dict[str, dict[str, Any]] = {}
"""Option files, as given on the command line, with base and overrides applied."""


def _replace(module: ModuleType | type, name: str, wrap: Callable[[Any], Any]) -> None:
    """Put ``wrap(original)`` in place of a function, also where BasicSR's loaded modules imported it by name."""
    original = getattr(module, name, None)
    if original is None or hasattr(original, "_mends"):
        return
    mended = wrap(original)
    mended._mends = original
    holders = [module]
    if isinstance(module, ModuleType):
        holders += [sys.modules["__main__"], *_loaded_basicsr()]
    for holder in holders:
        if vars(holder).get(name) is original:
            setattr(holder, name, mended)


def _loaded_basicsr() -> list[ModuleType]:
    return [module for name, module in list(sys.modules.items()) if name.split(".")[0] == "basicsr" and module]


# --- before the import -----------------------------------------------------------------------------------------------


# BasicSR 1.4.2 does not build on Python 3.13, and a folder named basicsr without the package looks like one
def _check_environment() -> None:
    if sys.version_info >= (3, 13):
        raise OptionError("Python 3.10 to 3.12 is needed, BasicSR 1.4.2 does not build on 3.13; use an older Python")
    if "basicsr" in sys.modules:
        return
    found = importlib.util.find_spec("basicsr")
    if found is None or found.origin is None:
        raise OptionError("BasicSR is not installed; run: pip install basicsr==1.4.2")


# modules that BasicSR imports by a name that newer releases of torchvision and SciPy have dropped
def _restore_dropped_modules() -> None:
    for old, new in {
        "torchvision.transforms.functional_tensor": "torchvision.transforms.functional",
        "scipy.ndimage.filters": "scipy.ndimage",
    }.items():
        if old not in sys.modules and importlib.util.find_spec(old) is None:
            sys.modules[old] = importlib.import_module(new)


# a user's error must be one line also where the running script is upstream's and not ours
def _print_user_errors_in_one_line() -> None:
    script = Path(getattr(sys.modules["__main__"], "__file__", None) or "")
    if script.parent.name in ("basicsr", "uml_in_arch") and sys.excepthook is not _report:
        sys.excepthook = _report


def _report(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    TrainingBar.close()
    if not isinstance(error, UserError):
        sys.__excepthook__(kind, error, traceback)
        return

    def fail() -> None:
        raise error

    cli.run(fail)


# --- basicsr.utils ---------------------------------------------------------------------------------------------------


# the original's loader constructs arbitrary Python objects from a YAML file
def _mend_yaml_loader() -> None:
    from basicsr.utils import options as basicsr_options

    def ordered_yaml() -> tuple[type[options.Loader], type[options.Dumper]]:
        return options.Loader, options.Dumper

    _replace(basicsr_options, "ordered_yaml", lambda _: ordered_yaml)


# the original runs eval and exec on --force_yml, knows no base, refuses --local-rank, and checks nothing
def _mend_parse_options() -> None:
    from basicsr.utils import options as basicsr_options

    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def parse_options(root_path: str, is_train: bool = True) -> Any:
            mend_data()
            mend_models()
            mend_train()
            command, rest = _split_command_line()
            if command.opt is None:  # the original says so
                return original(root_path, is_train)
            opt = options.complete(options.load(command.opt, command.force_yml or ()), is_train)
            world_size = 1 if command.launcher == "none" else int(os.environ.get("WORLD_SIZE", "1"))
            option_check.check(opt, is_train, command.opt, world_size)
            if not is_train and not opt["path"].get("pretrain_network_g"):
                _warn("path.pretrain_network_g is not set: this tests an untrained network")
            _leave_cores_to_loaders(opt, world_size)
            _resolved[command.opt] = opt
            with _as_file_content(basicsr_options, opt), _command_line(rest):
                return original(root_path, is_train)

        return parse_options

    _replace(basicsr_options, "parse_options", wrap)


# torch computes on every core; on a CPU its threads then wait for the one that shares a core with a loader process
# (the demo on two cores: 0.31 s an iteration with two threads, 0.17 with one)
def _leave_cores_to_loaders(opt: dict[str, Any], world_size: int) -> None:
    on_gpu = torch.cuda.is_available() and opt["num_gpu"] != 0
    if on_gpu or "OMP_NUM_THREADS" in os.environ:
        return
    loaders = opt["datasets"].get("train", {}).get("num_worker_per_gpu", 0)
    cores = len(os.sched_getaffinity(0)) // world_size
    torch.set_num_threads(max(1, cores - loaders))


def _split_command_line() -> tuple[argparse.Namespace, list[str]]:
    """What we need of the command line, and the command line without what the original must not see."""
    ours = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    ours.add_argument("--force_yml", nargs="+")
    ours.add_argument("--local_rank", "--local-rank")
    _, rest = ours.parse_known_args()
    ours.add_argument("-opt")
    ours.add_argument("--launcher", default="none")
    return ours.parse_known_args()[0], rest


@contextmanager
def _command_line(arguments: list[str]) -> Iterator[None]:
    whole = sys.argv
    sys.argv = [whole[0], *arguments]
    try:
        yield
    finally:
        sys.argv = whole


@contextmanager
def _as_file_content(module: ModuleType, opt: dict[str, Any]) -> Iterator[None]:
    """Let BasicSR read ``opt``, whatever the file says."""

    class Resolved(options.Loader):
        def get_single_data(self) -> dict[str, Any]:
            return deepcopy(opt)

    ordered_yaml = module.ordered_yaml
    module.ordered_yaml = lambda: (Resolved, options.Dumper)
    try:
        yield
    finally:
        module.ordered_yaml = ordered_yaml


# the original copies the file as it is: without its base and without the command line's overrides
def _mend_copy_opt_file() -> None:
    from basicsr.utils import options as basicsr_options

    def wrap(original: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(original)
        def copy_opt_file(opt_file: str, experiments_root: str) -> None:
            original(opt_file, experiments_root)
            if _rank() == 0 and opt_file in _resolved:
                file = Path(experiments_root) / f"resolved_{Path(opt_file).name}"
                file.write_text(options.dump(_resolved[opt_file]), encoding="utf-8")

        return copy_opt_file

    _replace(basicsr_options, "copy_opt_file", wrap)


# the original needs a GPU, waits for rank 0's validation too briefly, and fails with KeyError: 'RANK' without torchrun
def _mend_init_dist() -> None:
    from basicsr.utils import dist_util

    def wrap(original: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(original)
        def init_dist(launcher: str, backend: str = "nccl", **arguments: Any) -> None:
            if launcher != "pytorch":
                if not torch.cuda.is_available():
                    raise OptionError(f"--launcher {launcher} needs GPUs; on CPUs use torchrun and --launcher pytorch")
                original(launcher, backend, **arguments)
                return
            if not {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys():
                raise OptionError(
                    "--launcher pytorch needs torchrun; run: torchrun --nproc_per_node=N basicsr/train.py -opt ... "
                    "--launcher pytorch"
                )
            if torch.cuda.is_available():
                if mp.get_start_method(allow_none=True) is None:
                    mp.set_start_method("spawn")
                local_rank = int(os.environ.get("LOCAL_RANK", os.environ["RANK"]))
                torch.cuda.set_device(local_rank % torch.cuda.device_count())
            # no backend: gloo for tensors on the CPU, nccl for those on a GPU
            dist.init_process_group(timeout=_WAIT_FOR_RANK_0)

        return init_dist

    _replace(dist_util, "init_dist", wrap)


# LMDB refuses a folder that is open already: the same data for training and validation, or after a fork
def _mend_lmdb_backend() -> None:
    from basicsr.utils.file_client import LmdbBackend

    def wrap_init(original: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(original)
        def __init__(self: Any, db_paths: str | list[str], client_keys: str | list[str] = "default") -> None:
            self.db_paths = [str(path) for path in ([db_paths] if isinstance(db_paths, (str, Path)) else db_paths)]
            keys = [client_keys] if isinstance(client_keys, str) else client_keys
            self._client = dict(zip(keys, self.db_paths, strict=True))

        return __init__

    def wrap_get(original: Callable[..., bytes | None]) -> Callable[..., bytes | None]:
        @functools.wraps(original)
        def get(self: Any, filepath: str, client_key: str) -> bytes | None:
            with open_lmdb(self._client[client_key]).begin() as transaction:
                return transaction.get(str(filepath).encode())

        return get

    _replace(LmdbBackend, "__init__", wrap_init)
    _replace(LmdbBackend, "get", wrap_get)


def _rank() -> int:
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def _warn(message: str) -> None:
    """For before BasicSR's logger may be used."""
    if _rank() == 0:
        print(f"warning: {message}", file=sys.stderr, flush=True)


# --- basicsr.data ----------------------------------------------------------------------------------------------------


def mend_data() -> None:
    """Mend BasicSR's data sets and loaders; call it where ``basicsr.data`` can be imported."""
    _mend_picture_errors()
    _mend_prefetch_hang()
    _mend_worker_seeds()


# a bad picture ends in "'NoneType' object has no attribute 'astype'" without its name, or is silently converted
def _mend_picture_errors() -> None:
    from basicsr.data.paired_image_dataset import PairedImageDataset
    from basicsr.data.single_image_dataset import SingleImageDataset

    def wrap(original: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
        @functools.wraps(original)
        def __getitem__(self: Any, index: int) -> dict[str, Any]:
            paths = self.paths[index]
            if isinstance(paths, str):
                paths = {"lq_path": paths}
            roles = [role for role in ("gt", "lq") if f"{role}_path" in paths]
            names = {role: _picture_name(self, role, paths[f"{role}_path"]) for role in roles}
            headers = {role: _checked_header(self, role, paths[f"{role}_path"], names[role]) for role in roles}
            _refuse_sizes(self.opt, headers, names)
            try:
                return original(self, index)
            except UserError:
                raise
            except Exception as error:
                reason = " ".join(str(error).split())[:200] or type(error).__name__
                raise DataError(f"{' or '.join(names.values())}: cannot be decoded ({reason}); replace it") from error

        return __getitem__

    _replace(PairedImageDataset, "__getitem__", wrap)
    _replace(SingleImageDataset, "__getitem__", wrap)


def _picture_name(dataset: Any, role: str, path: str) -> str:
    if dataset.opt["io_backend"].get("type", "lmdb") != "lmdb":
        return path
    folder = dataset.gt_folder if role == "gt" else dataset.lq_folder
    return f"picture {path!r} in {folder}"


def _checked_header(dataset: Any, role: str, path: str, name: str) -> PictureHeader:
    from basicsr.utils import FileClient

    if dataset.file_client is None:
        backend = dict(dataset.io_backend_opt)
        dataset.file_client = FileClient(backend.pop("type"), **backend)
    try:
        data = dataset.file_client.get(path, role)
        if data is None:
            raise DataError("it is missing from data.mdb though meta_info.txt lists it; prepare the LMDB again")
        header = read_header(data)
        refuse_unusable(header, grey_allowed=dataset.opt.get("color") == "y")
    except DataError as error:
        raise DataError(f"{name}: {error}") from error
    except OSError as error:
        raise DataError(f"{name}: cannot be read ({error.strerror}); replace it") from error
    return header


def _refuse_sizes(opt: dict[str, Any], headers: dict[str, PictureHeader], names: dict[str, str]) -> None:
    if "gt" not in headers:
        return
    sharp, blurry = headers["gt"], headers["lq"]
    sizes = f"{blurry.width}x{blurry.height} and its ground truth {sharp.width}x{sharp.height}"
    if opt["scale"] == 1 and (sharp.height, sharp.width) != (blurry.height, blurry.width):
        raise DataError(f"{names['lq']}: it is {sizes}; they must be equal, prepare this pair again")
    if opt["phase"] == "train" and min(sharp.height, sharp.width) < opt["gt_size"]:
        raise DataError(f"{names['gt']}: it is {sizes}, smaller than gt_size {opt['gt_size']}; lower gt_size")


# an error in the thread of prefetch_mode: cpu is lost, and training waits for ever
def _mend_prefetch_hang() -> None:
    from basicsr.data.prefetch_dataloader import PrefetchGenerator

    def wrap_run(original: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(original)
        def run(self: Any) -> None:
            self.failure = None
            try:
                original(self)
            except Exception as error:
                self.failure = error
                self.queue.put(None)

        return run

    def wrap_next(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def __next__(self: Any) -> Any:
            try:
                return original(self)
            except StopIteration:
                if self.failure is not None:
                    raise self.failure from None
                raise

        return __next__

    _replace(PrefetchGenerator, "run", wrap_run)
    _replace(PrefetchGenerator, "__next__", wrap_next)


# the original seeds every epoch's workers alike, so each epoch repeats the same crops and flips
def _mend_worker_seeds() -> None:
    from basicsr import data

    _replace(data, "worker_init_fn", lambda _: seed_worker)


def seed_worker(worker_id: int, num_workers: int, rank: int, seed: int) -> None:
    """Seed a loader process: another stream for each run's seed, rank, worker and epoch.

    torch's seed is all of that already: drawn anew each epoch from the process's generator, which BasicSR seeded with
    ``seed + rank``, plus ``worker_id``.
    """
    worker_seed = torch.initial_seed() % 2**32
    np.random.seed(worker_seed)
    random.seed(worker_seed)


# --- basicsr.models --------------------------------------------------------------------------------------------------


def mend_models() -> None:
    """Mend what all BasicSR models inherit; call it where ``basicsr.models.base_model`` can be imported."""
    from basicsr.models.base_model import BaseModel

    _replace(BaseModel, "get_optimizer", _wrap_get_optimizer)
    _replace(BaseModel, "model_to_device", _wrap_model_to_device)
    _replace(BaseModel, "model_ema", _wrap_model_ema)
    _replace(BaseModel, "save_network", _wrap_save_network)
    _replace(BaseModel, "save_training_state", _wrap_save_training_state)
    _replace(BaseModel, "load_network", _wrap_load_network)
    _replace(BaseModel, "update_learning_rate", _wrap_update_learning_rate)
    _replace(BaseModel, "validation", _wrap_validation)


# the original knows Adam only
def _wrap_get_optimizer(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def get_optimizer(self: Any, optim_type: str, params: Any, lr: float, **arguments: Any) -> torch.optim.Optimizer:
        return option_check.optimizer_class(optim_type)(params, lr=lr, **arguments)

    return get_optimizer


# the original asks for the current GPU, also when it trains on the CPU
def _wrap_model_to_device(original: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    @functools.wraps(original)
    def model_to_device(self: Any, net: nn.Module) -> nn.Module:
        if not self.opt["dist"] or self.device.type != "cpu":
            return original(self, net)
        return DistributedDataParallel(net, find_unused_parameters=self.opt.get("find_unused_parameters", False))

    return model_to_device


# the original copies no buffers, and copies parameters before ActNorm has set them from the first batch
def _wrap_model_ema(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def model_ema(self: Any, decay: float = 0.999) -> None:
        original(self, decay)
        net, average = self.get_bare_model(self.net_g), self.net_g_ema
        buffers = dict(net.named_buffers())
        just_initialized = False
        with torch.no_grad():
            for name, buffer in average.named_buffers():
                if buffer.dtype == torch.bool and not torch.equal(buffer, buffers[name]):
                    just_initialized = True
                buffer.copy_(buffers[name])
            if just_initialized:
                parameters = dict(net.named_parameters())
                for name, parameter in average.named_parameters():
                    parameter.copy_(parameters[name])

    return model_ema


# the original writes in place, so a kill leaves a broken file, and goes on training when it cannot write
def _wrap_save_network(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def save_network(self: Any, net: Any, net_label: str, current_iter: int, param_key: Any = "params") -> None:
        with _written_whole(self.opt, "models"):
            original(self, net, net_label, current_iter, param_key)

    return save_network


# the same; and iteration -1, which writes nothing, is how BasicSR's loop says that training has ended
def _wrap_save_training_state(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def save_training_state(self: Any, epoch: int, current_iter: int) -> None:
        if current_iter == -1:
            if TrainingBar.current is not None:
                TrainingBar.current.show(int(self.opt["train"]["total_iter"]), getattr(self, "log_dict", {}))
            TrainingBar.close()
            return
        with _written_whole(self.opt, "training_states"):
            original(self, epoch, current_iter)

    return save_training_state


@contextmanager
def _written_whole(opt: dict[str, Any], key: str) -> Iterator[None]:
    """Point ``opt['path'][key]`` at a temporary folder; only rank 0 writes."""
    if _rank() != 0:
        yield
        return
    folder = opt["path"][key]
    with checkpoints.written_whole(folder) as stage:
        opt["path"][key] = str(stage)
        try:
            yield
        finally:
            opt["path"][key] = folder


# another network's checkpoint ends in hundreds of lines of keys and a traceback; a file may hold any Python object; and
# published files keep their weights under other keys
def _wrap_load_network(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def load_network(
        self: Any, net: nn.Module, load_path: str, strict: bool = True, param_key: str | None = "params"
    ) -> None:
        from basicsr.utils import get_root_logger

        weights = checkpoints.weights_of(checkpoints.read(load_path), param_key, load_path)
        bare = self.get_bare_model(net)
        checkpoints.refuse_mismatch(bare, weights, load_path, strict)
        get_root_logger().info(f"Loading {type(bare).__name__} from {load_path}")
        if not strict:  # sets what does not fit aside, and says so
            self._print_different_keys_loading(bare, weights, strict)
        bare.load_state_dict(weights, strict=strict)

    return load_network


# training shows no progress; BasicSR's loop calls this once per iteration, before it
def _wrap_update_learning_rate(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def update_learning_rate(self: Any, current_iter: int, warmup_iter: int = -1) -> None:
        original(self, current_iter, warmup_iter)
        if _rank() != 0:
            return
        from basicsr.utils import get_root_logger

        done = current_iter - 1
        bar = TrainingBar.current or TrainingBar(int(self.opt["train"]["total_iter"]), done, get_root_logger())
        bar.show(done, getattr(self, "log_dict", {}))

    return update_learning_rate


# rank 0 validates alone, but running the distributed wrapper exchanges buffers with ranks that are elsewhere; and after
# the last iteration BasicSR's loop has counted one or two too far
def _wrap_validation(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def validation(self: Any, dataloader: Any, current_iter: int | str, tb_logger: Any, save_img: bool = False) -> None:
        if self.is_train:
            current_iter = min(current_iter, int(self.opt["train"]["total_iter"]))
        wrapped = getattr(self, "net_g", None)
        if isinstance(wrapped, DistributedDataParallel):
            self.net_g = wrapped.module
        try:
            original(self, dataloader, current_iter, tb_logger, save_img)
        finally:
            if wrapped is not None:
                self.net_g = wrapped

    return validation


# --- basicsr.train ---------------------------------------------------------------------------------------------------


def mend_train() -> None:
    """Mend BasicSR's training loop, in its module and where its file is the running script."""
    for module in (sys.modules.get("basicsr.train"), sys.modules["__main__"]):
        if hasattr(module, "train_pipeline") and hasattr(module, "create_train_val_dataloader"):
            _replace(module, "load_resume_state", lambda _: load_resume_state)
            _replace(module, "create_train_val_dataloader", _wrap_create_dataloaders)


def load_resume_state(opt: dict[str, Any]) -> dict[str, Any] | None:
    """The state to resume from, with ``opt`` changed to load its networks; None for a fresh start.

    The original needs a GPU, looks under the current folder, and takes the newest state even if it is broken.

    Raises:
        CheckpointError: ``path.resume_state`` or its networks are missing or broken.
    """
    from basicsr.utils import check_resume

    state = None
    if opt["auto_resume"]:
        opt["path"]["resume_state"], state = _newest_whole_state(opt)
    elif opt["path"].get("resume_state"):
        state = _read_state(opt, Path(opt["path"]["resume_state"]))
    if state is not None:
        check_resume(opt, state["iter"])
    return state


def _newest_whole_state(opt: dict[str, Any]) -> tuple[str | None, dict[str, Any] | None]:
    files = Path(opt["path"]["training_states"]).glob("*.state")
    for file in sorted((file for file in files if file.stem.isdigit()), key=lambda file: int(file.stem), reverse=True):
        try:
            return str(file), _read_state(opt, file)
        except CheckpointError as error:
            _warn(f"not resuming from {file}, trying an older one: {error}")
    return None, None


def _read_state(opt: dict[str, Any], file: Path) -> dict[str, Any]:
    state = checkpoints.read(file)
    if not isinstance(state, dict) or not {"epoch", "iter", "optimizers", "schedulers"} <= state.keys():
        raise CheckpointError(f"{file}: this is no training state; path.resume_state wants a file of training_states/")
    ignored = opt["path"].get("ignore_resume_networks") or ()
    for network in opt:
        if network.startswith("network_") and network not in ignored:
            label = network.removeprefix("network_")
            checkpoints.read(Path(opt["path"]["models"]) / f"net_{label}_{state['iter']}.pth")
    return state


# the original counts the last, incomplete batch of an epoch, which the loader drops: training ends before total_iter
def _wrap_create_dataloaders(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def create_train_val_dataloader(opt: dict[str, Any], logger: Any) -> Any:
        loader, sampler, val_loaders, total_epochs, total_iters = original(opt, logger)
        return loader, sampler, val_loaders, max(total_epochs, math.ceil(total_iters / len(loader))), total_iters

    return create_train_val_dataloader


# --- now -------------------------------------------------------------------------------------------------------------


def _mend() -> None:
    _print_user_errors_in_one_line()
    _check_environment()
    _restore_dropped_modules()
    basicsr = importlib.import_module("basicsr")
    _mend_yaml_loader()
    _mend_parse_options()
    _mend_copy_opt_file()
    _mend_init_dist()
    _mend_lmdb_backend()
    if hasattr(basicsr, "__version__"):  # set last; else we are inside BasicSR's own import
        mend_data()
        mend_models()
        mend_train()


_mend()
