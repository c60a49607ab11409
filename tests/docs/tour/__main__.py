"""`python -m tests.docs.tour`: provokes every error and writes `docs/errors.md`.

Exits with 1 if an error message fails its checks.
"""

import asyncio
import logging
import sys
import tempfile
from pathlib import Path

from tests.docs.tour.check import problems_of
from tests.docs.tour.page import CASES, PAGE, errors_page
from tests.docs.tour.stage import play_all


async def main(only: str) -> int:
    """`only`: cases whose command contains this; they are printed, and the page is not written."""
    logging.disable(logging.CRITICAL)  # the errors are intended; the worker would log each of them
    cases = [case for case in CASES if only in case.command]
    with tempfile.TemporaryDirectory() as folder:
        outputs = await play_all(Path(folder), cases)
    wrong = [text for pair in zip(cases, outputs, strict=True) for text in problems_of(*pair)]
    if only:
        print("\n\n".join(each.text for each in outputs))
    else:
        PAGE.write_text(errors_page(outputs), encoding="utf-8")
    print("\n".join([*wrong, f"{len(outputs)} errors provoked, {len(wrong)} problems"]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main("".join(sys.argv[1:]))))
