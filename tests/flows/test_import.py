"""The invertible maths stands on its own."""

from __future__ import annotations

import subprocess
import sys


def test_flows_do_not_import_basicsr():
    code = "import sys, uml_in_arch.flows; sys.exit('basicsr' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_package_alone_imports_neither_torch_nor_basicsr():
    code = "import sys, uml_in_arch; sys.exit(any(name in sys.modules for name in ('torch', 'basicsr')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
