"""oodbench: out-of-distribution generalisation of robot policies, measured in MuJoCo.

Importing it registers the gymnasium environments; see `oodbench.run.runner.evaluate` for the benchmark itself.
"""

from oodbench.registration import register as _register

__version__ = "0.1.0"

_register()
