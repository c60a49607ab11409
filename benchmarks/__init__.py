"""`make bench`: the time and history that a run costs, compared with plain asyncio.

Start reading at `__main__.py`, which lists the rows and runs them in turns. A row (`rows_*.py`)
takes samples on a stage and turns them into figures. `stage.py` starts the real components with a
scripted upstream; `jobs.py` has the teams and the same jobs in plain asyncio; `figures.py` is pure
arithmetic; `against.py` compares with an older revision; `peers/` with other engines.

Benchmarks may import any package of the project. Nothing imports them except their tests. Settings
or hooks that exist only to make a benchmark faster do not belong here.
"""
