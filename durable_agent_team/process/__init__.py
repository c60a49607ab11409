"""What every process of the service sets up: settings, logs, telemetry."""
