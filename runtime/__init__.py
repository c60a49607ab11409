"""What touches the machine: settings, team files, the Temporal connection, the local stack."""
