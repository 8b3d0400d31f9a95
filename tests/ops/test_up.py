"""The supervisor, really started: becomes healthy, mends itself, and ends without leaving anything behind."""

import http.client
import json
import os
import re
import signal
import tempfile
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.running import Site, manage, processes_of, running_site, wait_until_gone


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: a unix socket must fit into it."""
    with tempfile.TemporaryDirectory(prefix="unmask-up-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with (
        tempfile.TemporaryDirectory(prefix="unmask-up-", ignore_cleanup_errors=True) as name,
        running_site(Path(name)) as running,
    ):
        yield running


def test_everything_answers(site: Site) -> None:
    assert site.health() == (200, {"status": "ok", "database": True, "queue": True, "worker": True})


def test_the_front_page_and_its_hashed_style_sheet_are_served(site: Site) -> None:
    status, page = site.get("/")
    style_sheet = re.search(r'href="(/static/css/site\.[0-9a-f]{12}\.css)"', page.decode())

    assert status == 200
    assert style_sheet is not None
    assert site.get(style_sheet.group(1))[0] == 200


@pytest.mark.parametrize("address", ["/", "/accounts/login/"])
def test_static_files_are_hashed_compressed_and_kept_for_good(site: Site, address: str) -> None:
    names = set(re.findall(r'(?:href|src)="(/static/[^"]+)"', site.get(address)[1].decode()))

    assert {Path(name).suffix for name in names} == {".css", ".js", ".svg"}
    for name in names:
        assert re.search(r"\.[0-9a-f]{12}\.\w+$", name), name
        plain, packed = (headed(site, name, encoding) for encoding in ("identity", "gzip"))
        assert (plain["status"], packed["status"]) == ("200", "200")
        assert packed["Cache-Control"] == "max-age=315360000, public, immutable"
        if packed.get("Content-Encoding") is None:  # too little to be worth it
            assert int(plain["Content-Length"]) < 1000, name
            continue
        assert packed["Content-Encoding"] == "gzip", name
        assert packed["Vary"] == "Accept-Encoding"
        assert int(packed["Content-Length"]) < 0.6 * int(plain["Content-Length"]), name
        assert headed(site, name, "gzip", packed["Last-Modified"])["status"] == "304"


def headed(site: Site, path: str, encoding: str, since: str = "") -> dict[str, str]:
    """The head of the answer to a browser that takes this encoding, with its status; ``since`` is what it has."""
    headers = {"Accept-Encoding": encoding} | ({"If-Modified-Since": since} if since else {})
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(site.url).netloc, timeout=10)
    try:
        connection.request("HEAD", path, headers=headers)
        answer = connection.getresponse()
        return {"status": str(answer.status), **dict(answer.getheaders())}
    finally:
        connection.close()


def test_the_address_and_the_way_to_an_administrator_are_printed(site: Site) -> None:
    assert f"Unmask is at {site.url}/ (data in {site.folder}; Ctrl-C stops it)." in site.output()
    assert "There is no administrator yet." in site.output()
    assert f"DATA_DIR={site.folder} " in site.output()
    assert "manage.py createsuperuser" in site.output()


def test_the_doctor_finds_nothing_wrong(site: Site) -> None:
    examined = manage(site.folder, "doctor")

    assert examined.stdout.splitlines()[-1] == "All is well.", examined.stdout
    assert examined.returncode == 0


def test_a_killed_worker_is_started_again(site: Site) -> None:
    before = processes_of(site.folder, "manage.py worker")
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    end = time.monotonic() + 30
    while time.monotonic() < end and not processes_of(site.folder, "manage.py worker") - before:
        time.sleep(0.2)

    assert processes_of(site.folder, "manage.py worker") - before
    assert "The worker 1 ended (signal 9); it is started again in 0.5 s." in site.output()
    site.wait_until_healthy()


def test_a_second_one_in_the_same_folder_is_refused(site: Site) -> None:
    second = manage(site.folder, "up", "--port", "1")

    assert second.returncode == 1
    assert f"This installation runs already: another process holds {site.folder}." in second.stderr
    assert site.health()[0] == 200


def test_a_port_in_use_is_refused(site: Site, folder: Path) -> None:
    port = site.url.rpartition(":")[2]

    second = manage(folder, "up", "--port", port)

    assert second.returncode == 1
    assert f"Port {port} on 127.0.0.1 is in use or not allowed; choose another" in second.stderr
    assert wait_until_gone(folder, 1.0) == set()


def test_a_folder_whose_path_is_too_long_for_a_socket_is_refused(folder: Path) -> None:
    long = folder / ("x" * 120)

    outcome = manage(long, "up", "--port", "8000")

    assert outcome.returncode == 1
    assert "choose a shorter DATA_DIR, or set REDIS_URL." in outcome.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--port", "70000"], "'70000' is not a port; give a number from 1 to 65535."),
        (["--workers", "none"], "'none' is not a number of workers; give one from 1 to 64."),
    ],
)
def test_a_wrong_number_is_refused(folder: Path, arguments: list[str], sentence: str) -> None:
    outcome = manage(folder, "up", *arguments)

    assert outcome.returncode != 0
    assert sentence in outcome.stderr


def test_the_end_takes_everything_along(folder: Path) -> None:
    with running_site(folder) as site:
        with redis.Redis(unix_socket_path=str(folder / "valkey.sock")) as client:
            client.set("a job", "which the database knows of too")
        started = time.monotonic()

        assert site.stop(signal.SIGTERM) == 0
        assert time.monotonic() - started < 12
        assert wait_until_gone(folder, 1.0) == set()
        assert site.output().endswith("Stopped.\n")

    assert [path.name for path in (folder / "queue").iterdir() if path.name != "valkey.log"] == []


def test_a_killed_supervisor_leaves_nothing_behind(folder: Path) -> None:
    with running_site(folder) as site:
        assert len(processes_of(folder)) >= 4  # supervisor, queue, worker, web server

        site.process.kill()
        site.process.wait()

        assert wait_until_gone(folder, 15.0) == set()


def test_the_health_check_names_what_fails(folder: Path) -> None:
    with running_site(folder) as site:
        for pid in processes_of(folder, "up --port"):
            os.kill(pid, signal.SIGSTOP)  # so that nothing is restarted
        try:
            for pid in processes_of(folder, "valkey-server"):
                os.kill(pid, signal.SIGKILL)
            status, body = site.get("/healthz")
        finally:
            for pid in processes_of(folder, "up --port"):
                os.kill(pid, signal.SIGCONT)

        assert status == 503
        assert json.loads(body) == {"status": "failing", "database": True, "queue": False, "worker": False}
