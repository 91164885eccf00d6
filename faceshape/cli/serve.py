"""``faceshape serve``: the server with its options, on uvicorn; nothing heavy until it runs."""

import contextlib
import copy
import ipaddress
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from faceshape.processors import usable_processors

__all__ = ["serve"]

# Longer than SDKs keep idle connections: a server that closes first makes requests fail.
_KEEP_ALIVE_SECONDS = 75
# What one turn of the event loop may accept; each needs a file descriptor at once.
_BACKLOG = 256
# Seconds for what is under way when the server is told to end, if a request may take longer.
_LONGEST_END = 30
_LOG_FORMAT, _LOG_TIME = "%(asctime)s %(levelprefix)s %(message)s", "%Y-%m-%dT%H:%M:%S%z"
# A worker that answers later is killed: uvicorn's 5 s kill healthy ones on a busy machine.
_HEALTH_CHECK_SECONDS = 20


def _parse_pairs(
    _context: click.Context, option: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    name = f"a {option.opts[0].lstrip('-')} is {option.metavar}"
    return dict(_parse_pair(value, name) for value in values)


def _parse_pair(text: str, words: str) -> tuple[str, str]:
    secret_id, colon, secret = text.partition(":")
    if not (secret_id and colon and secret):
        raise click.BadParameter(words)  # without the text: it is a secret
    return secret_id, secret


def _read_secrets(
    _context: click.Context, _option: click.Parameter, path: Path | None
) -> dict[str, str]:
    """Read lines of ID:KEY; empty ones, and what begins with #, say nothing."""
    if path is None:
        return {}
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"{path} cannot be read: {type(error).__name__}") from error
    secrets = dict(
        _parse_pair(line.strip(), f"{path}, line {number}: a secret is ID:KEY")
        for number, line in enumerate(lines, 1)
        if line.strip() and not line.lstrip().startswith("#")
    )
    if not secrets:
        raise click.BadParameter(f"{path} holds no secret")
    return secrets


def _log_config() -> dict[str, Any]:
    """Return uvicorn's configuration of logging with the time in each line."""
    import uvicorn

    config: dict[str, Any] = copy.deepcopy(uvicorn.config.LOGGING_CONFIG)
    config["formatters"]["default"].update(fmt=_LOG_FORMAT, datefmt=_LOG_TIME)
    config["loggers"]["faceshape"] = {"handlers": ["default"], "level": "INFO", "propagate": False}
    config["root"] = {"handlers": ["default"], "level": "WARNING"}
    return config


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", default=8360, show_default=True, type=click.IntRange(0, 65535))
@click.option(
    "--secret",
    "secrets",
    multiple=True,
    metavar="ID:KEY",
    callback=_parse_pairs,
    envvar="FACESHAPE_SECRETS",
    help="Accept requests signed with this key; may be given several times. Better set in the "
    "environment variable FACESHAPE_SECRETS, separated by spaces: others see command lines.",
)
@click.option(
    "--secrets-file",
    "secrets_of_file",
    type=click.Path(path_type=Path),
    callback=_read_secrets,
    envvar="FACESHAPE_SECRETS_FILE",
    help="A file with more of them: one ID:KEY in a line.",
)
@click.option(
    "--token",
    "tokens",
    multiple=True,
    metavar="ID:TOKEN",
    callback=_parse_pairs,
    envvar="FACESHAPE_TOKENS",
    help="Requests of this SecretId must carry this token (X-TC-Token), as those of temporary keys "
    "do. Better set in the environment variable FACESHAPE_TOKENS.",
)
@click.option("--accept-any-signature", is_flag=True, help="Check no signature.")
@click.option(
    "--explorer", is_flag=True, help="Serve the API Explorer, a page for browsers, at /explorer/."
)
@click.option(
    "--insecure",
    is_flag=True,
    help="Accept any signature, or serve the Explorer, on an address that others can reach.",
)
@click.option("--allow-urls", is_flag=True, help="Download pictures given as Url.")
@click.option("--allow-private-urls", is_flag=True, help="Also from addresses that are not public.")
@click.option(
    "--threads",
    default=usable_processors,
    show_default="as many as processors that may be used",
    type=click.IntRange(1),
    help="Pictures analysed at the same time, in each worker.",
)
@click.option(
    "--queue",
    default=64,
    show_default=True,
    type=click.IntRange(0),
    help="Requests that may wait beside those; more are answered RequestLimitExceeded.",
)
@click.option(
    "--request-timeout",
    default=10.0,
    show_default=True,
    type=click.FloatRange(0.1, 600),
    help="Seconds until FailedOperation.RequestTimeout is answered.",
)
@click.option(
    "--max-connections",
    default=16_384,
    show_default=True,
    type=click.IntRange(1),
    help="Connections at the same time, in each worker; the one that idles longest makes room for "
    "one more. What the limit on open files allows may be fewer.",
)
@click.option(
    "--forwarded-allow-ips",
    metavar="IPS",
    help="Believe what these proxies say of the client's address, for the log: addresses and "
    "networks, separated by commas, or *. Without it none is believed.",
)
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1), help="Processes.")
def serve(
    host: str,
    port: int,
    secrets: dict[str, str],
    secrets_of_file: dict[str, str],
    tokens: dict[str, str],
    accept_any_signature: bool,
    explorer: bool,
    insecure: bool,
    allow_urls: bool,
    allow_private_urls: bool,
    threads: int,
    queue: int,
    request_timeout: float,
    max_connections: int,
    forwarded_allow_ips: str | None,
    workers: int,
) -> None:
    """Answer AnalyzeFace and DetectFace over HTTP, for Tencent's SDKs."""
    secrets = {**secrets_of_file, **secrets}
    if bool(secrets) == accept_any_signature:
        raise click.UsageError(
            "give either --secret ID:KEY or --accept-any-signature; secrets may be in a file, too"
        )
    if accept_any_signature and not insecure and not _is_loopback(host):
        raise click.UsageError(
            f"{host} can be reached by others: give --secret instead of --accept-any-signature, "
            "or --insecure if everybody may use the server"
        )
    if explorer and not insecure and not _is_loopback(host):
        raise click.UsageError(
            f"{host} can be reached by others: --explorer is for loopback addresses, or --insecure "
            "if everybody may see the page and keys may be typed in without encryption"
        )
    try:
        import uvicorn

        from faceshape.tencent.fetch import FetchPolicy
        from faceshape.tencent.server import app, pool, processes
    except ImportError as error:
        raise click.ClickException(f"{error}; pip install 'faceshape[server]'") from error

    settings = app.ServerSettings(
        secrets=None if accept_any_signature else secrets,
        tokens=tokens,
        threads=threads,
        queue=queue,
        request_timeout=request_timeout,
        connections=max_connections,
        any_host=not _is_loopback(host),
        urls=FetchPolicy(allow_urls or allow_private_urls, allow_private_urls),
        explorer=explorer,
    )
    os.environ[app.SETTINGS_VARIABLE] = settings.to_json()
    processes.raise_descriptor_limit()
    processes.end_on_sigterm()
    try:
        with _metrics_directory(app.MULTIPROCESS_VARIABLE, workers):
            uvicorn.run(
                "faceshape.tencent.server.app:app_from_environment",
                factory=True,
                host=host,
                port=port,
                workers=workers,
                backlog=_BACKLOG,
                http="faceshape.tencent.server.http_protocol:GuardedProtocol",
                ws="none",
                access_log=False,  # uvicorn's own would write queries, with pictures in them
                server_header=False,
                proxy_headers=forwarded_allow_ips is not None,
                forwarded_allow_ips=forwarded_allow_ips,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=min(int(request_timeout) + 1, _LONGEST_END),
                timeout_worker_healthcheck=_HEALTH_CHECK_SECONDS,
                log_config=_log_config(),
            )
    finally:
        if pool.threads_at_work():
            # Python would wait for them, and what is past its deadline may take minutes.
            logging.shutdown()
            sys.stdout.flush()
            os._exit(0)


@contextlib.contextmanager
def _metrics_directory(variable: str, workers: int) -> Iterator[None]:
    """Name a directory in which several workers share their numbers."""
    if workers == 1:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="faceshape-metrics-") as directory:
        os.environ[variable] = directory
        yield
