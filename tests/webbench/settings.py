"""The site's own settings, with the static files of this measurement in its own folder."""

from deepfakesite.settings import *  # noqa: F403 -- everything but what stands below is the site's own
from deepfakesite.settings import DATA_DIR

STATIC_ROOT = DATA_DIR / "static"
