"""The shifts, one module an axis. Each registers itself; get them through oodbench.shift.SHIFTS."""
