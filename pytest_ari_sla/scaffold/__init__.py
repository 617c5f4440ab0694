"""Skeletons of plugins: an installable package that works, to be changed into what an author has in mind."""
