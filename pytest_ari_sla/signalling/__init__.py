"""How a leg comes to exist at Asterisk; where its media ends is the transport's business."""
