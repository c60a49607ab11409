"""Connects to Temporal: data converter, compression, TLS, telemetry, search attributes."""

import asyncio
import re
from datetime import timedelta
from typing import Final

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListSearchAttributesRequest,
)
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import GrpcCompression, RetryConfig, RPCError, RPCStatusCode, TLSConfig

from durable_agent_team.blobs.open_blobs import open_blobs
from durable_agent_team.blobs.store import BlobStore
from durable_agent_team.contracts import names
from durable_agent_team.payloads.converter import data_converter
from durable_agent_team.process import telemetry
from durable_agent_team.process.called_program import temporal_program
from durable_agent_team.process.interpreter_exit import settle_at_exit
from durable_agent_team.process.project_root import START_STACK
from durable_agent_team.process.settings import ClientSettings, StackNotUp, client_settings
from durable_agent_team.rules.safe_text import shell_word

CONNECT_SECONDS: Final = 10.0
"""A server on a busy machine needs more than five; where none listens, it is known at once."""
ATTRIBUTES: Final = {
    names.ATTRIBUTE_TEAM: ("Keyword", IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD),
    names.ATTRIBUTE_STATUS: ("Keyword", IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD),
    names.ATTRIBUTE_SPENT: ("Double", IndexedValueType.INDEXED_VALUE_TYPE_DOUBLE),
}
RETRIES: Final = RetryConfig(
    max_interval_millis=2_000, max_elapsed_time_millis=60_000, max_retries=60
)
"""Each call has a timeout of its own, mostly shorter; a start can wait for a busy server."""
_LOCAL_HOSTS = ("127.0.0.1", "localhost", "[::1]")
_NOT_ALLOWED = (
    RPCStatusCode.PERMISSION_DENIED,
    RPCStatusCode.UNIMPLEMENTED,
    RPCStatusCode.UNAUTHENTICATED,
)


class ServiceUnavailable(Exception):
    """Temporal does not answer, or refuses this client. The text says which address and what to do.

    `final`: trying again cannot help (a wrong key, a missing namespace).
    """

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


async def connect(settings: ClientSettings | None = None, blobs: BlobStore | None = None) -> Client:
    """Connects to Temporal and returns a client that the server has answered.

    Without `settings` they are read from `.env` and the environment; without `blobs`,
    EXTERNAL_STORAGE names the store of large texts. Raises `SettingsError`, and within ten seconds
    `ServiceUnavailable`.

    >>> client = await connect()
    >>> client.namespace
    'default'
    """
    settings = settings or _settings()
    if "settle_at_exit" in settings.sdk_patches:
        settle_at_exit()
    local = settings.temporal_address.rpartition(":")[0] in _LOCAL_HOSTS
    key = settings.temporal_api_key
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            client = await Client.connect(
                settings.temporal_address,
                namespace=settings.temporal_namespace,
                api_key=key.get_secret_value() if key else None,
                tls=_tls(settings),
                data_converter=data_converter(
                    blobs or blobs_of(settings), settings.external_storage_threshold_bytes
                ),
                plugins=telemetry.plugins(),
                connect_timeout=timedelta(seconds=CONNECT_SECONDS - 1),
                retry_config=RETRIES,
                grpc_compression=GrpcCompression.NONE if local else GrpcCompression.GZIP,
            )
            await client.workflow_service.describe_namespace(
                DescribeNamespaceRequest(namespace=settings.temporal_namespace)
            )
            return client
    except RPCError as error:
        raise _refused(settings, error) from error
    except (RuntimeError, TimeoutError, OSError, ValueError) as error:
        raise _absent(settings, error) from error


def _settings() -> ClientSettings:
    try:
        return client_settings()
    except StackNotUp as error:
        raise ServiceUnavailable(str(error)) from error


def blobs_of(settings: ClientSettings) -> BlobStore:
    """The store of large texts that the settings name. Nothing is sent yet."""
    return open_blobs(settings.external_storage, settings.atxp_api_url, settings.atxp_api_key)


def _tls(settings: ClientSettings) -> bool | TLSConfig | None:
    if settings.temporal_tls is False:
        return False
    files = (
        settings.temporal_tls_ca_file,
        settings.temporal_tls_cert_file,
        settings.temporal_tls_key_file,
    )
    if not any(files):
        return settings.temporal_tls
    ca, cert, private = (path.read_bytes() if path else None for path in files)
    return TLSConfig(server_root_ca_cert=ca, client_cert=cert, client_private_key=private)


def _absent(settings: ClientSettings, error: BaseException) -> ServiceUnavailable:
    return ServiceUnavailable(
        f"Temporal does not answer at {settings.temporal_address} ({_reason(error)}): start it with"
        f" `{START_STACK}`, or set TEMPORAL_ADDRESS (TEMPORAL_TLS, TEMPORAL_API_KEY) to where it is"
    )


def _reason(error: BaseException) -> str:
    """The operating system's or server's message, without the SDK's structures around it."""
    text = str(error)
    for inner in (r'message: "([^"]+)"', r'error: "([^"]+)"', r"error: InvalidMessage\((\w+)"):
        if found := re.search(inner, text):
            said = found.group(1)
            return "it does not speak TLS" if said == "InvalidContentType" else said
    in_time = f"no answer within {CONNECT_SECONDS:g} s; one that is busy answers later: try again"
    return text[:200] or (in_time if isinstance(error, TimeoutError) else repr(error))


def _refused(settings: ClientSettings, error: RPCError) -> ServiceUnavailable:
    where = settings.temporal_address
    if error.status is RPCStatusCode.NOT_FOUND:
        name = settings.temporal_namespace
        return ServiceUnavailable(
            f"Temporal at {where} has no namespace {name!r}: set TEMPORAL_NAMESPACE, or create"
            f" it: {temporal_program()} operator namespace create --namespace {shell_word(name)}"
            f" --address {shell_word(where)}",
            final=True,
        )
    if error.status in (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED):
        return ServiceUnavailable(
            f"Temporal at {where} refuses this client ({error.message[:200]}):"
            " check TEMPORAL_API_KEY and TEMPORAL_NAMESPACE",
            final=True,
        )
    return _absent(settings, error)


async def ensure_search_attributes(client: Client) -> list[str]:
    """Registers those of Team, RunStatus and SpentUsd that are missing; returns their names.

    Checks nothing where the server does not allow it (Temporal Cloud allows it only to its own
    CLI). Raises `ServiceUnavailable` with the command to run if they cannot be added.
    """
    try:
        known = await _attributes(client)
    except RPCError as error:
        if error.status in _NOT_ALLOWED:
            return []
        raise
    missing = {name: kind for name, kind in ATTRIBUTES.items() if name not in known}
    wrong = [n for n, (_, kind) in ATTRIBUTES.items() if n in known and known[n] != kind]
    if wrong:
        raise ServiceUnavailable(
            f"search attributes of another type in namespace {client.namespace!r}:"
            f" {', '.join(wrong)}; needed: {_wanted()}",
            final=True,
        )
    if missing:
        await _add(client, missing)
    return sorted(missing)


async def _attributes(client: Client) -> dict[str, "IndexedValueType.ValueType"]:
    request = ListSearchAttributesRequest(namespace=client.namespace)
    answer = await client.operator_service.list_search_attributes(request)
    return dict(answer.custom_attributes)


async def _add(
    client: Client, missing: dict[str, tuple[str, "IndexedValueType.ValueType"]]
) -> None:
    request = AddSearchAttributesRequest(
        namespace=client.namespace,
        search_attributes={name: kind for name, (_, kind) in missing.items()},
    )
    try:
        await client.operator_service.add_search_attributes(request)
        for _ in range(100):  # the server caches the list for a moment
            if set(missing) <= set(await _attributes(client)):
                return
            await asyncio.sleep(0.1)
    except RPCError as error:
        if error.status is RPCStatusCode.ALREADY_EXISTS:
            return
        reason = error.message[:200]
    else:
        reason = "they did not appear within 10 s"
    flags = " ".join(f"--name {name} --type {kind}" for name, (kind, _) in missing.items())
    raise ServiceUnavailable(
        f"search attributes {', '.join(missing)} are missing and could not be added ({reason}):"
        f" {temporal_program()} operator search-attribute create"
        f" --namespace {shell_word(client.namespace)} {flags}",
        final=True,
    )


def _wanted() -> str:
    return ", ".join(f"{name} {kind}" for name, (kind, _) in ATTRIBUTES.items())
