"""Deblur pictures: ``python -m uml_in_arch.deblur INPUT... -o OUT``."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from uml_in_arch import cli
from uml_in_arch.allocator import keep_freed_memory
from uml_in_arch.deblur import photograph
from uml_in_arch.deblur.deblurrer import DEFAULT_TILE, Deblurrer
from uml_in_arch.deblur.jobs import Job, plan
from uml_in_arch.errors import UserError

EXIT_SOME_FAILED = 1
_EPILOG = f"""\
A JPEG becomes a JPEG of quality {photograph.JPEG_QUALITY} without chroma subsampling,
all else (PNG, TIFF, BMP, WebP) a PNG.
Kept: size, 8 or 16 bits, grey, transparency, colour profile and EXIF (not a TIFF's); a picture that EXIF says
is on its side comes out upright. Not kept: XMP, IPTC, thumbnails, further pages and frames.
Results of an earlier run are replaced, inputs never.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Deblur as the command line says.

    Args:
        arguments: Instead of the process's own.

    Returns:
        0, or 1 if a picture failed; the others are written.

    Raises:
        UserError: The command line, the options or the checkpoint cannot work; nothing has been written then.
    """
    options = _parser().parse_args(arguments)
    jobs = plan(options.input, options.output)
    deblurrer = Deblurrer(options.opt, options.tile, options.device)
    # disable=None: no bar where stderr is no terminal
    with tqdm(total=len(jobs), unit="picture", dynamic_ncols=True, disable=None) as bar:
        failed = sum(not _deblur(job, deblurrer, bar) for job in jobs)
    if failed:
        print(f"{failed} of {len(jobs)} pictures failed", file=sys.stderr)
    return EXIT_SOME_FAILED if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m uml_in_arch.deblur",
        description="Deblur pictures, at full size.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("input", nargs="+", type=Path, help="pictures, and folders with pictures and subfolders")
    parser.add_argument(
        "-o", "--output", required=True, type=Path, metavar="OUT", help="folder for the results, under the same names"
    )
    parser.add_argument(
        "-opt",
        type=Path,
        metavar="FILE",
        help="option file of another trained network, such as options/test_UMLINPlus_GoPro.yml; its data sets do not "
        "matter",
    )
    parser.add_argument(
        "--tile",
        type=int,
        metavar="N",
        help="restore larger pictures in tiles of at most NxN pixels, the smaller the less memory; 0: always whole "
        f"(default: val.tile of the option file, or {DEFAULT_TILE})",
    )
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="auto: a GPU if there is one (default)"
    )
    return parser


def _deblur(job: Job, deblurrer: Deblurrer, bar: tqdm) -> bool:
    """Deblur one picture; whether that worked. One line says so."""
    try:
        blurry = photograph.read(job.source)
        restored = deblurrer(blurry, str(job.source), lambda tile: bar.set_postfix_str(f"{job.source.name}, {tile}"))
        photograph.write(job.target, restored)
    except UserError as error:
        tqdm.write(f"error: {cli.one_line(error)}", file=sys.stderr)
        return False
    finally:
        bar.update()
    tqdm.write(str(job.target), file=sys.stdout)
    return True


if __name__ == "__main__":
    # photographs of 90 to 180 megapixels are no attack
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    keep_freed_memory()
    cli.run(main)
