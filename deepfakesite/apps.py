"""The site's application, and the admin that stands behind the same log-in as everything else."""

from django.apps import AppConfig
from django.contrib.admin import (
    apps as admin_apps,
)  # its class itself would count as a second application of this module


class SiteConfig(AppConfig):
    name = "deepfakesite"
    default = True


class UnmaskAdminConfig(admin_apps.AdminConfig):
    default_site = "deepfakesite.admin_site.UnmaskAdminSite"
    default = False
