"""Agents of other frameworks: `make frameworks` runs the teams of `teams/frameworks/`, and kills
each agent once in the middle.

`python -m tests.frameworks` is that command. The tests here run in the suite: two of the frameworks
under a real gateway, and what holds for the files of all of them.
"""
