"""Agents behind HTTP: a server with worker processes, and a client that is a reward for reinforcement learning.

The server fetches nothing and stores nothing: images come in the request. Routes of upper packages are handed in.
"""
