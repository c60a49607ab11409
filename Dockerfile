# One image for the gateway and the worker: the same locked packages, another command.
FROM python:3.11.13-slim-bookworm

ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app

COPY requirements/service.lock requirements/service.lock
RUN pip install --require-hashes --only-binary :all: -r requirements/service.lock

COPY durable_agent_team durable_agent_team
COPY workflows workflows
COPY activities activities
COPY worker.py starter.py ./

# Only the gateway's database and the environments of programs are ever written.
RUN useradd --system --uid 10001 --home-dir /app app && install -d -o app -g app /data
USER app
VOLUME /data

CMD ["python", "worker.py"]
