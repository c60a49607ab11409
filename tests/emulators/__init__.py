"""Emulators of model providers: strict about what each refuses, written from its documentation.

One HTTP application serves all of them, each under its own path, so that one gateway calls them
side by side. `rules.py` has the rules as data, with their sources; `server.py` enforces them and
answers.
"""
