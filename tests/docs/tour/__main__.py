"""`python -m tests.docs.tour`: makes every error, writes `docs/errors.md`. Exit 1: one is amiss."""

import asyncio
import logging
import sys
import tempfile
from pathlib import Path

from tests.docs.tour.check import amiss
from tests.docs.tour.page import CASES, PAGE, errors_page
from tests.docs.tour.stage import play_all


async def main(only: str) -> int:
    """`only`: those whose command has this in it, printed and not written."""
    logging.disable(logging.CRITICAL)  # the errors are meant; the worker would log each of them
    cases = [case for case in CASES if only in case.command]
    with tempfile.TemporaryDirectory() as folder:
        told = await play_all(Path(folder), cases)
    wrong = [text for pair in zip(cases, told, strict=True) for text in amiss(*pair)]
    if only:
        print("\n\n".join(each.text for each in told))
    else:
        PAGE.write_text(errors_page(told), encoding="utf-8")
    print("\n".join([*wrong, f"{len(told)} errors made, {len(wrong)} complaints"]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main("".join(sys.argv[1:]))))
