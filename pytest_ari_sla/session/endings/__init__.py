"""How pytest ends: by a signal, by a timeout, or because a load could not even begin."""
