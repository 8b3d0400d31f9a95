"""The web server's own messages as JSON: its main process never loads the site, which says how all other lines look."""

import logging
from typing import Any

from gunicorn.glogging import Logger

from deepfakesite.logs import JsonFormatter


class JsonLogger(Logger):  # type: ignore[misc]
    """gunicorn's logger, of which every line is an object. Given to it by ``--logger-class``."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(JsonFormatter())
        for name in ("gunicorn.access", "gunicorn.error"):
            logging.getLogger(name).propagate = False  # the site's own handler would say it again
