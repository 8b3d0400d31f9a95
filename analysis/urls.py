"""The addresses of analyses, of their files and of the staff's numbers."""

from django.urls import path

from analysis.views import actions, compare, detail, files, history, staff, upload

app_name = "analysis"

urlpatterns = [
    path("analyses/", history.listing, name="list"),
    path("analyses/new/", upload.new, name="new"),
    path("analyses/delete/", history.delete_many, name="delete_many"),
    path("analyses/<uuid:pk>/", detail.detail, name="detail"),
    path("analyses/<uuid:pk>/progress/", detail.progress, name="progress"),
    path("analyses/<uuid:pk>/status.json", detail.status, name="status"),
    path("analyses/<uuid:pk>/report.json", detail.report, name="report"),
    path("analyses/<uuid:pk>/cancel/", actions.cancel, name="cancel"),
    path("analyses/<uuid:pk>/retry/", actions.retry, name="retry"),
    path("analyses/<uuid:pk>/again/", actions.again, name="again"),
    path("analyses/<uuid:pk>/compare/", compare.newest, name="compare"),
    path("analyses/<uuid:pk>/compare/<uuid:other>/", compare.pair, name="compare_with"),
    path("analyses/<uuid:pk>/delete/", actions.delete, name="delete"),
    path("analyses/<uuid:pk>/video", files.video, name="video"),
    path("analyses/<uuid:pk>/poster.jpg", files.poster, name="poster"),
    path("analyses/<uuid:pk>/frames/<int:index>.jpg", files.frame, name="frame"),
    path("analyses/<uuid:pk>/people/<int:track>/<int:frame_index>/crop.jpg", files.crop, name="crop"),
    path("analyses/<uuid:pk>/people/<int:track>/<int:frame_index>/heatmap.jpg", files.heatmap, name="heatmap"),
    path("staff/", staff.numbers, name="staff"),
]
