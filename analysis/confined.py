"""Runs ``python -m detector`` with this process's resources limited first: the child in which strangers' files are opened.

``python -m analysis.confined '{"address_bytes": ..., "cpu_s": ..., "file_bytes": ..., "open_files": ...}' probe VIDEO --json``.
It takes the limits before it imports anything that could be attacked. Needs only the standard library; see inspection.py.
"""

import json
import resource
import runpy
import sys


def main() -> None:
    limits = json.loads(sys.argv[1])
    for kind, name in (
        (resource.RLIMIT_CORE, "core_bytes"),
        (resource.RLIMIT_AS, "address_bytes"),
        (resource.RLIMIT_CPU, "cpu_s"),
        (resource.RLIMIT_FSIZE, "file_bytes"),
        (resource.RLIMIT_NOFILE, "open_files"),
    ):
        value = limits.get(name, 0)
        hard = resource.getrlimit(kind)[1]
        allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (allowed, allowed))
    sys.argv[:] = ["detector", *sys.argv[2:]]
    runpy.run_module("detector", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
