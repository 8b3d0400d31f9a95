"""``python -m tests.webbench``: what pages cost with very many analyses, and what a large upload costs.

Nothing here is judged by time; what must not grow (queries, memory) is held by tests.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "performance-web.md"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.webbench", description="What the site's pages cost.")
    parser.add_argument("--analyses", type=int, default=10_000, help="of one person (default: 10000)")
    parser.add_argument("--frames", type=int, default=60, help="in each (default: 60)")
    parser.add_argument("--upload-mib", type=int, default=2040, help="size of the upload; 0: none (default: 2040)")
    parser.add_argument("--write", type=Path, default=None, metavar="PAGE", help=f"put the tables there: {PAGE.name}")
    options = parser.parse_args()
    begun = time.monotonic()

    def say(sentence: str) -> None:
        print(f"{time.monotonic() - begun:4.0f} s  {sentence}", flush=True)

    with tempfile.TemporaryDirectory(prefix="unmask-webbench-") as name:
        os.environ.update(
            DATA_DIR=name,
            DATABASE_URL="",
            REDIS_URL="",
            SECRET_KEY="",
            DJANGO_SETTINGS_MODULE="tests.webbench.settings",
        )
        import django

        django.setup()
        from tests.webbench import run, table

        costs = run.pages(options.analyses, options.frames, say)
        uploads = run.uploads(Path(name) / "upload", options.upload_mib, say) if options.upload_mib else []
        text = table.markdown(costs, uploads, options.analyses, options.frames)
    print(text)
    if options.write is not None:
        table.write(options.write, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
