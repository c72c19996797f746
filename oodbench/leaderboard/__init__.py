"""Runs that were executed, as entries that anybody can doubt, and the pages that they make."""
