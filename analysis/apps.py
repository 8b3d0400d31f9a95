"""The Django app that holds what people asked to have examined."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AnalysisConfig(AppConfig):
    name = "analysis"
    verbose_name = _("Analyses")
    default_auto_field = "django.db.models.BigAutoField"
