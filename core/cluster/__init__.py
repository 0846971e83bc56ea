"""Runs on the nodes of a Ray cluster: what travels there, how it comes home, which nodes may have it.

`carrier.py` and `contact.py` alone import Ray, in a process of its own for each run at work. The supervisor and the
dashboard know the nodes from a file that a waiting carrier writes.
"""
