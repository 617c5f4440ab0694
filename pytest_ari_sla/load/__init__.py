"""One load: what is planned, its calls, what is measured of it beside its media, and what comes out."""
