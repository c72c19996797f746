"""What an action means and how often one is executed: the numbers that policies and the simulator share.

Those of robosuite's OSC_POSE, which LIBERO uses. Other conventions are a policy's PolicySpec.
"""

CONTROL_HZ = 20  # control steps a second, where the scene says nothing else
POSITION_SCALE = 0.05  # metres for an action component of 1
ROTATION_SCALE = 0.5  # rad
