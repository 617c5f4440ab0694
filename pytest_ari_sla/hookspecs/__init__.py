"""What a team can add: the hooks of this plugin, and the shapes of the objects that they return.

Hooks choose, objects work: a hook returns plain objects, which do their work without being asked for by hooks again.
"""
