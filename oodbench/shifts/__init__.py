"""The shifts; the first word of a module is their axis. Each registers itself: oodbench.shift.SHIFTS has them all."""
