"""The bounds on what one upload and one analysis may cost, read once from the environment by settings.py.

Bounds that belong to a person (how many analyses may wait, how much may be stored) are fields of accounts.User.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Every bound in one place; units are in the names."""

    max_upload_bytes: int = 2 * 1024**3
    max_duration_s: float = 3600.0
    max_pixels: int = 3840 * 2160 * 2  # of one frame
    min_free_bytes: int = 256 * 1024**2  # an upload that would leave less on the disk is refused
    probe_timeout_s: float = 20.0  # the confined process that opens an upload
    decode_timeout_s: float = 1800.0  # the confined process that decodes a video for an analysis
    decode_memory_bytes: int = 3 * 1024**3  # address space of either
    lease_s: float = 60.0  # how long a worker's claim lasts without a heartbeat
    heartbeat_s: float = 10.0
    job_timeout_s: float = 3600.0  # one attempt at one analysis
    max_lost_leases: int = 2  # then the analysis fails
