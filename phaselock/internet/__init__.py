"""The way from the internet to this computer: asks the router to open ports, and finds out what kind of NAT it is.
Where no direct way leads to it, a bridge over iroh does.

It is used only while an invitation for friends elsewhere is open. A child process (mapper_process.py) talks to the
router, so that a host that is killed leaves no open port behind. mapper.py decides; it does no input or output.
Another child process (iroh_process.py) is the bridge, so the library and its threads are not a part of a session.
"""
