"""The Explorer's files as the server hands them out; test_explorer_page has a browser."""

import contextlib
import re
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

import faceshape.tencent.server.explorer as explorer
from faceshape.core.contract import GROUPS
from faceshape.draw import GROUP_COLOURS
from faceshape.tencent.server.app import ServerSettings

PAGE = Path(explorer.__file__).parent / "page"
FILES = sorted(path.relative_to(PAGE).as_posix() for path in PAGE.rglob("*.*"))


@pytest.fixture(scope="module")
def open_explorer(serving, shared_stub):
    """Return a client of a server with the Explorer."""

    @contextlib.contextmanager
    def connect(secrets, explorer=True):
        settings = ServerSettings(secrets=secrets, threads=1, explorer=explorer)
        with serving(settings, shared_stub) as port:
            address = f"http://127.0.0.1:{port}"
            with httpx.Client(base_url=address, trust_env=False, timeout=60) as client:
                yield client

    return connect


@pytest.fixture(scope="module")
def client(open_explorer):
    with open_explorer({"id": "key"}) as client:
        yield client


def test_nothing_is_served_without_the_option(open_explorer):
    with open_explorer({"id": "key"}, explorer=False) as client:
        for path in ("/", "/explorer", "/explorer/", "/explorer/page.js", "/explorer/server.json"):
            response = client.get(path, headers={"Accept": "text/html"})
            assert response.status_code == 200
            assert response.json()["Response"]["Error"]["Code"].startswith("AuthFailure")


@pytest.mark.parametrize("name", ["", *FILES, "server.json", "nothing.js"])
def test_the_headers_keep_the_page_to_itself(name, client):
    response = client.get(f"/explorer/{name}")
    policy = response.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'self';")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize("name", FILES)
def test_every_file_is_served_as_what_it_is(name, client):
    response = client.get(f"/explorer/{name}")
    assert response.status_code == 200
    assert response.content == (PAGE / name).read_bytes()
    kinds = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
    media_type = response.headers["Content-Type"].partition(";")[0]
    assert media_type == kinds.get(Path(name).suffix, "image/svg+xml")


def test_what_is_no_file_of_the_page(client):
    for name in ("nothing.js", "..%2f__init__.py", "%2e%2e/__init__.py", "/etc/passwd", "code/"):
        assert client.get(f"/explorer/{name}").status_code == 404, name


@pytest.mark.parametrize("path", ["/", "/explorer"])
def test_a_browser_finds_the_page(path, client):
    response = client.get(path, headers={"Accept": "text/html,*/*;q=0.8"})
    assert response.status_code == 307
    assert response.headers["Location"] == "/explorer/"


def test_calls_of_the_api_are_none_of_its_concern(client):
    html = {"Accept": "text/html"}
    for response in (
        client.get("/"),
        client.get("/?Action=AnalyzeFace", headers=html),
        client.post("/", json={}, headers=html),
    ):
        assert response.status_code == 200
        assert "Error" in response.json()["Response"]


@pytest.mark.parametrize("secrets", [None, {"id": "key"}])
def test_what_the_page_is_told(secrets, open_explorer):
    with open_explorer(secrets) as client:
        facts = client.get("/explorer/server.json").json()
    assert facts["anySignature"] is (secrets is None)
    assert facts["urls"] is False
    assert [group["name"] for group in facts["groups"]] == list(GROUPS)
    for group in facts["groups"]:
        assert tuple(bytes.fromhex(group["colour"][1:])) == GROUP_COLOURS[group["name"]]
        assert {i for curve in group["curves"] for i in curve} <= set(range(group["count"]))
    assert "key" not in str(facts)


def test_settings_survive_the_way_to_a_worker(settings):
    settings = replace(settings, explorer=True)
    assert ServerSettings.from_json(settings.to_json()) == settings


def test_nothing_comes_from_another_host_or_stands_inline():
    html = (PAGE / "index.html").read_text("utf-8")
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)|javascript:", html)
    for name in FILES:
        text = (PAGE / name).read_text("utf-8")
        addresses = set(re.findall(r"https?://[\w.]+", text))
        assert addresses <= {"http://www.w3.org"}, name  # the name of SVG


def test_every_module_that_is_imported_is_there():
    for name in FILES:
        text = (PAGE / name).read_text("utf-8")
        for module in re.findall(r'^import .* from "(.+)";$|src="(.+\.js)"', text, re.MULTILINE):
            assert ((PAGE / name).parent / "".join(module)).exists(), (name, module)
