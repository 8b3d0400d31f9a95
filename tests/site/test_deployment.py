"""The examples in deploy/: that they can be read, and that what they name is there. No container is started."""

import re
import shlex
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands
from django.http.request import validate_host

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
OF_THE_EXAMPLE_ALONE = {"POSTGRES_PASSWORD", "VALKEY_PASSWORD"}
NOT_THE_SITES = {"PYTHONUNBUFFERED"}
# Of these a container has its own, whatever .env says for the machine.
FIXED_IN_CONTAINERS = {"DATA_DIR": "/var/lib/unmask"}
FIXED_WHERE_IT_SERVES = FIXED_IN_CONTAINERS | {"BIND": "0.0.0.0", "PORT": "8000"}  # noqa: S104 -- compared, not bound
OF_THE_EXAMPLES_SERVERS = {"DATABASE_URL", "REDIS_URL"}


def documented() -> set[str]:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    return set(re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE))


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    return found


def filled_in(text: str, values: dict[str, str]) -> str:
    """What Compose makes of ``${NAME}``, ``${NAME:-default}`` and ``${NAME:?what to do}``."""

    def value(found: re.Match[str]) -> str:
        given = values.get(found["name"], "")
        assert given or found["kind"] != "?", found["rest"]
        return given or (found["rest"] if found["kind"] == "-" else "")

    return re.sub(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<rest>[^}]*))?\}", value, text)


def environment_in(service: str, dotenv: dict[str, str]) -> dict[str, str]:
    """What a container finds: ``env_file`` first, and ``environment`` over it."""
    described = compose()["services"][service]
    assert (DEPLOY / described["env_file"]).resolve() == ROOT / ".env"
    given = {name: filled_in(value, dotenv) for name, value in described["environment"].items()}
    return dotenv | given


def is_command_of_ours(words: list[str]) -> bool:
    """``…/.venv/bin/python manage.py COMMAND …`` with options that the command takes."""
    assert words[0].endswith(".venv/bin/python")
    assert words[1] == "manage.py"
    assert words[2] in get_commands()
    done = subprocess.run(
        [sys.executable, "manage.py", *words[2:], "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.returncode == 0


def test_every_variable_of_the_containers_is_explained() -> None:
    services = compose()["services"]
    ours = {name for service in ("web", "worker") for name in services[service]["environment"]}
    asked = set(re.findall(r"\$\{([A-Z_]+)", (DEPLOY / "compose.yaml").read_text(encoding="utf-8")))

    assert ours - documented() == set()
    assert asked - documented() - OF_THE_EXAMPLE_ALONE == set()
    assert {"DATABASE_URL", "REDIS_URL", "STORAGE_URL", "SECRET_KEY"} <= ours


@pytest.mark.parametrize(
    ("service", "fixed"), [("web", FIXED_WHERE_IT_SERVES), ("worker", FIXED_IN_CONTAINERS)], ids=["web", "worker"]
)
def test_every_setting_reaches_the_containers(service: str, fixed: dict[str, str]) -> None:
    dotenv = {name: f"set-{name.lower()}" for name in documented() | OF_THE_EXAMPLE_ALONE}

    found = environment_in(service, dotenv)

    assert {name: found[name] for name in fixed} == fixed
    reached = {name for name in documented() if found.get(name) == dotenv[name]}
    assert documented() - reached == set(fixed) | OF_THE_EXAMPLES_SERVERS
    assert found["DATABASE_URL"] == "postgres://unmask:set-postgres_password@postgres:5432/unmask"
    assert found["REDIS_URL"] == "redis://:set-valkey_password@valkey:6379/0"


def test_the_port_is_the_machines_own_unless_it_is_told() -> None:
    (port,) = compose()["services"]["web"]["ports"]

    assert filled_in(port, {}) == "127.0.0.1:8000:8000"
    assert filled_in(port, {"BIND": "192.0.2.7", "PORT": "8123"}) == "192.0.2.7:8123:8000"


def test_the_containers_run_commands_that_exist_and_may_do_little() -> None:
    services = compose()["services"]

    for name, only in (("web", "web"), ("worker", "worker")):
        service = services[name]
        assert service["command"][-2:] == ["--only", only]
        assert is_command_of_ours(service["command"])
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
    assert services["web"]["healthcheck"]["test"][1] == ".venv/bin/python"
    volumes = [volume for service in services.values() for volume in service.get("volumes", [])]
    named = {volume.split(":")[0] for volume in volumes if ":" in volume}
    assert named == set(compose()["volumes"])


def test_the_image_is_made_of_what_is_there() -> None:
    lines = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    steps = [line.split(None, 1) for line in lines if line and not line.startswith("#")]
    by_kind: dict[str, list[str]] = {}
    for kind, words in steps:
        by_kind.setdefault(kind, []).append(words)

    copied = [word for words in by_kind["COPY"] if not words.startswith("--from") for word in words.split()[:-1]]
    assert [name for name in copied if not (ROOT / name).exists()] == []
    installs = [line for line in by_kind["RUN"] if "pip install" in line]
    assert all(line.count("--only-binary=:all:") == line.count("pip install") for line in installs)
    assert installs
    assert by_kind["USER"] == ["unmask"]
    variables = set(re.findall(r"([A-Z_]+)=", by_kind["ENV"][0]))
    assert variables - documented() - NOT_THE_SITES == set()
    assert is_command_of_ours(yaml.safe_load(by_kind["CMD"][0]))


def test_the_image_holds_no_secret_and_no_data() -> None:
    left_out = set((ROOT / ".dockerignore").read_text(encoding="utf-8").split())

    assert {".git", ".env", "var", "media/*", ".venv"} <= left_out


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_the_units_start_what_exists(unit: Path) -> None:
    text = unit.read_text(encoding="utf-8")
    values = dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))

    assert is_command_of_ours(shlex.split(values["ExecStart"]))
    assert values["User"] == "unmask"
    assert set(re.findall(r"([A-Z_]+)=", values["Environment"])) - documented() - NOT_THE_SITES == set()
    assert "\nMemoryDenyWriteExecute=" not in text  # the network's runtime makes machine code
    assert {"seccomp", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"} <= set(
        values["SystemCallFilter"].split()
    )


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_understands_every_line(unit: Path, tmp_path: Path) -> None:
    copy = tmp_path / unit.name.replace("@", "@1")
    copy.write_text(unit.read_text(encoding="utf-8"), encoding="utf-8")

    done = subprocess.run(["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, check=False)

    said = [
        line for line in done.stderr.splitlines() if unit.stem.rstrip("@") in line and "is not executable" not in line
    ]
    assert said == []


@pytest.mark.parametrize(
    ("allowed", "host"),
    [
        ("localhost", "localhost"),
        ("unmask.example.org,localhost", "unmask.example.org"),
        (".example.org", "example.org"),
        ("*", "localhost"),
    ],
)
def test_the_health_check_asks_for_a_host_that_is_allowed(
    allowed: str, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[urllib.request.Request] = []
    monkeypatch.setenv("ALLOWED_HOSTS", allowed)
    monkeypatch.setattr(urllib.request, "urlopen", lambda request, timeout: asked.append(request))

    exec(compose()["services"]["web"]["healthcheck"]["test"][3], {})  # noqa: S102 -- our own

    (request,) = asked
    assert request.full_url == "http://localhost:8000/healthz"
    assert request.get_header("Host") == host
    assert validate_host(host, allowed.split(","))
