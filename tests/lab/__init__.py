"""A network laboratory of namespaces and veth links, for scenarios, measurements and the demo.

Python's standard library, iproute2 and ethtool; nothing else. Everything a run makes carries the
run's process id in its name, so that a run that was killed can be tidied up by the next.
"""
