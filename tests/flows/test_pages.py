"""The folder of runs over HTTP: what is in it is shown, nothing else, to this machine only."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from auto_interventions.errors import Interrupted
from auto_interventions.flows.pages import Pages


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Pages]:
    runs = tmp_path / "runs"
    (runs / "stories").mkdir(parents=True)
    (runs / "stories" / "report.html").write_text("<h1>found</h1>")
    (runs / ".hidden").mkdir()
    (runs / ".hidden" / "key").write_text("secret")
    (tmp_path / "outside.txt").write_text("secret")
    (runs / "leads-out").symlink_to(tmp_path / "outside.txt")
    served = Pages(runs)
    yield served
    served.stop()


def test_a_report_is_served(pages: Pages) -> None:
    answer = httpx.get(f"{pages.url}/stories/report.html")
    assert (answer.status_code, answer.text) == (200, "<h1>found</h1>")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert pages.url.startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    "path",
    [
        "/../outside.txt",
        "/%2e%2e/outside.txt",
        "/stories/../../outside.txt",
        "//etc/passwd",
        "/leads-out",
        "/.hidden/key",
        "/..%2foutside.txt",
    ],
)
def test_nothing_else_is(pages: Pages, path: str) -> None:
    host, port = pages.url.removeprefix("http://").split(":")
    asked = http.client.HTTPConnection(host, int(port))  # httpx would tidy the path up
    asked.request("GET", path)
    answer = asked.getresponse()
    assert answer.status == 404
    assert b"secret" not in answer.read()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_can_be_written(pages: Pages, method: str) -> None:
    assert httpx.request(method, f"{pages.url}/stories/report.html", content=b"x").status_code == 501


def test_another_site_cannot_read_through_a_name_of_its_own(pages: Pages) -> None:
    assert httpx.get(f"{pages.url}/stories/report.html", headers={"Host": "evil.example:80"}).status_code == 421


def test_a_taken_port_is_one_sentence(pages: Pages, tmp_path: Path) -> None:
    with pytest.raises(Interrupted, match="cannot be served on"):
        Pages(tmp_path / "runs", port=int(pages.url.rpartition(":")[2]))
