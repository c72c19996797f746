"""Demonstrations: the expert recorded in training scenes, to learn policies from."""
