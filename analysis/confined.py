"""Limits this process's resources, then runs ``python -m detector`` in it: the child in which uploads are opened.

Its first argument is a JSON object: ``core_bytes``, ``address_bytes``, ``cpu_s``, ``file_bytes`` and ``open_files``;
the rest are the detector's. It needs only the standard library, so nothing that could be attacked is loaded before.
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
