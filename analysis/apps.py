"""The Django app that holds what people asked to have examined."""

from django.apps import AppConfig
from django.db.backends.signals import connection_created
from django.utils.translation import gettext_lazy as _


class AnalysisConfig(AppConfig):
    name = "analysis"
    verbose_name = _("Analyses")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from analysis import name_search  # noqa: PLC0415 -- its models are there only now

        connection_created.connect(name_search.lend_case_folding)
