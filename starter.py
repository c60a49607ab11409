"""The command line: `.venv/bin/python starter.py --help`. It parses, calls the client, prints."""

from cli.app import main

if __name__ == "__main__":
    main()
