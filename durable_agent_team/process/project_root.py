"""Where a process finds its `.env`, its `.data` and the worker's script.

In a checkout that is the checkout. An installed package has none: then it is the working directory.
"""

from pathlib import Path
from typing import Final

_ABOVE_PACKAGE: Final = Path(__file__).resolve().parents[2]
IS_CHECKOUT: Final = (_ABOVE_PACKAGE / "pyproject.toml").is_file()
PROJECT_ROOT: Final = _ABOVE_PACKAGE if IS_CHECKOUT else Path.cwd()
