"""What ``up`` does before anything is started: the lock, the port, the static files, the queue server's command."""

import os
import socket
import subprocess
from pathlib import Path

import pytest
from pytest_django import Settings

from deepfakesite import instance, static_files, valkey


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


def test_the_queue_server_keeps_its_data_and_listens_on_no_port(tmp_path: Path) -> None:
    command = valkey.command(Path("/tmp/valkey.sock"), tmp_path)  # noqa: S108 -- never made

    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert options["--appendonly"] == "yes"
    assert options["--dir"] == str(tmp_path)
    assert options["--port"] == "0"


def test_a_socket_path_that_is_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(valkey.ValkeyMissing, match="choose a shorter DATA_DIR"):
        valkey.command(tmp_path / ("x" * 110), tmp_path)


def test_a_server_that_ends_is_not_waited_for() -> None:
    with subprocess.Popen(["false"]) as process:
        assert valkey.wait_until_answers("unix:///nowhere/valkey.sock", process, timeout_s=30.0) is False
