"""The scripted, privileged expert: a function of the state. One module a group of skills."""

from oodbench.expert import fixtures as fixtures
from oodbench.expert import placing as placing
from oodbench.expert import pushing as pushing
from oodbench.expert.expert import SKILLS, Expert, skill

__all__ = ["SKILLS", "Expert", "skill"]
