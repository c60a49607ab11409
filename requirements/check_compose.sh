#!/usr/bin/env bash
# Lets docker's own client check docker-compose.yml, where it is installed.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! docker compose version >/dev/null 2>&1; then
  echo "docker-compose.yml not checked: no docker compose here"
  exit 0
fi
# Secrets have no defaults, by intent: any value will do to check the file.
export POSTGRES_PASSWORD=x UPSTREAM_URL=http://x/v1 GATEWAY_PARENT_KEY=x GATEWAY_SECRET=x SEALING_KEY=x
export OTEL_EXPORTER_OTLP_ENDPOINT=http://x:4318
told="$(docker compose config)"
# To the worker and to the gateway. tests/process/test_delivery.py looks at every other setting.
if [ "$(grep -c "OTEL_EXPORTER_OTLP_ENDPOINT: $OTEL_EXPORTER_OTLP_ENDPOINT" <<<"$told")" != 2 ]; then
  echo "docker-compose.yml does not hand OTEL_EXPORTER_OTLP_ENDPOINT on to both"
  exit 1
fi
echo "docker-compose.yml is valid"
