"""Policies that run elsewhere: clients of five protocols, and a server for three of them.

Every client has a function `connect(address, **arguments)`, which a URI such as ``openpi://host:8000?preset=libero``
calls (see policies/loading.py). Nothing here unpickles anything.
"""
