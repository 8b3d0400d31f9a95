"""Two machines that share PostgreSQL, a queue behind TLS and password, and an S3-compatible storage; nothing else.

One site for all of it, since its start is what takes long. ``make machines`` runs this folder alone.
"""

import http.client
import json
import re
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from tests.faults.faults import Fault
from tests.faults.person import another
from tests.faults.rig import wait_for
from tests.faults.rounds import assert_every_promise_is_kept
from tests.machines.faults import FAULTS
from tests.machines.rig import Machines, running_machines
from tests.machines.servers import ENCODED
from tests.running import ROOT, environment, free_port, manage


@pytest.fixture(scope="module")
def rig() -> Iterator[Machines]:
    with running_machines() as machines:
        yield machines


def fetch(
    rig: Machines, path: str, method: str = "GET", body: str = "", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """What the person is answered at an address of the site's own."""
    address = urllib.parse.urlsplit(rig.site.url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=60)
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in rig.person.cookies)
    connection.request(method, path, body, {"Cookie": cookies, **{k.replace("_", "-"): v for k, v in headers.items()}})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders()), content


def dashed(pk: str) -> str:
    return f"{pk[:8]}-{pk[8:12]}-{pk[12:16]}-{pk[16:20]}-{pk[20:]}"


def finished(rig: Machines, pk: str) -> None:
    wait_for(lambda: rig.row(pk)["state"] == "done", "the result")


def test_from_the_upload_to_the_deletion(rig: Machines) -> None:
    content = another(rig.clip, 300_000)
    pk = rig.person.upload(content).pk
    finished(rig, pk)
    here = f"/analyses/{dashed(pk)}/"

    status, _headers, page = fetch(rig, here)
    assert status == 200
    pictures = sorted(set(re.findall(rb'src="(/analyses/[^"]+)"', page)))
    assert pictures
    for picture in pictures:
        assert fetch(rig, picture.decode())[0] in {200, 304}, picture

    status, headers, whole = fetch(rig, f"{here}video")
    assert (status, whole) == (200, content)
    assert headers["Cache-Control"] == "private, max-age=300"
    for asked, first, last in (("bytes=0-0", 0, 0), ("bytes=1000-300000", 1000, 300_000), ("bytes=-5", -5, None)):
        status, headers, part = fetch(rig, f"{here}video", Range=asked)
        assert status == 206
        assert part == (content[first:] if last is None else content[first : last + 1]), asked
    assert fetch(rig, f"{here}video", Range=f"bytes={len(content)}-")[0] == 416
    assert rig.site.get(f"{here}video")[0] == 404  # to a stranger

    objects = rig.shared.bucket.objects()
    assert any(pk in name.replace("-", "") for name in objects)
    assert {rig.shared.bucket.status_without_key(name) for name in objects} == {403}
    assert not list((rig.folder / "media").rglob("*.jpg"))
    assert not (rig.work_folder / "media").exists()

    token = rig.person.cookie("csrftoken")
    status, headers, _body = fetch(
        rig, f"{here}delete/", "POST", f"csrfmiddlewaretoken={token}", Content_Type="application/x-www-form-urlencoded"
    )
    assert status == 302, (status, headers)
    rig.person.acknowledged.discard(pk)
    assert not [name for name in rig.shared.bucket.objects() if name in objects]


def test_pages_say_so_when_the_storage_is_out_of_reach(rig: Machines) -> None:
    pk = rig.upload()
    finished(rig, pk)
    rig.shared.bucket.relay.cut()
    try:
        status, _headers, body = fetch(rig, f"/analyses/{dashed(pk)}/video")
        page, _headers, _body = fetch(rig, f"/analyses/{dashed(pk)}/")
    finally:
        rig.shared.bucket.relay.mend()

    assert status == 503
    assert b"The storage does not answer" in body
    assert page == 200


DOCTOR = """
import django
django.setup()
from deepfakesite import examination
for question in (examination.database, examination.queue, examination.machines, examination.media):
    found = question()
    print("ok" if found.well else "problem", found.subject, found.sentence)
"""


def examined(folder: Path, **variables: str) -> str:
    """What the doctor says of what the machines share; its other questions are each machine's own and take long."""
    done = subprocess.run(
        [sys.executable, "-c", DOCTOR],
        env=environment(folder, DJANGO_SETTINGS_MODULE="deepfakesite.settings", **variables),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


def test_the_doctor_is_content_on_either_machine(rig: Machines) -> None:
    for folder in (rig.folder, rig.work_folder):
        assert examined(folder, **rig.shared.variables()).splitlines() == [
            "ok database postgresql answers and has every migration.",
            "ok queue The queue's server answers.",
            "ok machines Database, queue, storage and secret key can be shared with other machines.",
            "ok media Files can be written, read and deleted.",
        ]


def test_the_doctor_says_which_settings_are_wrong(rig: Machines) -> None:
    variables = rig.shared.variables()
    thieves = {
        name: value.replace(ENCODED, "of-thieves").replace("for-tests", "of-thieves")
        for name, value in variables.items()
    }
    elsewhere = {
        "REDIS_URL": variables["REDIS_URL"].partition("?")[0],  # the system knows nothing of our own authority
        "STORAGE_URL": re.sub(r":\d+/", f":{free_port()}/", variables["STORAGE_URL"]),  # where nobody listens
    }

    said = examined(rig.work_folder, **variables | thieves)

    assert "problem database It does not answer or is empty. Check DATABASE_URL" in said
    assert "problem queue The queue's server does not answer (" in said
    assert "problem media The storage refused doctor/probe.txt" in said
    assert "Check STORAGE_URL: address, key, secret, bucket" in said
    assert "thieves" not in said
    strange = {"STORAGE_URL": re.sub(r"&ca=[^&]+", "", variables["STORAGE_URL"])}
    said = examined(rig.work_folder, **variables | strange)
    assert "problem media The storage did not answer for doctor/probe.txt" in said
    assert "SSL validation failed" in said
    said = examined(rig.work_folder, **variables | elsewhere)
    assert "problem queue The queue's server does not answer (" in said
    assert "certificate verify failed" in said
    assert "problem media The storage did not answer for doctor/probe.txt" in said


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_every_promise_is_kept(rig: Machines, fault: Fault) -> None:
    assert_every_promise_is_kept(rig, fault)


def test_quotas_hold_when_uploads_race(rig: Machines) -> None:
    """Twelve uploads at one moment, in two processes, for four places: the database lets one in at a time."""
    with psycopg.connect(rig.shared.database.dsn(), autocommit=True) as connection:
        connection.execute("UPDATE accounts_user SET max_queued = 4")
    rig.hold("reading")  # not sooner: whoever claims an analysis holds the person's row
    try:
        with ThreadPoolExecutor(12) as people:
            answers = list(people.map(lambda _number: rig.person.upload(another(rig.clip)), range(12)))
    finally:
        rig.let_go()
        with psycopg.connect(rig.shared.database.dsn(), autocommit=True) as connection:
            connection.execute("UPDATE accounts_user SET max_queued = 20")
    assert sum(bool(answer.pk) for answer in answers) == 4, [answer.status for answer in answers]
    rig.struck()
    assert rig.come_to_rest(60)[1] == []


RACE = """
import json, sys, time
from concurrent.futures import ThreadPoolExecutor
import django
django.setup()
from django.db import connection
from analysis import lifecycle
from analysis.models import Analysis

def all_claimed():
    try:
        return list(iter(lambda: getattr(lifecycle.claim_next("racer"), "pk", None), None))
    finally:
        connection.close()

def ended(pk):
    return lifecycle.fail(pk, 1, "internal")

Analysis.objects.count()
print("ready", flush=True)
sys.stdin.readline()
with ThreadPoolExecutor(4) as workers:
    claimed = [pk for found in workers.map(lambda _number: all_claimed(), range(4)) for pk in found]
print(json.dumps(sorted(map(str, claimed))), flush=True)
sys.stdin.readline()
print(json.dumps([pk for pk in sorted(map(str, Analysis.objects.values_list("pk", flat=True))) if ended(pk)]))
"""
LINE = """
import django
django.setup()
from tests.analysis.builders import make_analysis, make_user
for _person in range(3):
    owner = make_user(max_running=7)
    for _number in range(7):
        print(make_analysis(owner=owner).pk)
"""


def test_of_workers_on_many_machines_one_alone_claims_and_ends_an_attempt(rig: Machines, tmp_path: Path) -> None:
    """Four processes of four threads each, in a database of their own; PostgreSQL alone decides between them."""
    variables = {"DATABASE_URL": rig.shared.database.make("raced"), "DJANGO_SETTINGS_MODULE": "deepfakesite.settings"}
    assert manage(tmp_path, "migrate", **variables).returncode == 0
    told = environment(tmp_path, **variables)
    made = subprocess.run([sys.executable, "-c", LINE], env=told, cwd=ROOT, check=True, capture_output=True, text=True)
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACE], env=told, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _number in range(4)
    ]
    try:
        assert {_said(racer) for racer in racers} == {"ready"}
        claimed = _raced(racers)
        ended = _raced(racers)
    finally:
        for racer in racers:
            racer.communicate()

    assert sorted(pk for of_one in claimed for pk in of_one) == sorted(made.stdout.split())
    assert sorted(pk for of_one in ended for pk in of_one) == sorted(made.stdout.split())
    assert sum(map(bool, claimed)) > 1, claimed  # it was a race


def _raced(racers: "list[subprocess.Popen[str]]") -> list[list[str]]:
    """Let all of them go at one moment; what each of them won."""
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("\n")
        racer.stdin.flush()
    return [json.loads(_said(racer)) for racer in racers]


def _said(racer: "subprocess.Popen[str]") -> str:
    assert racer.stdout is not None
    return racer.stdout.readline().strip()


def test_a_backup_goes_into_an_empty_database_and_bucket(rig: Machines, tmp_path: Path) -> None:
    kept = rig.shared.bucket.objects()
    assert kept
    backup = tmp_path / "backup"
    made = manage(rig.folder, "backup", str(backup), **rig.shared.variables())
    assert made.returncode == 0, made.stderr
    elsewhere = rig.shared.variables() | {
        "DATABASE_URL": rig.shared.database.make("restored"),
        "STORAGE_URL": rig.shared.bucket.url("restored"),
    }

    restored = manage(tmp_path / "new", "restore", str(backup), **elsewhere)

    assert restored.returncode == 0, restored.stderr
    assert rig.shared.bucket.objects("restored") == kept
    counts = []
    for name in ("unmask", "restored"):
        with psycopg.connect(rig.shared.database.dsn(name)) as connection:
            counts.append(connection.execute("SELECT count(*), sum(attempt) FROM analysis_analysis").fetchone())
    assert counts[0] == counts[1]

    again = manage(tmp_path / "new", "restore", str(backup), **elsewhere)
    assert again.returncode == 1
    assert "holds objects already" in again.stderr or "is not empty" in again.stderr
    assert "Traceback" not in again.stderr
