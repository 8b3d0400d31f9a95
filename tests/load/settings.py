"""The site's own settings, and one application more: the detector's stand-in."""

from deepfakesite.settings import *  # noqa: F403 -- everything but what stands below is the site's own
from deepfakesite.settings import INSTALLED_APPS as SITES_OWN

INSTALLED_APPS = [*SITES_OWN, "tests.load.stand_in.StandIn"]
