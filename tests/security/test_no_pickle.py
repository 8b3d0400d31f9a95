"""Nothing that serves opens a pickle or runs what it reads: no source of ours, nor queue, cache or sessions."""

import ast
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as site
from django.contrib.sessions.serializers import JSONSerializer as SessionSerializer
from django.test import Client
from django.urls import reverse
from django.utils.module_loading import import_string
from rq.serializers import JSONSerializer as QueueSerializer

from analysis import tasks
from tests.analysis.builders import PASSWORD, make_analysis, make_user

ROOT = Path(site.BASE_DIR)
SERVING = [
    *sorted(ROOT.glob("*.py")),
    *(
        path
        for name in ("accounts", "analysis", "audit", "deepfakesite", "detector")
        for path in sorted((ROOT / name).rglob("*.py"))
    ),
]
OPENS_ANYTHING = {
    "pickle",
    "cPickle",
    "_pickle",
    "marshal",
    "shelve",
    "dill",
    "cloudpickle",
    "joblib",
    "yaml",
    "jsonpickle",
}
RUNS_ANYTHING = {"eval", "exec", "compile", "__import__"}


def complaints(source: str) -> list[str]:
    """Imports and calls by which data could become code."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.partition(".")[0] in OPENS_ANYTHING]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in OPENS_ANYTHING:
            found.append(str(node.module))
        elif isinstance(node, ast.Call):
            found += _of_call(node)
    return found


def _of_call(node: ast.Call) -> list[str]:
    given = {word.arg: word.value for word in node.keywords}
    if isinstance(node.func, ast.Name) and node.func.id in RUNS_ANYTHING:
        return [node.func.id]
    if not isinstance(node.func, ast.Attribute) or not isinstance(node.func.value, ast.Name):
        return []
    owner, name = node.func.value.id, node.func.attr
    if (owner, name) == ("torch", "load") and not _is(given.get("weights_only"), True):
        return ["torch.load without weights_only=True"]
    if owner in {"np", "numpy"} and name == "load" and not _is(given.get("allow_pickle", ast.Constant(False)), False):
        return ["numpy.load with allow_pickle"]
    if owner == "subprocess" and _is(given.get("shell"), True):
        return ["subprocess with a shell"]
    return [f"{owner}.{name}"] if (owner, name) in {("os", "system"), ("os", "popen")} else []


def _is(node: ast.expr | None, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


@pytest.mark.parametrize("path", SERVING, ids=lambda path: str(path.relative_to(ROOT)))
def test_our_sources_open_and_run_nothing(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    if path.is_relative_to(ROOT / "detector" / "training"):  # names the error of a file that torch refuses to open
        source = source.replace("pickle.UnpicklingError", "ValueError").replace("import pickle\n", "")
        assert not re.search(r"\bpickle\.[a-zA-Z_]", source)
    assert complaints(source) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "eval('1')",
        "torch.load(path)",
        "torch.load(p, weights_only=False)",
        "np.load(p, allow_pickle=True)",
        "subprocess.run('ls', shell=True)",
        "os.system('ls')",
    ],
)
def test_the_search_finds_what_it_is_for(source: str) -> None:
    assert len(complaints(source)) == 1


def test_what_is_configured_stores_json(tmp_path: Path) -> None:
    """As another process reads the settings; the tests' own cache lives in memory."""
    script = "from deepfakesite import settings as s; print(s.CACHES['default']['BACKEND'])"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "deepfakesite.json_cache.JSONDatabaseCache"
    assert all(import_string(queue["SERIALIZER"]) is QueueSerializer for queue in site.RQ_QUEUES.values())
    assert import_string(site.SESSION_SERIALIZER) is SessionSerializer


@pytest.mark.django_db
def test_a_log_in_a_page_and_a_job_open_no_pickle(client: Client, queue: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.core.management import call_command
    from django.test import override_settings
    from rq import SimpleWorker

    def opened(*_args: Any, **_more: Any) -> None:
        raise AssertionError("A pickle was opened or written.")

    for name in ("load", "loads", "dump", "dumps", "Unpickler", "Pickler"):
        monkeypatch.setattr(pickle, name, opened)
    person = make_user()
    cache = {"default": {"BACKEND": "deepfakesite.json_cache.JSONDatabaseCache", "LOCATION": "cache_entries"}}
    with override_settings(CACHES=cache):
        call_command("createcachetable", verbosity=0)
        client.post(reverse("account_login"), {"login": person.email, "password": "wrong"})
        client.post(reverse("account_login"), {"login": person.email, "password": PASSWORD})
        page = client.get(reverse("analysis:list"))
    assert tasks.enqueue(make_analysis())
    worker = SimpleWorker([queue], connection=queue.connection, serializer=QueueSerializer)
    worker.log_job_description = False

    assert page.status_code == 200
    assert worker.work(burst=True, logging_level="ERROR")


def test_no_model_that_is_shipped_is_anything_but_safetensors() -> None:
    """That a checksum is verified before weights are read is held by tests/detector/test_release.py."""
    files = [path for path in (ROOT / "detector" / "models").rglob("*") if path.is_file()]

    assert {path.suffix for path in files} <= {".safetensors", ".toml", ".json", ".md", ""}
