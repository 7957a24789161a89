"""Runs a comparison: the blurry input here, every entry in a process of its own, one after the other."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

import uml_in_arch.toolbox  # noqa: F401  (mends BasicSR, so it comes before it)
from uml_in_arch.compare import cache, evaluation
from uml_in_arch.compare.cost import choose_device, thread_environment
from uml_in_arch.compare.options import BLURRY, Comparison
from uml_in_arch.compare.results import Cost, Result, Scored
from uml_in_arch.errors import DataError

from basicsr.data import build_dataset


def run(comparison: Comparison) -> list[Result]:
    """Measure all entries, going on where an earlier run with the same output folder stopped.

    Returns:
        The blurry input's result, then the entries' in their order; a failed one has an ``error``.

    Raises:
        UserError: The data cannot be read or the output folder not be written.
    """
    _make_folder(comparison.folder)
    lengths = [
        min(len(build_dataset(options.section(name))), options.limit or sys.maxsize)
        for name, options in comparison.datasets.items()
    ]
    restoring = sum(entry.restores for entry in comparison.entries.values())
    # disable=None: no bar where stderr is no terminal
    with tqdm(total=sum(lengths) * (1 + restoring), unit="picture", dynamic_ncols=True, disable=None) as bar:
        results = [_blurry(comparison, bar)]
        for name in comparison.entries:
            results.append(_entry(comparison, name, sum(lengths), bar))
    return results


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder}: cannot be made ({error.strerror}); choose another output") from error


def _blurry(comparison: Comparison, bar: tqdm) -> Result:
    bar.set_description(BLURRY)
    result = Result(BLURRY, "", restores=False)
    folder = comparison.folder / "restored" / cache.file_name(BLURRY)
    device = choose_device(comparison.device)
    for scored in evaluation.evaluate(comparison, None, folder, device, result.notes.append):
        result.scored.append(scored)
        bar.update()
    return result


def _entry(comparison: Comparison, name: str, pictures: int, bar: tqdm) -> Result:
    options = comparison.entries[name]
    result = Result(name, options.arch, options.restores)
    bar.set_description(f"{name}: cost")
    expected = bar.n + (pictures if result.restores else 0)
    log = comparison.folder / "logs" / f"{cache.file_name(name)}.log"
    log.parent.mkdir(exist_ok=True)
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "uml_in_arch.compare.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=thread_environment(comparison.threads),
        )
    with process:
        try:
            job = {"comparison": comparison.model_dump(mode="json"), "entry": name}
            process.stdin.write(json.dumps(job).encode() + b"\n")
            process.stdin.flush()
            ended = False
            for line in process.stdout:
                message = json.loads(line)
                ended = "end" in message
                _receive(message, result, bar)
        except BrokenPipeError:
            ended = False
        except BaseException:
            process.kill()
            raise
    if not ended:
        result.error = f"its process ended early{_how(process.returncode)}; see {log}"
    bar.update(expected - bar.n)
    tqdm.write(f"{name}: {result.error or 'done'}", file=sys.stderr)
    return result


def _receive(message: dict[str, Any], result: Result, bar: tqdm) -> None:
    if "cost" in message:
        result.cost = Cost(**message["cost"])
        bar.set_description(result.name)
    elif "scored" in message:
        result.scored.append(Scored(**message["scored"]))
        bar.set_postfix_str("", refresh=False)
        bar.update()
    elif "iteration" in message:
        bar.set_postfix_str("iteration {} of {}".format(*message["iteration"]))
    elif "note" in message:
        result.notes.append(message["note"])
    elif "error" in message:
        result.error = message["error"]


def _how(status: int) -> str:
    if status == -signal.SIGKILL:
        return ", killed: out of memory?"
    return f", killed by signal {-status}" if status < 0 else f" with status {status}"
