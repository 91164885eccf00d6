"""``faceshape serve``: the server with its options, on uvicorn; nothing heavy until it runs."""

import copy
import ipaddress
import os
import tempfile

import click

__all__ = ["serve"]

# Longer than SDKs keep idle connections: a server that closes first makes requests fail.
_KEEP_ALIVE_SECONDS = 75
# A worker that answers later is killed: uvicorn's 5 s kill healthy ones on a busy machine.
_HEALTH_CHECK_SECONDS = 60


def _parse_secrets(
    _context: click.Context, _option: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    secrets = {}
    for value in values:
        secret_id, colon, key = value.partition(":")
        if not (secret_id and colon and key):
            raise click.BadParameter("a secret is ID:KEY")  # without the value: it is a secret
        secrets[secret_id] = key
    return secrets


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
    callback=_parse_secrets,
    envvar="FACESHAPE_SECRETS",
    help="Accept requests signed with this key; may be given several times. Better set in the "
    "environment variable FACESHAPE_SECRETS, separated by spaces: others see command lines.",
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
    default=os.cpu_count() or 1,
    show_default="all cores",
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
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1), help="Processes.")
def serve(
    host: str,
    port: int,
    secrets: dict[str, str],
    accept_any_signature: bool,
    explorer: bool,
    insecure: bool,
    allow_urls: bool,
    allow_private_urls: bool,
    threads: int,
    queue: int,
    request_timeout: float,
    workers: int,
) -> None:
    """Answer AnalyzeFace over HTTP, for Tencent's SDKs."""
    if bool(secrets) == accept_any_signature:
        raise click.UsageError("give either --secret ID:KEY or --accept-any-signature")
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
        from faceshape.tencent.server import app
    except ImportError as error:
        raise click.ClickException(f"{error}; pip install 'faceshape[server]'") from error

    settings = app.ServerSettings(
        secrets=None if accept_any_signature else secrets,
        threads=threads,
        queue=queue,
        request_timeout=request_timeout,
        urls=FetchPolicy(allow_urls or allow_private_urls, allow_private_urls),
        explorer=explorer,
    )
    os.environ[app.SETTINGS_VARIABLE] = settings.to_json()
    log_config = copy.deepcopy(uvicorn.config.LOGGING_CONFIG)
    log_config["loggers"]["faceshape"] = {"handlers": ["default"], "level": "INFO"}
    with tempfile.TemporaryDirectory(prefix="faceshape-metrics-") as directory:
        if workers > 1:
            os.environ[app.MULTIPROCESS_VARIABLE] = directory
        uvicorn.run(
            "faceshape.tencent.server.app:app_from_environment",
            factory=True,
            host=host,
            port=port,
            workers=workers,
            http="faceshape.tencent.server.http_protocol:NoDelayProtocol",
            h11_max_incomplete_event_size=app.LARGEST_HEAD,
            ws="none",
            access_log=False,  # uvicorn's own would write queries, with pictures in them
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=int(request_timeout) + 1,
            timeout_worker_healthcheck=_HEALTH_CHECK_SECONDS,
            log_config=log_config,
        )
