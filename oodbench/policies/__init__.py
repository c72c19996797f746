"""Policies: the protocol, what they declare, loading by URI, and the controls that come with oodbench."""

from oodbench.policies.base import BatchedPolicy, EpisodeInfo, Policy, PolicySpec
from oodbench.policies.spec import preset

__all__ = ["BatchedPolicy", "EpisodeInfo", "Policy", "PolicySpec", "preset"]
