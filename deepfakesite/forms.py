"""How every form of the site is drawn: label, hint, widget and errors of a field, from templates/forms/."""

from django.forms.renderers import TemplatesSetting


class FieldRenderer(TemplatesSetting):
    """Lets ``{{ form }}`` and ``{{ field.as_field_group }}`` use our own markup."""

    form_template_name = "forms/form.html"
    field_template_name = "forms/field.html"
