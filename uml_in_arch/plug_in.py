"""Puts UML-IN into somebody's own BasicSR checkout: ``python -m uml_in_arch.plug_in PATH``, and ``--remove``.

BasicSR imports every ``basicsr/archs/*_arch.py``, ``data/*_dataset.py``, ``losses/*_loss.py`` and
``models/*_model.py``. We add one such file each, which imports ours, and copies of our option files. None of BasicSR's
own files is changed. Works for checkouts from 1.3.4.5 on.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shlex
import subprocess
import sys
from pathlib import Path

from uml_in_arch import cli, shipped
from uml_in_arch.errors import OptionError

_MARK = "# written by uml_in_arch.plug_in, sha256 "

# BasicSR imports these folders in this order, so archs is where the mending starts (see toolbox). It does not scan
# metrics, and BasicSR 1.3 does not scan losses: models, the last, imports those too.
_MODULES = {
    "basicsr/archs/uml_in_arch.py": "from uml_in_arch import archs",
    "basicsr/data/uml_in_dataset.py": (
        "from uml_in_arch import toolbox\n    from uml_in_arch.data import registered\n\n    toolbox.mend_data()"
    ),
    "basicsr/losses/uml_in_loss.py": "from uml_in_arch import losses",
    "basicsr/models/uml_in_model.py": (
        "from uml_in_arch import losses, metrics, models, toolbox\n\n    toolbox.mend_models()"
    ),
}
_CODE = '''"""Registers what uml_in_arch has for this folder of BasicSR."""
# flake8: noqa

try:
    {statement}
except ModuleNotFoundError as error:
    if error.name != "uml_in_arch":
        raise
    raise SystemExit("error: uml_in_arch is not installed for this Python; pip install it") from None
'''


def plug_in(checkout: Path) -> tuple[list[Path], list[Path]]:
    """Write our files into a checkout, where they are not there already.

    Returns:
        The files written, and files of ours that were edited since and therefore kept.

    Raises:
        OptionError: It is no BasicSR checkout, or somebody else's file has one of our names; nothing is written then.
    """
    _refuse_others(checkout)
    contents = {checkout / name: text for name, text in _contents().items()}
    foreign = [path for path in contents if path.exists() and not (_read(path) or "").startswith(_MARK)]
    if foreign:
        raise OptionError(f"{foreign[0]} exists and is not ours; move it away first")
    kept = [path for path in contents if path.exists() and not _is_ours(path)]
    changed = [path for path, text in contents.items() if path not in kept and _read(path) != text]
    for path in changed:
        path.parent.mkdir(exist_ok=True)
        temporary = path.with_name(f".{path.name}.tmp")
        temporary.write_text(contents[path], encoding="utf-8")
        os.replace(temporary, path)
    return changed, kept


def remove(checkout: Path) -> tuple[list[Path], list[Path]]:
    """Take our files out of a checkout again, also those of an older version.

    Returns:
        The files removed, and files of ours that were edited since and therefore kept.

    Raises:
        OptionError: It is no BasicSR checkout.
    """
    _refuse_others(checkout)
    candidates = [*(checkout / name for name in _MODULES), *sorted((checkout / "options").glob("*.yml"))]
    ours = [path for path in candidates if (_read(path) or "").startswith(_MARK)]
    removed = [path for path in ours if _is_ours(path)]
    for path in removed:
        path.unlink()
    return removed, [path for path in ours if path not in removed]


def missing_setup(checkout: Path) -> str | None:
    """What to run once so that ``python basicsr/train.py`` in the checkout uses the checkout, or None if it does.

    Python looks for ``basicsr`` beside that script's folder's files, not in the checkout, so an installed release wins;
    and a fresh clone lacks ``basicsr/version.py``, which its setup writes.
    """
    code = (
        "import importlib.util, sys; del sys.path[0]; print(getattr(importlib.util.find_spec('basicsr'), 'origin', ''))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=checkout, capture_output=True, text=True, check=False
    ).stdout.strip()
    used = bool(found) and found != "None" and Path(found).resolve() == (checkout / "basicsr/__init__.py").resolve()
    if used and (checkout / "basicsr/version.py").is_file():
        return None
    pip = f"{shlex.quote(sys.executable)} -m pip install"
    # an isolated build would download PyTorch (setup_requires); without isolation setuptools itself must make wheels
    return f"{pip} 'setuptools>=70.1' && {pip} --no-build-isolation --no-deps -e {shlex.quote(str(checkout))}"


def option_files() -> dict[str, str]:
    """Name to text of the option files that come with uml_in_arch."""
    return {file.name: file.read_text(encoding="utf-8") for file in sorted(shipped.options().glob("*.yml"))}


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m uml_in_arch.plug_in", description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path, help="a BasicSR checkout, the folder that holds its setup.py")
    parser.add_argument("--remove", action="store_true", help="take the files away again")
    arguments = parser.parse_args()
    checkout = arguments.path.expanduser().resolve()
    changed, kept = remove(checkout) if arguments.remove else plug_in(checkout)
    print(f"{'removed' if arguments.remove else 'wrote'} {len(changed)} files in {checkout}")
    for path in kept:
        print(f"kept {path}: it was edited")
    if arguments.remove:
        return 0
    setup = missing_setup(checkout)
    if setup:
        print(f"this Python does not use the checkout's BasicSR yet; run once:\n    {setup}")
    print(f"then, in {checkout}:\n    python basicsr/train.py -opt options/train_UMLIN_GoPro.yml")
    return 0


def _refuse_others(checkout: Path) -> None:
    needed = ("basicsr/train.py", "basicsr/archs/__init__.py", "basicsr/models/__init__.py", "basicsr/__init__.py")
    missing = next((name for name in needed if not (checkout / name).is_file()), None)
    if missing:
        raise OptionError(f"{checkout} is no BasicSR checkout, it has no {missing}; give the folder with its setup.py")
    if "def copy_opt_file" not in (_read(checkout / "basicsr/utils/options.py") or ""):
        raise OptionError(f"{checkout} is an older BasicSR than 1.3.4.5; check out a newer tag")


def _contents() -> dict[str, str]:
    """Path in the checkout to text, each with its mark in the first line."""
    code = {name: _CODE.format(statement=statement) for name, statement in _MODULES.items()}
    options = {f"options/{name}": text for name, text in option_files().items()}
    return {name: f"{_MARK}{_digest(text)}\n{text}" for name, text in {**code, **options}.items()}


def _is_ours(path: Path) -> bool:
    """Whether we wrote the file and nobody has edited it since."""
    first, _, rest = (_read(path) or "").partition("\n")
    return first == f"{_MARK}{_digest(rest)}"


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


if __name__ == "__main__":
    cli.run(main)
