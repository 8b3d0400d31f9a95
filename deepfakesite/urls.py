"""Every address of the site, by application."""

from django.contrib import admin
from django.urls import include, path

from accounts.views import AddressesView, SessionsView, end_session
from deepfakesite import health, metrics, profile, views

urlpatterns = [
    path("", views.home, name="home"),
    path("about/", views.about, name="about"),
    path("healthz", health.healthz, name="healthz"),
    path("metrics", metrics.metrics, name="metrics"),
    path("favicon.ico", views.favicon, name="favicon"),
    path("accounts/profile/", profile.profile, name="profile"),
    path("accounts/profile/delete/", profile.delete_account, name="delete_account"),
    path("accounts/email/", AddressesView.as_view(), name="account_email"),  # these two in the place of allauth's own
    path("accounts/sessions/", SessionsView.as_view(), name="usersessions_list"),
    path("accounts/sessions/<int:pk>/end/", end_session, name="end_session"),
    path("accounts/", include("allauth.urls")),
    path("admin/django-rq/", include("django_rq.urls")),
    path("admin/", admin.site.urls),
    path("", include("analysis.urls")),  # /analyses/… and /staff/
]

handler400 = "deepfakesite.views.bad_request"
handler403 = "deepfakesite.views.permission_denied"
handler404 = "deepfakesite.views.page_not_found"
handler500 = "deepfakesite.views.server_error"
handler429 = "deepfakesite.views.too_many_requests"  # called by allauth when a rate limit is reached
