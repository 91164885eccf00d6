"""The README's tables of actions and SDKs say what is so."""

import re
from pathlib import Path

import pytest
from tencentcloud.iai.v20200303 import iai_client

from faceshape.tencent import AsyncFallbackIaiClient, FallbackIaiClient, IaiClient
from faceshape.tencent.api import respond

README = Path(__file__).parents[2] / "faceshape" / "tencent" / "README.md"


def rows_after(heading):
    """The cells of the first table of a section."""
    section = README.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2]
    [table, *_] = re.findall(r"(?:^\|.*\|\n)+", section, re.MULTILINE)
    _, _, *rows = table.splitlines()
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


COVERAGE = {action: cells for action, *cells in rows_after("Coverage")}


def test_the_table_has_all_actions_of_the_sdk():
    sdk = {name for name in vars(iai_client.IaiClient) if name[0].isupper()}
    assert set(COVERAGE) == sdk
    assert len(rows_after("Coverage")) == len(sdk)
    assert all(len(cells) == 4 and cells[3] for cells in COVERAGE.values())


@pytest.mark.parametrize("action", COVERAGE)
def test_the_table_says_what_is_so(action):
    in_process, fallback, server, _ = COVERAGE[action]
    assert (in_process == "yes") is hasattr(IaiClient, action)
    for client in (FallbackIaiClient, AsyncFallbackIaiClient):
        assert fallback == ("yes" if action in vars(client) else "cloud")
    error = respond({"Action": action, "Version": "2020-03-03"})["Response"]["Error"]["Code"]
    expected = "MissingParameter.ErrorParameterEmpty" if server == "yes" else "InvalidAction"
    assert error == expected


def test_the_sdks_are_those_that_are_tried():
    from tests.tencent.server.test_sdk_matrix import NODE_SDK, PYTHON_SDKS, TCCLI
    from tests.tencent.server.test_sdk_requests import ENTRIES

    table = {sdk: (versions, how) for sdk, versions, how in rows_after("Every official SDK")}
    recorded = {entry["sdk"].partition(",")[0] for entry in ENTRIES}
    replayed = {
        f"{sdk} {version}" for sdk, (version, how) in table.items() if "requests" in how
    } | {"Node.js 4.1.313"}
    assert recorded == replayed
    assert all(version in table["Python"][0] for version in PYTHON_SDKS)
    assert f"tccli=={table['tccli'][0]}" in TCCLI
    assert NODE_SDK.endswith("@" + table["Node.js"][0])
    for sdk, (_, how) in table.items():
        formed = {e["how"] for e in ENTRIES if re.match(rf"{re.escape(sdk)} \d", e["sdk"])}
        assert ("formed" in how) is (formed == {"formed"})
