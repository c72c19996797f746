"""Policies: the protocol, loading by URI, and the controls that come with oodbench."""

from oodbench.policies.base import EpisodeInfo, Policy, PolicySpec

__all__ = ["EpisodeInfo", "Policy", "PolicySpec"]
