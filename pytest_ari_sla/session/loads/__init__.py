"""How the loads of a session are made: with what, together with whom, judged, and searched for a capacity."""
