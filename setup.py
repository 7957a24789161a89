"""Package metadata. Tool settings (ruff, pytest) are in pyproject.toml."""

import re
import sys
from pathlib import Path

from setuptools import find_packages, setup

if sys.version_info >= (3, 13):
    sys.exit("error: uml_in_arch needs Python 3.10 to 3.12: BasicSR 1.4.2 does not build on 3.13. Use an older Python.")

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "uml_in_arch" / "__init__.py").read_text()).group(1)

setup(
    name="uml_in_arch",
    version=VERSION,
    description="UML-IN: invertible image deblurring as a plugin for BasicSR",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10,<3.13",
    packages=[
        *find_packages(include=["uml_in_arch", "uml_in_arch.*"]),
        "uml_in_arch.option_files",
        "uml_in_arch.weight_files",
    ],
    # plug_in copies the option files and deblur takes the weights, so a wheel must carry them too (see shipped.py)
    package_dir={"uml_in_arch.option_files": "options", "uml_in_arch.weight_files": "weights"},
    package_data={
        "uml_in_arch.option_files": ["*.yml"],
        "uml_in_arch.weight_files": ["*.yml", "*.pth"],
        "uml_in_arch.compare": ["template/*"],
    },
    install_requires=[
        "basicsr==1.4.2",
        "torch>=2.4",
        "torchvision",
        "numpy",
        "scipy",
        "scikit-image",
        "lmdb",
        "opencv-python>=4.13",  # the first that writes a colour profile into a PNG of 16 bits
        "pillow>=10.1",
        "pyyaml",
        "einops",
        "pydantic>=2",
        "tqdm",
    ],
    extras_require={
        "peers": ["spandrel", "spandrel_extra_arches", "timm"],
        "scores": ["pyiqa"],
        "test": ["pytest", "ruff", "h5py", "PyWavelets", "matplotlib"],  # matplotlib draws benchmarks.quality.latents
    },
)
