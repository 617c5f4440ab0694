"""The media of a load's own legs, whatever transport moves it."""
