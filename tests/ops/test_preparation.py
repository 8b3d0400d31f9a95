"""What ``up`` does before anything is started: the lock, the port, the static files, the queue server's command."""

import os
import socket
import subprocess
from pathlib import Path

import pytest
from pytest_django import Settings

from deepfakesite import instance, static_files, valkey


@pytest.mark.parametrize(("given", "passed_on"), [([], ""), (["PORT=8123", "DATA_DIR=/srv/x"], "8123 /srv/x")])
def test_make_passes_on_the_settings_that_are_given_and_no_empty_ones(
    given: list[str], passed_on: str, tmp_path: Path, settings: Settings
) -> None:
    probe = tmp_path / "probe.mk"
    probe.write_text("probe:\n\t@echo $${PORT-unset} $${DATA_DIR-unset}\n")
    environment = {name: value for name, value in os.environ.items() if name not in {"PORT", "DATA_DIR"}}

    shown = subprocess.run(
        ["make", "--no-print-directory", "-f", "Makefile", "-f", str(probe), "probe", *given],
        cwd=settings.BASE_DIR,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert shown.strip() == (passed_on or "unset unset")


def test_a_folder_is_held_by_one_process_at_a_time(tmp_path: Path) -> None:
    with instance.lock(tmp_path):
        assert (tmp_path / "up.lock").read_text() == f"{os.getpid()}\n"
        with pytest.raises(instance.AlreadyRunning):
            instance.lock(tmp_path)

    instance.lock(tmp_path).close()


def test_a_port_that_someone_listens_on_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert instance.port_is_free("127.0.0.1", port) is False
    assert instance.port_is_free("127.0.0.1", port) is True


def test_static_files_are_collected_once_and_again_when_one_changes(settings: Settings, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.css").write_text("a {}")
    settings.STATICFILES_DIRS = [source]
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    settings.STATIC_ROOT = tmp_path / "collected"

    assert static_files.collect_if_changed() is True
    assert static_files.collect_if_changed() is False
    (source / "a.css").write_text("a { color: red }")
    assert static_files.collect_if_changed() is True
    assert (tmp_path / "collected" / "a.css").read_text() == "a { color: red }"


def test_the_queue_server_keeps_nothing_on_the_disk_and_listens_on_no_port(tmp_path: Path) -> None:
    command = valkey.command(Path("/tmp/valkey.sock"), tmp_path)  # noqa: S108 -- never made

    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert (options["--appendonly"], options["--save"]) == ("no", "")
    assert options["--dir"] == str(tmp_path)
    assert options["--port"] == "0"


def test_a_socket_path_that_is_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(valkey.ValkeyMissing, match="choose a shorter DATA_DIR"):
        valkey.command(tmp_path / ("x" * 110), tmp_path)


def test_a_server_that_ends_is_not_waited_for() -> None:
    with subprocess.Popen(["false"]) as process:
        assert valkey.wait_until_answers("unix:///nowhere/valkey.sock", process, timeout_s=30.0) is False
