"""The codecs that come with the tool, registered through the public hook like a stranger's."""
