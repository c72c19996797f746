"""oodbench inside other people's harnesses, and their policies inside an environment of their own."""
