"""A person's own page, under /accounts/profile/."""

from django.urls import path

from accounts import views

urlpatterns = [
    path("", views.profile, name="profile"),
    path("delete/", views.delete_account, name="delete_account"),
]
