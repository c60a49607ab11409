"""The command line: `.venv/bin/python starter.py --help`. Installed, it is `durable-agent-team`."""

try:
    from durable_agent_team.cli.app import main
except KeyboardInterrupt:  # Ctrl-C while it loads
    raise SystemExit(130) from None

if __name__ == "__main__":
    main()
