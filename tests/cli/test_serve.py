import json
import os
import signal
import sys

import pytest
from click.testing import CliRunner

from faceshape.cli.serve import serve

SECRET = "AKIDEXAMPLEFAKEFAKEFAKEFAKEFAKE00:FAKEsecretKEYforTESTSonly0000000"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "give either --secret ID:KEY or --accept-any-signature"),
        (["--secret", "a:b", "--accept-any-signature"], "either"),
        (["--accept-any-signature", "--host", "0.0.0.0"], "can be reached by others"),
        (["--accept-any-signature", "--host", "::"], "can be reached by others"),
        (["--accept-any-signature", "--host", "192.168.1.5"], "can be reached by others"),
        (["--accept-any-signature", "--host", "example.org"], "can be reached by others"),
        (["--secret", "a:b", "--explorer", "--host", "0.0.0.0"], "can be reached by others"),
        (["--secret", "onlyid"], "a secret is ID:KEY"),
        (["--secret", ":topsecret"], "a secret is ID:KEY"),
        (["--secret", "a:b", "--token", "topsecret"], "a token is ID:TOKEN"),
        (["--secret", "a:b", "--threads", "0"], "threads"),
        (["--secret", "a:b", "--port", "65536"], "port"),
    ],
)
def test_what_is_refused(arguments, words, monkeypatch):
    monkeypatch.setattr("uvicorn.run", lambda *_, **__: pytest.fail("it serves"))
    monkeypatch.delenv("FACESHAPE_SECRETS", raising=False)
    result = CliRunner().invoke(serve, arguments)
    assert result.exit_code == 2
    assert words in result.output
    assert "topsecret" not in result.output


def test_tokens_of_temporary_keys(monkeypatch):
    monkeypatch.setattr("uvicorn.run", lambda *_, **__: None)
    monkeypatch.setenv("FACESHAPE_SERVER_SETTINGS", "")  # is put back afterwards
    monkeypatch.setenv("FACESHAPE_TOKENS", "a:t c:d:e")
    result = CliRunner().invoke(serve, ["--secret", "a:b"])
    assert result.exit_code == 0, result.output
    settings = json.loads(os.environ["FACESHAPE_SERVER_SETTINGS"])
    assert settings["tokens"] == {"a": "t", "c": "d:e"}


@pytest.mark.parametrize(
    ("arguments", "secrets", "host"),
    [
        (["--accept-any-signature"], "null", "127.0.0.1"),
        (["--accept-any-signature", "--host", "::1"], "null", "::1"),
        (["--accept-any-signature", "--host", "localhost"], "null", "localhost"),
        (["--accept-any-signature", "--host", "0.0.0.0", "--insecure"], "null", "0.0.0.0"),
        (["--host", "0.0.0.0", "--secret", "a:b:c"], '{"a": "b:c"}', "0.0.0.0"),
    ],
)
def test_what_is_served(arguments, secrets, host, monkeypatch):
    served = {}
    monkeypatch.setattr("uvicorn.run", lambda app, **options: served.update(options, app=app))
    monkeypatch.delenv("FACESHAPE_SECRETS", raising=False)
    monkeypatch.setenv("FACESHAPE_SERVER_SETTINGS", "")  # is put back afterwards
    result = CliRunner().invoke(serve, arguments)
    assert result.exit_code == 0, result.output
    assert served["host"] == host
    assert served["access_log"] is False
    assert f'"secrets": {secrets}' in os.environ["FACESHAPE_SERVER_SETTINGS"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a:b\n", {"a": "b"}),
        (b"\xef\xbb\xbf# two\r\n\r\n a:b:c \r\nd:e", {"a": "b:c", "d": "e"}),
        (b"", "holds no secret"),
        (b"# a:b\n", "holds no secret"),
        (b"a:b\ntopsecret\n", "line 2: a secret is ID:KEY"),
        (b"a:\n", "line 1: a secret is ID:KEY"),
        (b"a:topsecret\xff\n", "cannot be read"),
        (None, "cannot be read"),
    ],
)
def test_a_file_of_secrets(content, expected, tmp_path, monkeypatch):
    served = {}
    monkeypatch.setattr("uvicorn.run", lambda app, **options: served.update(options, app=app))
    monkeypatch.setenv("FACESHAPE_SERVER_SETTINGS", "")
    monkeypatch.delenv("FACESHAPE_SECRETS", raising=False)
    path = tmp_path / "secrets"
    if content is not None:
        path.write_bytes(content)
    result = CliRunner().invoke(serve, ["--secrets-file", str(path)])
    assert "topsecret" not in result.output
    if isinstance(expected, str):
        assert result.exit_code == 2
        assert expected in result.output
    else:
        assert result.exit_code == 0, result.output
        assert json.loads(os.environ["FACESHAPE_SERVER_SETTINGS"])["secrets"] == expected


@pytest.mark.parametrize(
    ("arguments", "any_host", "believed"),
    [
        ([], False, None),
        (["--host", "0.0.0.0"], True, None),
        (["--forwarded-allow-ips", "10.0.0.0/8"], False, "10.0.0.0/8"),
    ],
)
def test_who_is_believed(arguments, any_host, believed, monkeypatch):
    served = {}
    monkeypatch.setattr("uvicorn.run", lambda app, **options: served.update(options, app=app))
    monkeypatch.setenv("FACESHAPE_SERVER_SETTINGS", "")
    result = CliRunner().invoke(serve, ["--secret", "a:b", *arguments])
    assert result.exit_code == 0, result.output
    assert json.loads(os.environ["FACESHAPE_SERVER_SETTINGS"])["any_host"] is any_host
    assert served["proxy_headers"] is (believed is not None)
    assert served["forwarded_allow_ips"] == believed


@pytest.fixture(autouse=True)
def kept_signals():
    """The command takes SIGTERM for itself."""
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


@pytest.mark.parametrize(
    ("arguments", "explorer"),
    [
        (["--secret", "a:b"], "false"),
        (["--secret", "a:b", "--explorer"], "true"),
        (["--accept-any-signature", "--explorer", "--host", "::1"], "true"),
        (["--secret", "a:b", "--explorer", "--host", "0.0.0.0", "--insecure"], "true"),
    ],
)
def test_the_explorer_is_asked_for(arguments, explorer, monkeypatch):
    monkeypatch.setattr("uvicorn.run", lambda *_, **__: None)
    monkeypatch.delenv("FACESHAPE_SECRETS", raising=False)
    monkeypatch.setenv("FACESHAPE_SERVER_SETTINGS", "")
    result = CliRunner().invoke(serve, arguments)
    assert result.exit_code == 0, result.output
    assert f'"explorer": {explorer}' in os.environ["FACESHAPE_SERVER_SETTINGS"]


def test_without_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    result = CliRunner().invoke(serve, ["--accept-any-signature"])
    assert result.exit_code == 1
    assert "pip install 'faceshape[server]'" in result.output
