"""What an action means and how often one is executed: the numbers that policies and the simulator share.

Those of robosuite's OSC_POSE, which LIBERO uses. An action is dx dy dz, a rotation vector and a gripper command, each
in [-1, 1], in the frame of the robot's base. The goal of a control step is the pose that the hand has at its beginning
plus the scaled motion: nothing of what earlier actions did not achieve is added to it, unless the motion is zero, which
holds the last goal (oodbench/sim/control.py says how the two meet). A hand that is moving goes by what its actions say;
the first control steps of a motion fall short while it gathers speed. The gripper command opens or closes by half of
the full width a step at -1 and +1, and 0 leaves it as it is. Other conventions are a policy's PolicySpec.
"""

CONTROL_HZ = 20  # control steps a second, where the scene says nothing else
POSITION_SCALE = 0.05  # metres for an action component of 1
ROTATION_SCALE = 0.5  # rad
