"""The command line. `app.py` names the commands; each does its work in a module of its own."""
