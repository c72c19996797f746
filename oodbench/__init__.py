"""oodbench: out-of-distribution generalisation of robot policies, measured in MuJoCo."""

__version__ = "0.1.0"
