"""Many workers that make one load: the controller, its workers, and what they tell each other."""
